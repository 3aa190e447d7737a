package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/yore-es/yore/eventstore"
)

func faultRules() []rule {
	var rules []rule
	for _, end := range badEnds() {
		rules = append(rules,
			rule{end.name + ": the append succeeds and the fault is recorded", end.recorded},
			rule{end.name + ": the view keeps its last good state", end.lastGoodState},
			rule{end.name + " while the view catches up: the fault is recorded and returned", end.catchingUp})
	}
	return keepingRows(append(rules, []rule{
		{"the fault is of the first event that was given", faultFirstEvent},
		{"all rows put for the commit are dropped", faultDropsCommit},
		{"other views go on", faultOthersGoOn},
		{"later events do not reach the view", faultDetaches},
		{"events the view does not ask for are no fault", faultNotAsked},
		{"Attach again is refused with a *FaultedError", faultAttachAgain},
		{"dropped, the view can be attached again", faultRebuilt},
		{"its fault taken away, the view goes on after its last good state", faultMended},
		{"a fault survives reopening", faultReopened},
		{"a long reason is cut, between two runes", faultLongReason},
		{"an Apply that never returns keeps no append waiting for longer than its time", faultNeverReturns},
		{"an Apply that never returns does not keep Close waiting", faultClose},
		{"an Apply that appends ends in a fault", faultAppends},
		{"an overrun Apply can neither read nor write any more", faultAbandoned},
		{"an overrun Apply in a loop over Scan ends there", faultAbandonedInScan},
		{"concurrent appends all succeed when the view fails among them", faultAmongAppends},
	}...)...)
}

var errBad = errors.New("a bad event")

// badEnd is a way in which Apply fails.
type badEnd struct {
	name   string
	reason string // part of the fault's reason
	end    func() error
}

func badEnds() []badEnd {
	return []badEnd{
		{"an error", errBad.Error(), func() error { return errBad }},
		{"a panic", "told to panic", func() error { panic("told to panic") }},
		{"a panic with an error", errBad.Error(), func() error { panic(errBad) }},
		{"runtime.Goexit", "", func() error { runtime.Goexit(); return nil }},
	}
}

// view returns a ledger whose Apply, on events of type "bad", enters the commit's
// events and then fails.
func (b badEnd) view(view eventstore.ViewID) eventstore.InlineView {
	v := ledger(view, byType("x", "bad"))
	v.Apply = func(_ context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		if err := enter(tx, events); err != nil {
			return err
		}
		if len(matching(byType("bad"), events)) > 0 {
			return b.end()
		}
		return nil
	}
	return v
}

// good attaches view "v", appends an event that it enters, and returns its position.
func (b badEnd) good(h *harness) eventstore.Position {
	h.Helper()
	h.attach(b.view("v"))
	return h.write(event("a", "x")).Last
}

// enterNow enters an event into view "v", as its ledger does.
func (h *harness) enterNow(e eventstore.Event) {
	h.Helper()
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: eventstore.Checkpoint{Position: e.Position}, Rows: []eventstore.Row{
		{RowKey: eventKey(e.Position), Value: []byte(e.Type)},
		{RowKey: lastKey, Value: fmt.Appendf(nil, "%020d", e.Position)},
		{RowKey: countKey, Value: []byte("1")},
	}})
}

func (b badEnd) recorded(h *harness) {
	good := b.good(h)
	log := h.seed(event("a", "other"), event("a", "bad"))
	b.faultIs(h, good, log[1])
	h.equal("events in the log", 3, len(h.all()))
}

// faultIs holds that the view has the fault of event e and its last good state,
// through a position.
func (b badEnd) faultIs(h *harness, through eventstore.Position, e eventstore.Event) {
	h.Helper()
	checkpoint := h.checkpoint("v")
	if checkpoint.Fault == nil {
		h.Fatalf("checkpoint after %s: expected a fault, found %s", b.name, sayCheckpoint(checkpoint))
	}
	h.equal("position of the last good state", through, checkpoint.Position)
	h.equal("position of the fault", e.Position, checkpoint.Fault.Position)
	h.equal("type of the fault", e.Type, checkpoint.Fault.Type)
	if reason := checkpoint.Fault.Reason; reason == "" || !strings.Contains(reason, b.reason) {
		h.Fatalf("reason of the fault: expected one with %q, found %q", b.reason, reason)
	}
}

