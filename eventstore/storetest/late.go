package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
)

func lateRules() []rule {
	return keepingRows([]rule{
		{"an overrun: the append succeeds, and the view is late and keeps its last good state", lateKeepsState},
		{"a late view catches up by itself and is attached again", lateComesBack},
		{"a view that overruns again and again gets a fault", lateFaulted},
		{"an overrun in Attach is no fault, and Attach goes on", lateInAttach},
		{"a late view counts as attached", lateIsAttached},
		{"a late view that is dropped does not come back", lateDropped},
		{"Apply of a late view is not called again before it has returned", lateOneRun},
		{"Close does not wait for a late view, which catches up after reopening", lateReopened},
	}...)
}

// moment is the deadline of a view that is to overrun it. The rules do not expect
// that anything succeeds within it, since a busy machine may be too slow.
const moment = 50 * time.Millisecond

// overrunning is a ledger, "v", of types x and bad. Its Apply on events of type bad calls
// overrun first, and enters the events if that returns true.
func (h *harness) overrunning(timeout time.Duration, overrun func(ctx context.Context) bool) (v eventstore.InlineView, changed <-chan struct{}) {
	changes := make(chan struct{}, 100)
	v = ledger("v", byType("x", "bad"))
	v.Timeout = timeout
	v.Changed = func() { changes <- struct{}{} }
	v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		if len(matching(byType("bad"), events)) > 0 && !overrun(ctx) {
			return ctx.Err()
		}
		return enter(tx, events)
	}
	return v, changes
}

// once returns a function that does not return before the context ends, and then false, when
// it is called for the first time; later it returns true at once.
func once() func(ctx context.Context) bool {
	var calls atomic.Int32
	return func(ctx context.Context) bool {
		if calls.Add(1) == 1 {
			<-ctx.Done()
			return false
		}
		return true
	}
}

// stuck is a view that does not return before the rule ends, on events of type bad.
func stuck(h *harness, view eventstore.ViewID) eventstore.InlineView {
	v, _ := h.overrunning(moment, func(context.Context) bool { <-h.ctx.Done(); return false })
	v.View = view
	return v
}

// generous is a deadline that a view keeps on a busy machine too, unless it waits for it.
const generous = time.Second

// await waits until a view has changed.
func (h *harness) await(what string, changed <-chan struct{}) {
	h.Helper()
	h.step("waiting for %s", what)
	select {
	case <-changed:
	case <-h.ctx.Done():
	}
}

// late returns what a reader of a view is told about its being late.
func (h *harness) late(view eventstore.ViewID) *eventstore.Late {
	h.Helper()
	h.step("GetRows of view %q", view)
	set, err := h.rows().GetRows(h.ctx, view, countKey)
	if err != nil {
		h.Fatalf("GetRows: %v", err)
	}
	for page, err := range h.rows().ScanRows(h.ctx, view, eventstore.RowScan{Table: "events"}) {
		if err != nil || (page.Late == nil) != (set.Late == nil) {
			h.Fatalf("ScanRows: expected Late as from GetRows, %v, found %v (%v)", set.Late, page.Late, err)
		}
	}
	return set.Late
}

// isLate holds that a view is late, has no fault, and is at a position.
func (h *harness) isLate(view eventstore.ViewID, through eventstore.Position) {
	h.Helper()
	late, checkpoint := h.late(view), h.checkpoint(view)
	if late == nil || late.Reason == "" || late.Since.IsZero() {
		h.Fatalf("Late of view %q: expected a time and a reason, found %+v", view, late)
	}
	if checkpoint.Fault != nil || checkpoint.Position != through {
		h.Fatalf("checkpoint of late view %q: expected position %d and no fault, found %s", view, through, sayCheckpoint(checkpoint))
	}
}

func lateKeepsState(h *harness) {
	e := h.seed(event("a", "x"))[0]
	h.enterNow(e)
	h.attach(stuck(h, "v"))
	h.attach(ledger("w", eventstore.All()))
	h.write(event("a", "bad"))
	for range 3 {
		h.isLate("v", e.Position)
		h.equal("entries", 1, len(h.scan("v", eventstore.RowScan{Table: "events"})))
		h.upToDate("w", eventstore.All())
		h.write(event("a", "x"))
	}
}

