package storetest

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

func inlineRules() []rule {
	return keepingRows([]rule{
		{"attached to an empty log, the view shows what Append returned", inlineEmptyLog},
		{"attached to a log, the view shows it", inlineFilledLog},
		{"the view goes on after its checkpoint", inlineGoesOn},
		{"the view goes on after a checkpoint within a commit", inlineWithinCommit},
		{"no gap and no repeat while writers run", inlineSeam},
		{"many views attached at once, each counts every event once", inlineManyAtOnce},
		{"a reader that has seen an event sees it in the view", inlineSeen},
		{"Apply is given the events of one commit, as they are in the log", inlineCommits},
		{"Apply is given the events of one commit when it catches up, too", inlineCommitsCatchingUp},
		{"events that do not match are not given, and the checkpoint passes them", inlinePasses},
		{"Apply sees what was written before, and what it writes itself", inlineSeesWrites},
		{"deletions and empty values are kept", inlineDeletes},
		{"Apply may read the store", inlineReadsStore},
		{"Apply cannot change the store with its context", inlineChangesStore},
		{"Apply's reads and writes are checked", inlineChecked},
		{"rows that Apply puts are copied; rows and events that it gets are its own", inlineOwn},
		{"afterwards the RowTx returns errors", inlineAfterwards},
		{"Apply's context ends when the view's time is up", inlineDeadline},
		{"a commit that fails, or is a repeat, does not reach the view", inlineFailedAppends},
		{"rows alone do not reach the view", inlineRowsAlone},
		{"a view is attached once", inlineTwice},
		{"of many that attach one view at once one succeeds", inlineTwiceAtOnce},
		{"CommitRows on an attached view is refused", inlineCommitRefused},
		{"DropRows detaches the view, which can start again", inlineDropped},
		{"the checkpoint's data is the owner's own", inlineData},
		{"a context that ends ends Attach, and is no fault of the view", inlineContextEnds},
		{"Close while the view catches up ends it, with ErrClosed if with an error", inlineCloseCatchingUp},
		{"an invalid view is refused", inlineRefused},
		{"reopened, the view is not attached, and catches up when it is", inlineReopened},
		{"attached in read-only mode is refused", inlineReadOnly},
	}...)
}

// viewOf returns a view without a tight deadline.
func viewOf(view eventstore.ViewID, q eventstore.Query, apply func(tx eventstore.RowTx, events []eventstore.Event) error) eventstore.InlineView {
	return eventstore.InlineView{
		View: view, Query: q, Timeout: patience,
		Apply: func(_ context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			return apply(tx, events)
		},
	}
}

// ledger is the view of most rules. It has a row for each event, the last position
// and the number of events. It fails on an event that is repeated or out of order.
func ledger(view eventstore.ViewID, q eventstore.Query) eventstore.InlineView {
	return viewOf(view, q, enter)
}

var lastKey, countKey = rowKey("state", "last"), rowKey("state", "count")

func enter(tx eventstore.RowTx, events []eventstore.Event) error {
	for _, e := range events {
		key := eventKey(e.Position)
		rows, err := tx.Get(key, lastKey, countKey)
		if err != nil {
			return err
		}
		last := fmt.Sprintf("%020d", e.Position)
		if rows[0].Value != nil || string(rows[1].Value) >= last {
			return fmt.Errorf("the event at position %d was given after the one at %q", e.Position, rows[1].Value)
		}
		var count int
		_, _ = fmt.Sscan(string(rows[2].Value), &count)
		err = tx.Put(eventstore.Row{RowKey: key, Value: []byte(e.Type)},
			eventstore.Row{RowKey: lastKey, Value: []byte(last)}, eventstore.Row{RowKey: countKey, Value: fmt.Append(nil, count+1)})
		if err != nil {
			return err
		}
	}
	return nil
}

func eventKey(p eventstore.Position) eventstore.RowKey {
	return rowKey("events", fmt.Sprintf("%020d", p))
}

// attach attaches a view, which must succeed.
func (h *harness) attach(v eventstore.InlineView) {
	h.Helper()
	if err := h.tryAttach(v); err != nil {
		h.Fatalf("Attach of view %q: expected success, found error: %v", v.View, err)
	}
}

// tryAttach attaches a view. It may be called by any goroutine.
func (h *harness) tryAttach(v eventstore.InlineView) error {
	h.step("Attach of view %q", v.View)
	return h.rows().Attach(h.ctx, v)
}

// upToDate holds that a ledger has all matching events of the log.
func (h *harness) upToDate(view eventstore.ViewID, q eventstore.Query) {
	h.Helper()
	h.hasEntered(view, matching(q, h.all()), h.head())
}

// hasEntered holds that a ledger has these events, and its checkpoint is at through.
func (h *harness) hasEntered(view eventstore.ViewID, events []eventstore.Event, through eventstore.Position) {
	h.Helper()
	checkpoint := h.checkpoint(view)
	if checkpoint.Fault != nil || checkpoint.Position != through {
		h.Fatalf("checkpoint of view %q: expected position %d and no fault, found %s", view, through, sayCheckpoint(checkpoint))
	}
	var expected []eventstore.Row
	for _, e := range events {
		expected = append(expected, eventstore.Row{RowKey: eventKey(e.Position), Value: []byte(e.Type)})
	}
	h.sameRows(fmt.Sprintf("view %q", view), expected, h.scan(view, eventstore.RowScan{Table: "events"}))
	count := "none"
	if len(events) > 0 {
		count = fmt.Sprintf("%q", fmt.Sprint(len(events)))
	}
	h.equal("counted", count, h.value(view, "state", "count"))
}