func (b badEnd) lastGoodState(h *harness) {
	b.good(h)
	h.upToDate("v", byType("x"))
	before := append(h.scan("v", eventstore.RowScan{Table: "events"}), h.scan("v", eventstore.RowScan{Table: "state"})...)
	h.write(event("a", "x"), event("a", "bad"), event("a", "x"))
	after := append(h.scan("v", eventstore.RowScan{Table: "events"}), h.scan("v", eventstore.RowScan{Table: "state"})...)
	h.sameRows("rows after "+b.name, before, after)
}

func (b badEnd) catchingUp(h *harness) {
	good := h.seed(event("a", "x"), event("a", "other"))
	bad := h.seed(event("a", "other"), event("a", "bad"), event("a", "x"))
	h.write(event("a", "x"))
	through := good[1].Position
	h.faulted(h.tryAttach(b.view("v")), "v", through, bad[1])
	b.faultIs(h, through, bad[1])
	h.equal("entries", 1, len(h.scan("v", eventstore.RowScan{Table: "events"})))
	h.write(event("a", "x"))
	h.equal("entries after an append", 1, len(h.scan("v", eventstore.RowScan{Table: "events"})))
	b.faultIs(h, through, bad[1])
}

// faulted holds that the error is the *FaultedError of a view, with the fault of
// event e and a last good state through a position.
func (h *harness) faulted(err error, view eventstore.ViewID, through eventstore.Position, e eventstore.Event) {
	h.Helper()
	h.matches("Attach", err, eventstore.ErrFaulted)
	var fault *eventstore.FaultedError
	if !errors.As(err, &fault) {
		h.Fatalf("Attach: expected a *FaultedError, found %T: %v", err, err)
	}
	h.equal("View", view, fault.View)
	h.equal("Through", through, fault.Through)
	h.equal("Fault.Position", e.Position, fault.Fault.Position)
	h.equal("Fault.Type", e.Type, fault.Fault.Type)
	if recorded := h.checkpoint(view).Fault; recorded == nil || *recorded != fault.Fault {
		h.Fatalf("Fault: expected the one recorded, %+v, found %+v", recorded, fault.Fault)
	}
}

// failing is a ledger, "v", of types x and bad that returns an error on bad.
func failing() eventstore.InlineView { return badEnds()[0].view("v") }

func faultFirstEvent(h *harness) {
	h.attach(failing())
	log := h.seed(event("a", "other"), event("a", "x"), event("a", "bad"), event("a", "x"))
	badEnds()[0].faultIs(h, 0, log[1])
}

func faultDropsCommit(h *harness) {
	h.attach(viewOf("v", eventstore.All(), func(tx eventstore.RowTx, events []eventstore.Event) error {
		if events[0].Type != "bad" {
			return tx.Put(row("t", "kept", "x"), row("t", "changed", "before"), row("t", "deleted", "x"))
		}
		if err := tx.Put(row("t", "changed", "after"), deleted("t", "deleted"), row("t", "new", "x"), row("u", "new", "x")); err != nil {
			return err
		}
		return errBad
	}))
	h.write(event("a", "x"))
	before := h.scan("v", eventstore.RowScan{Table: "t"})
	h.equal("rows", 3, len(before))
	h.write(event("a", "bad"))
	h.sameRows("rows after the fault", before, h.scan("v", eventstore.RowScan{Table: "t"}))
	h.sameRows("rows of another table", nil, h.scan("v", eventstore.RowScan{Table: "u"}))
}

func faultOthersGoOn(h *harness) {
	h.attach(ledger("before", eventstore.All()))
	h.attach(failing())
	h.attach(ledger("after", eventstore.All()))
	for range 3 {
		h.write(event("a", "x"), event("a", "bad"))
		h.upToDate("before", eventstore.All())
		h.upToDate("after", eventstore.All())
	}
	h.attach(ledger("later", eventstore.All()))
	h.upToDate("later", eventstore.All())
}

