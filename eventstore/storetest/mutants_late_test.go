package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
)

func lateMutants() []mutant {
	return []mutant{
		showing("late", "readers are not told", func(_ eventstore.ViewID, set *eventstore.RowSet) { set.Late = nil }),
		applying("late", "an overrun is a fault", func(v eventstore.InlineView, _ eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			end, _ := ctx.Deadline()
			done := make(chan error, 1)
			go func() { done <- v.Apply(ctx, tx, events) }()
			select {
			case err := <-done:
				return err
			case <-time.After(time.Until(end) / 2):
				return errBad
			}
		}),
		attaching("late", "the third overrun is forgiven", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			var calls atomic.Int32
			inner := v.Apply
			v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
				if calls.Add(1) == 3 {
					return nil
				}
				return inner(ctx, tx, events)
			}
			return s.Attach(ctx, v)
		}),
		applying("late", "a run that has overrun is not waited for", func(v eventstore.InlineView, _ eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			done := make(chan error, 1)
			go func() { done <- v.Apply(ctx, tx, events) }()
			select {
			case err := <-done:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}),
		{"late", "a late view that is dropped is attached again", attachedWhenDropped},
		{"late", "anyone may write a late view", func(f *faults) {
			f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
				set, err := s.GetRows(ctx, c.View)
				if err == nil && set.Late != nil {
					return nil
				}
				return s.CommitRows(ctx, c)
			}
		}},
	}
}

// attachedWhenDropped attaches a view again that was dropped.
func attachedWhenDropped(f *faults) {
	var attached sync.Map
	f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
		attached.Store(v.View, v)
		return s.Attach(ctx, v)
	}
	f.dropRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
		more, err := s.DropRows(ctx, view, limit)
		if v, ok := attached.LoadAndDelete(view); ok && !more && err == nil {
			return more, s.Attach(ctx, v.(eventstore.InlineView))
		}
		return more, err
	}
}