func inlineEmptyLog(h *harness) {
	h.attach(ledger("v", eventstore.All()))
	h.equal("checkpoint on an empty log", eventstore.Position(0), h.checkpoint("v").Position)
	for range 5 {
		h.write(event("a", "x"), event("", "y"), event("b", "z"))
		h.upToDate("v", eventstore.All())
	}
}

func inlineFilledLog(h *harness) {
	library(h)
	h.bulk(600, func(i int) eventstore.NewEvent { return event("a", fmt.Sprint("type ", i%3)) })
	for _, q := range []eventstore.Query{eventstore.All(), byType("type 1"), byType("nothing")} {
		view := eventstore.ViewID(q.String())
		h.attach(ledger(view, q))
		h.upToDate(view, q)
	}
	h.write(event("a", "type 1"), event("a", "type 2"))
	h.upToDate("all events", eventstore.All())
}

func inlineGoesOn(h *harness) {
	log := append(h.seed(event("a", "x"), event("a", "x")), h.seed(event("a", "x"))...)
	h.commitRows(eventstore.RowCommit{
		View: "v", Checkpoint: eventstore.Checkpoint{Position: log[1].Position},
		Rows: []eventstore.Row{row("kept", "k", "x")},
	})
	h.attach(ledger("v", eventstore.All()))
	h.hasEntered("v", log[2:], log[2].Position)
	h.equal("a row from before", `"x"`, h.value("v", "kept", "k"))
	log = append(log, h.seed(event("a", "x"))...)
	h.hasEntered("v", log[2:], log[3].Position)
}

// inlineWithinCommit attaches a view that has followed the log so far, in batches
// that end within commits.
func inlineWithinCommit(h *harness) {
	log := h.seed(event("a", "x"), event("a", "y"), event("a", "x"), event("a", "x"))
	for i, view := range []eventstore.ViewID{"0", "1", "2"} {
		h.commitRows(eventstore.RowCommit{View: view, Checkpoint: eventstore.Checkpoint{Position: log[i].Position}})
		h.attach(ledger(view, byType("x")))
		h.hasEntered(view, matching(byType("x"), log[i+1:]), log[3].Position)
	}
	h.commitRows(eventstore.RowCommit{View: "bad", Checkpoint: eventstore.Checkpoint{Position: log[1].Position}})
	h.faulted(h.tryAttach(viewOf("bad", eventstore.All(), func(eventstore.RowTx, []eventstore.Event) error { return errBad })),
		"bad", log[1].Position, log[2])
	h.equal("checkpoint", log[1].Position, h.checkpoint("bad").Position)
}

func inlineSeam(h *harness) {
	for range 20 {
		h.bulk(20, func(int) eventstore.NewEvent { return event("before", "x", "t") })
	}
	var attached atomic.Bool
	const writers = 3
	h.parallel(writers+1, func(i int) error {
		if i == writers {
			defer attached.Store(true)
			return h.tryAttach(ledger("v", byTag("t")))
		}
		for n := 0; n < 10 || !attached.Load(); n++ {
			events := []eventstore.NewEvent{event("", "x", "t"), event("", "y"), event("", "z", "t")}
			if _, err := h.try(unconditional(events[:1+n%3]...)); err != nil {
				return err
			}
		}
		return nil
	})
	h.upToDate("v", byTag("t"))
	h.write(event("a", "x", "t"))
	h.upToDate("v", byTag("t"))
}

func inlineManyAtOnce(h *harness) {
	h.bulk(300, func(i int) eventstore.NewEvent { return event("a", fmt.Sprint("type ", i%5)) })
	h.parallel(5, func(i int) error {
		if err := h.tryAttach(ledger(eventstore.ViewID(fmt.Sprint(i)), byType(fmt.Sprint("type ", i)))); err != nil {
			return err
		}
		for n := range 10 {
			if _, err := h.try(unconditional(event("a", fmt.Sprint("type ", n%5)))); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range 5 {
		h.upToDate(eventstore.ViewID(fmt.Sprint(i)), byType(fmt.Sprint("type ", i)))
	}
}

func inlineSeen(h *harness) {
	h.attach(ledger("v", eventstore.All()))
	const n = 30
	h.parallel(2, func(i int) error {
		if i == 0 {
			for range n {
				if _, err := h.try(unconditional(event("a", "x"))); err != nil {
					return err
				}
			}
			return nil
		}
		seen := 0
		for batch, err := range h.store.Follow(h.ctx, eventstore.All(), 0) {
			if err != nil {
				return err
			}
			set, err := h.rows().GetRows(h.ctx, "v", countKey)
			if err != nil {
				return err
			}
			if set.Checkpoint.Position < batch.Through {
				return fmt.Errorf("a follower has seen position %d, and the view is at %d", batch.Through, set.Checkpoint.Position)
			}
			if seen += len(batch.Events); seen == n {
				break
			}
		}
		return nil
	})
}