func lateComesBack(h *harness) {
	v, changed := h.overrunning(generous, once())
	h.attach(v)
	h.write(event("a", "x"))
	h.write(event("a", "bad"), event("a", "x"))
	h.await("the view to be late", changed)
	h.write(event("a", "x"))
	for h.late("v") != nil {
		h.await("the view to be attached again", changed)
	}
	h.upToDate("v", byType("x", "bad"))
	h.write(event("a", "x"), event("a", "bad"))
	h.upToDate("v", byType("x", "bad"))
}

func lateFaulted(h *harness) {
	v, changed := h.overrunning(moment, func(ctx context.Context) bool { <-ctx.Done(); return false })
	e := h.seed(event("a", "x"))[0]
	h.enterNow(e)
	h.attach(v)
	bad := h.seed(event("a", "bad"))[0]
	h.await("the view to be late", changed)
	h.await("the fault", changed)
	checkpoint := h.checkpoint("v")
	if checkpoint.Fault == nil || checkpoint.Fault.Position != bad.Position || checkpoint.Fault.Reason == "" {
		h.Fatalf("checkpoint: expected a fault at position %d, found %s", bad.Position, sayCheckpoint(checkpoint))
	}
	h.equal("position of the last good state", e.Position, checkpoint.Position)
	h.equal("entries", 1, len(h.scan("v", eventstore.RowScan{Table: "events"})))
	h.faulted(h.tryAttach(ledger("v", eventstore.All())), "v", e.Position, bad)
}

func lateInAttach(h *harness) {
	h.write(event("a", "x"))
	h.write(event("a", "bad"))
	v, _ := h.overrunning(generous, once())
	h.attach(v)
	h.upToDate("v", byType("x", "bad"))
	h.write(event("a", "bad"))
	h.upToDate("v", byType("x", "bad"))
}

func lateIsAttached(h *harness) {
	h.attach(stuck(h, "v"))
	h.write(event("a", "bad"))
	was := h.checkpoint("v")
	h.isLate("v", was.Position)
	h.matches("Attach of a late view", h.tryAttach(ledger("v", eventstore.All())), eventstore.ErrInvalid)
	h.step("CommitRows of a late view")
	err := h.rows().CommitRows(h.ctx, eventstore.RowCommit{View: "v", Expected: was, Checkpoint: eventstore.Checkpoint{Position: h.head()}})
	h.matches("CommitRows of a late view", err, eventstore.ErrInvalid)
	h.isLate("v", was.Position)
}

func lateDropped(h *harness) {
	release := make(chan struct{})
	v, changed := h.overrunning(moment, func(context.Context) bool { <-release; return true })
	h.attach(v)
	h.write(event("a", "bad"))
	h.await("the view to be late", changed)
	h.dropAll("v", 10)
	close(release)
	h.equal("late", (*eventstore.Late)(nil), h.late("v"))
	h.step("waiting for longer than the view would")
	time.Sleep(3 * moment) // a store that is right passes whatever happens meanwhile
	h.equal("checkpoint of the dropped view", eventstore.Checkpoint{}, h.checkpoint("v"))
	h.attach(ledger("v", eventstore.All()))
	h.write(event("a", "bad"))
	h.upToDate("v", eventstore.All())
}

func lateOneRun(h *harness) {
	var running, most atomic.Int32
	var calls atomic.Int32
	release := make(chan struct{})
	v, changed := h.overrunning(generous, func(context.Context) bool {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		if calls.Add(1) == 1 {
			<-release
		}
		return true
	})
	h.attach(v)
	h.write(event("a", "bad"))
	h.await("the view to be late", changed)
	h.step("waiting for longer than the view would")
	time.Sleep(generous) // a store that is right passes whatever happens meanwhile
	h.equal("calls of Apply", int32(1), calls.Load())
	close(release)
	for h.late("v") != nil {
		h.await("the view to be attached again", changed)
	}
	h.equal("runs of Apply at the same time", int32(1), most.Load())
	h.upToDate("v", byType("x", "bad"))
}

func lateReopened(h *harness) {
	h.attach(stuck(h, "v"))
	h.write(event("a", "bad"))
	h.isLate("v", 0)
	h.reopen()
	h.equal("late", (*eventstore.Late)(nil), h.late("v"))
	if fault := h.checkpoint("v").Fault; fault != nil {
		h.Fatalf("checkpoint after reopening: expected no fault, found %v", errors.New(fault.Reason))
	}
	h.attach(ledger("v", eventstore.All()))
	h.upToDate("v", eventstore.All())
}
