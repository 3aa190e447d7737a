package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

func inlineFailedAppends(h *harness) {
	c := expecting(eventstore.NoStream, event("a", "x"))
	c.Key = "k"
	first := h.append(c)
	given := h.given(eventstore.All())
	h.equal("calls of Apply to catch up", 1, len(given.all()))
	h.repeats(c, first)
	h.conflicts(expecting(eventstore.NoStream, event("a", "x")))
	h.conflicts(guarded(eventstore.Guard{Query: eventstore.All()}))
	h.fails(unconditional(event("a", "")), eventstore.ErrInvalid)
	h.equal("calls of Apply after appends that wrote nothing", 1, len(given.all()))
	h.equal("checkpoint", eventstore.Checkpoint{Position: first.Last}, h.checkpoint("v"))
	h.write(event("a", "x"))
	h.equal("calls of Apply after one that did", 2, len(given.all()))
}

func inlineRowsAlone(h *harness) {
	given := h.given(eventstore.All())
	h.write(event("a", "x"))
	was := h.checkpoint("v")
	h.put("other", row("t", "k", "x"))
	h.dropAll("other", 1)
	h.equal("calls of Apply", 1, len(given.all()))
	h.sameCheckpoint("checkpoint", was, h.checkpoint("v"))
}

func inlineTwice(h *harness) {
	h.write(event("a", "x"))
	h.attach(ledger("v", eventstore.All()))
	for range 2 {
		h.matches("Attach of an attached view", h.tryAttach(ledger("v", byType("other"))), eventstore.ErrInvalid)
	}
	h.attach(ledger("w", eventstore.All()))
	h.write(event("a", "x"))
	h.upToDate("v", eventstore.All())
	h.upToDate("w", eventstore.All())
}

func inlineTwiceAtOnce(h *harness) {
	h.bulk(200, func(int) eventstore.NewEvent { return event("a", "x") })
	var attached atomic.Int64
	h.parallel(4, func(int) error {
		err := h.tryAttach(ledger("v", eventstore.All()))
		switch {
		case err == nil:
			attached.Add(1)
		case !errors.Is(err, eventstore.ErrInvalid) && !errors.Is(err, eventstore.ErrConflict):
			return fmt.Errorf("Attach: expected success, ErrInvalid or a conflict, found: %w", err)
		}
		return nil
	})
	h.equal("callers that attached the view", int64(1), attached.Load())
	h.write(event("a", "x"))
	h.upToDate("v", eventstore.All())
}

func inlineCommitRefused(h *harness) {
	h.attach(ledger("v", eventstore.All()))
	refused := func() {
		h.Helper()
		is := h.checkpoint("v")
		next := at(is.Position)
		_ = h.unchanged(eventstore.RowCommit{View: "v", Expected: is, Checkpoint: next, Rows: []eventstore.Row{row("t", "k", "x")}}, eventstore.ErrInvalid)
	}
	refused()
	h.write(event("a", "x"))
	refused()
	h.write(event("a", "x"))
	h.upToDate("v", eventstore.All())
}

func inlineDropped(h *harness) {
	h.write(event("a", "x"), event("a", "x"))
	h.attach(ledger("v", eventstore.All()))
	h.attach(ledger("w", eventstore.All()))
	h.write(event("a", "x"))
	h.dropAll("v", 2)
	h.write(event("a", "x"))
	h.equal("checkpoint of a view that was dropped", eventstore.Checkpoint{}, h.checkpoint("v"))
	h.sameRows("rows of a view that was dropped", nil, h.scan("v", eventstore.RowScan{Table: "events"}))
	h.upToDate("w", eventstore.All())
	h.put("v", row("t", "k", "x"))
	h.dropAll("v", 1)
	h.attach(ledger("v", byType("x")))
	h.write(event("a", "x"), event("a", "y"))
	h.upToDate("v", byType("x"))
}

func inlineData(h *harness) {
	head := h.write(event("a", "x")).Last
	h.commitRows(eventstore.RowCommit{View: "v", Checkpoint: at(0)})
	h.attach(ledger("v", eventstore.All()))
	h.sameCheckpoint("checkpoint after Attach", at(head), h.checkpoint("v"))
	head = h.write(event("a", "x")).Last
	h.sameCheckpoint("checkpoint after Append", at(head), h.checkpoint("v"))
}

