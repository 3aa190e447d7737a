package sample

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
)

// shown returns the checkpoint that the store shows of a view; ok is false if it shows
// none.
func (q *asker) shown(ctx context.Context, view eventstore.ViewID) (at eventstore.Checkpoint, ok bool) {
	set, err := q.store.GetRows(ctx, view)
	return set.Checkpoint, err == nil
}

// attach attaches the inline view again. It reports whether it is attached. A view whose
// rows and checkpoint do not belong together must not be attached: it would apply events
// twice, or leave some out.
func (q *asker) attach() (attached bool) {
	for _, v := range q.sample.Views {
		if v.ID != inline || v.Checkpoint.IsZero() || int(v.Checkpoint.Position) != len(q.sample.Events) {
			continue
		}
		q.call("Attach", func(ctx context.Context) Answer {
			at, ok := q.shown(ctx, inline)
			err := q.store.Attach(ctx, fold.Inline(inline))
			attached = err == nil
			a := equal(err, nil, err, attached, false)
			switch {
			case errors.Is(err, eventstore.ErrFaulted): // Apply cannot read the rows; they stay as they are
				a.Verdict = Stale
			case attached && ok && !at.Equal(v.Checkpoint):
				a = q.rowsAfterAttach(ctx, at)
			}
			a.part, a.view = rows, inline
			return a
		})
	}
	return attached
}

// rowsAfterAttach judges the rows of a view that was attached at a stale checkpoint. They
// are right if its rows were stale in the same way.
func (q *asker) rowsAfterAttach(ctx context.Context, at eventstore.Checkpoint) Answer {
	if _, err := fold.Check(ctx, q.store, inline, q.sample.Events); err != nil {
		return Answer{Verdict: Passed, Got: fmt.Sprintf("attached at %v: %v", at, err), Want: "an error of damage"}
	}
	return Answer{Verdict: Right}
}

// commitRows sends rows for a view with checkpoints that it does not have: one that is
// not right, and the one that the store shows, if that is stale.
func (q *asker) commitRows() {
	for _, v := range q.sample.Views {
		if v.ID != async || v.Checkpoint.IsZero() {
			continue
		}
		c := eventstore.RowCommit{View: async, Checkpoint: v.Checkpoint, Expected: v.Checkpoint,
			Rows: []eventstore.Row{{RowKey: eventstore.RowKey{Table: fold.Events, Key: []byte("probe")}, Value: []byte("0")}}}
		c.Expected.Position--
		q.call("CommitRows expecting an earlier checkpoint", func(ctx context.Context) Answer {
			return q.checkpointConflict(ctx, c, v.Checkpoint)
		})
		q.call("CommitRows expecting the checkpoint that is shown", func(ctx context.Context) Answer {
			at, ok := q.shown(ctx, async)
			if !ok || at.Equal(v.Checkpoint) || at.IsZero() {
				return Answer{Verdict: Right}
			}
			err := q.store.CommitRows(ctx, eventstore.RowCommit{View: async, Expected: at, Checkpoint: at})
			if err == nil {
				return Answer{Verdict: Passed, Got: fmt.Sprintf("committed at %v", at), Want: "an error of damage", part: rows, view: async}
			}
			a := refused(err, "an error of damage")
			a.part, a.view = rows, async
			return a
		})
	}
}

// checkpointConflict sends rows that must have a conflict with a checkpoint.
func (q *asker) checkpointConflict(ctx context.Context, c eventstore.RowCommit, actual eventstore.Checkpoint) Answer {
	err := q.store.CommitRows(ctx, c)
	var conflict *eventstore.CheckpointError
	a := Answer{Verdict: Right, Want: fmt.Sprintf("a conflict with %v", actual), err: err}
	switch {
	case err == nil:
		a.Verdict, a.Got = Passed, "committed"
	case !errors.As(err, &conflict):
		a = refused(err, a.Want)
	case !conflict.Actual.Equal(actual) && earlier(conflict.Actual, actual):
		a.Verdict, a.Got = Stale, err.Error()
	case !conflict.Actual.Equal(actual):
		a.Verdict, a.Got = Wrong, err.Error()
	}
	a.part, a.view = rows, async
	return a
}