func faultDetaches(h *harness) {
	var calls notes[int]
	v := failing()
	apply := v.Apply
	v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		calls.take(len(events))
		return apply(ctx, tx, events)
	}
	h.attach(v)
	good := h.write(event("a", "x")).Last
	log := h.seed(event("a", "bad"))
	was := h.checkpoint("v")
	for range 3 {
		h.write(event("a", "x"))
		h.write(event("a", "bad"))
		h.sameCheckpoint("checkpoint after the fault", was, h.checkpoint("v"))
	}
	badEnds()[0].faultIs(h, good, log[0])
	h.equal("calls of Apply", 2, len(calls.all()))
	h.equal("entries", 1, len(h.scan("v", eventstore.RowScan{Table: "events"})))
}

func faultNotAsked(h *harness) {
	v := failing()
	v.Query = byType("x")
	h.attach(v)
	h.write(event("a", "bad"))
	h.write(event("a", "x"), event("a", "bad"))
	h.upToDate("v", byType("x"))
}

func faultAttachAgain(h *harness) {
	h.attach(failing())
	good := h.write(event("a", "x")).Last
	log := h.seed(event("a", "bad"))
	h.write(event("a", "x"))
	for range 2 {
		h.faulted(h.tryAttach(ledger("v", eventstore.All())), "v", good, log[0])
	}
	h.equal("entries", 1, len(h.scan("v", eventstore.RowScan{Table: "events"})))
}

func faultRebuilt(h *harness) {
	h.attach(failing())
	h.write(event("a", "x"))
	h.write(event("a", "bad"))
	h.dropAll("v", 1)
	h.attach(ledger("v", eventstore.All()))
	h.upToDate("v", eventstore.All())
	h.write(event("a", "bad"))
	h.upToDate("v", eventstore.All())
}

func faultMended(h *harness) {
	h.attach(failing())
	h.write(event("a", "x"))
	h.write(event("a", "bad"))
	was := h.checkpoint("v")
	mended := was
	mended.Fault = nil
	h.commitRows(eventstore.RowCommit{View: "v", Expected: was, Checkpoint: mended})
	h.attach(ledger("v", eventstore.All()))
	h.upToDate("v", eventstore.All())
}

func faultReopened(h *harness) {
	h.attach(failing())
	good := h.write(event("a", "x")).Last
	log := h.seed(event("a", "bad"))
	was := h.checkpoint("v")
	h.reopen()
	h.sameCheckpoint("checkpoint after reopening", was, h.checkpoint("v"))
	h.write(event("a", "x"))
	h.faulted(h.tryAttach(ledger("v", eventstore.All())), "v", good, log[0])
}

func faultLongReason(h *harness) {
	for i := range 4 {
		long := strings.Repeat("y", i) + strings.Repeat("\U0001f6d2", 3_000)
		h.attach(viewOf(eventstore.ViewID(fmt.Sprint(i)), eventstore.All(), func(eventstore.RowTx, []eventstore.Event) error { return errors.New(long) }))
	}
	h.write(event("a", "x"))
	for i := range 4 {
		checkpoint := h.checkpoint(eventstore.ViewID(fmt.Sprint(i)))
		if checkpoint.Fault == nil {
			h.Fatalf("checkpoint: expected a fault, found %s", sayCheckpoint(checkpoint))
		}
		if reason := checkpoint.Fault.Reason; len(reason) > 4<<10 || len(reason) < 1_000 || !utf8.ValidString(reason) {
			h.Fatalf("a long reason: expected at most 4 KiB of it in UTF-8, found %d bytes, ending in %q", len(reason), reason[max(0, len(reason)-5):])
		}
	}
}