// inlineContextEnds ends the context within Apply, so that it ends while the view
// catches up.
func inlineContextEnds(h *harness) {
	ended, cancel := context.WithCancel(h.ctx)
	cancel()
	h.bulk(5, func(int) eventstore.NewEvent { return event("a", "x") })
	h.step("Attach with an ended context")
	h.matches("Attach with an ended context", h.rows().Attach(ended, ledger("v", eventstore.All())), context.Canceled)
	h.equal("checkpoint", eventstore.Checkpoint{}, h.checkpoint("v"))

	h.bulk(600, func(int) eventstore.NewEvent { return event("a", "x") })
	h.write(event("a", "x"))
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	v := viewOf("v", eventstore.All(), func(tx eventstore.RowTx, events []eventstore.Event) error {
		cancel()
		return enter(tx, events[:1])
	})
	h.step("Attach with a context that ends meanwhile")
	err := h.rows().Attach(ctx, v)
	if err != nil { // a store may apply more before it looks at the context
		h.matches("Attach with a context that ends meanwhile", err, context.Canceled)
	}
	if checkpoint := h.checkpoint("v"); checkpoint.Fault != nil || (err == nil) != (checkpoint.Position == h.head()) {
		h.Fatalf("checkpoint after Attach ended with the error %v: expected no fault, and not the head, found %s", err, sayCheckpoint(checkpoint))
	}
	h.dropAll("v", 10_000)
	h.attach(ledger("v", eventstore.All()))
	h.upToDate("v", eventstore.All())
}

func inlineCloseCatchingUp(h *harness) {
	h.bulk(600, func(int) eventstore.NewEvent { return event("a", "x") })
	h.write(event("a", "x"))
	closed := make(chan error, 1)
	closing := make(chan struct{})
	v := viewOf("v", eventstore.All(), func(eventstore.RowTx, []eventstore.Event) error {
		select {
		case <-closing:
		default:
			close(closing)
			go func() { closed <- h.store.Close() }()
			for { // until Close has begun
				if _, err := h.store.Head(h.ctx); err != nil {
					break
				}
			}
		}
		return nil
	})
	h.closed[h.store] = true
	if err := h.tryAttach(v); err != nil {
		h.matches("Attach when the store is closed meanwhile", err, eventstore.ErrClosed)
	}
	h.step("Close while a view catches up")
	if err := <-closed; err != nil {
		h.Fatalf("Close while a view catches up: expected no error, found %v", err)
	}
}

func inlineRefused(h *harness) {
	for what, spoil := range map[string]func(v *eventstore.InlineView){
		"no Apply":                 func(v *eventstore.InlineView) { v.Apply = nil },
		"the zero Query":           func(v *eventstore.InlineView) { v.Query = eventstore.Query{} },
		"an item without anything": func(v *eventstore.InlineView) { v.Query = eventstore.Match(eventstore.Item{}) },
		"a negative Timeout":       func(v *eventstore.InlineView) { v.Timeout = -1 },
		"no name":                  func(v *eventstore.InlineView) { v.View = "" },
	} {
		v := ledger("v", eventstore.All())
		spoil(&v)
		h.matches("Attach of a view with "+what, h.tryAttach(v), eventstore.ErrInvalid)
	}
	h.attach(ledger("v", eventstore.All()))
}

func inlineReopened(h *harness) {
	q := byType("x")
	h.write(event("a", "x"))
	h.attach(ledger("v", q))
	h.write(event("a", "x"))
	log := matching(q, h.all())
	through := h.head()
	h.reopen()
	h.write(event("a", "x"), event("a", "y"))
	h.write(event("a", "x"))
	h.hasEntered("v", log, through)
	h.attach(ledger("v", q))
	h.upToDate("v", q)
	h.write(event("a", "x"))
	h.upToDate("v", q)
	h.reopen()
	h.upToDate("v", q)
}

func inlineReadOnly(h *harness) {
	h.attach(ledger("v", eventstore.All()))
	h.write(event("a", "x"))
	h.reopenReadOnly()
	h.matches("Attach in read-only mode", h.tryAttach(ledger("v", eventstore.All())), eventstore.ErrReadOnly)
	h.upToDate("v", eventstore.All())
}