func faultNeverReturns(h *harness) {
	views := []eventstore.ViewID{"u", "v"}
	for _, view := range views {
		h.attach(stuck(h, view))
	}
	h.attach(ledger("w", eventstore.All()))
	for range 3 {
		h.write(event("a", "bad"))
		h.upToDate("w", eventstore.All())
	}
	for _, view := range views {
		h.isLate(view, 0)
	}
}

func faultClose(h *harness) {
	h.attach(stuck(h, "v"))
	h.write(event("a", "bad"))
	h.attach(ledger("w", eventstore.All()))
	h.write(event("a", "x"))
	h.closeStore()
}

func faultAppends(h *harness) {
	v := ledger("v", byType("x"))
	v.Timeout = 2 * time.Second
	v.Apply = func(ctx context.Context, _ eventstore.RowTx, _ []eventstore.Event) error {
		_, err := h.store.Append(ctx, unconditional(event("a", "from within")))
		return err
	}
	h.attach(v)
	log := h.seed(event("a", "x"))
	checkpoint := h.checkpoint("v")
	if checkpoint.Fault == nil || checkpoint.Fault.Position != log[0].Position {
		h.Fatalf("checkpoint of a view that appends: expected a fault at position %d, found %s", log[0].Position, sayCheckpoint(checkpoint))
	}
	h.write(event("a", "x"))
}

func faultAbandoned(h *harness) {
	h.put("v", row("t", "k", "before"))
	abandoned := make(chan eventstore.RowTx, 1)
	v := stuck(h, "v")
	v.Apply = func(_ context.Context, tx eventstore.RowTx, _ []eventstore.Event) error {
		_ = tx.Put(row("t", "k", "put"))
		abandoned <- tx
		<-h.ctx.Done()
		return nil
	}
	h.attach(v)
	h.write(event("a", "bad"))
	h.ended(<-abandoned)
	h.equal("the row", `"before"`, h.value("v", "t", "k"))
}

func faultAbandonedInScan(h *harness) {
	h.put("v", row("t", "a", "x"), row("t", "b", "x"))
	end := make(chan error, 1)
	over := make(chan struct{})
	v := stuck(h, "v")
	v.Apply = func(_ context.Context, tx eventstore.RowTx, _ []eventstore.Event) error {
		_ = tx.Put(row("t", "c", "x"))
		var last error
		for _, err := range tx.Scan(eventstore.RowScan{Table: "t"}) {
			<-over
			last = err
		}
		end <- last
		return nil
	}
	h.attach(v)
	h.write(event("a", "bad"))
	close(over)
	h.step("waiting for the end of a loop over Scan")
	if err := <-end; err == nil {
		h.Fatalf("a loop over Scan that has overrun: expected that it ends with an error, found none")
	}
	h.equal("rows", 2, len(h.scan("v", eventstore.RowScan{Table: "t"})))
}

func faultAmongAppends(h *harness) {
	h.attach(failing())
	h.attach(ledger("w", eventstore.All()))
	var mu sync.Mutex
	var bad eventstore.Position // position of the first bad event
	h.parallel(4, func(i int) error {
		for n := range 10 {
			kind := "x"
			if i == 0 && n == 5 {
				kind = "bad"
			}
			receipt, err := h.try(unconditional(event("", kind)))
			if err != nil {
				return err
			}
			if kind == "bad" {
				mu.Lock()
				bad = receipt.First
				mu.Unlock()
			}
		}
		return nil
	})
	h.upToDate("w", eventstore.All())
	log := h.all()
	h.equal("events in the log", 40, len(log))
	var good []eventstore.Event
	for _, e := range log {
		if e.Position < bad {
			good = append(good, e)
		}
	}
	var through eventstore.Position
	if len(good) > 0 {
		through = good[len(good)-1].Position
	}
	checkpoint := h.checkpoint("v")
	if checkpoint.Fault == nil || checkpoint.Fault.Position != bad || checkpoint.Position != through {
		h.Fatalf("checkpoint: expected position %d and a fault at position %d, found %s", through, bad, sayCheckpoint(checkpoint))
	}
	h.equal("entries", len(good), len(h.scan("v", eventstore.RowScan{Table: "events"})))
}
