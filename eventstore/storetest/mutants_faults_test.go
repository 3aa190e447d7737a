package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
)

func faultMutants() []mutant {
	return slices.Concat(faultyApplyMutants(), faultyAttachMutants(), overrunMutants())
}

// faultyApplyMutants do or record the wrong thing when Apply fails.
func faultyApplyMutants() []mutant {
	return []mutant{
		afterFault("the append fails with the view", func(eventstore.RowStore, eventstore.ViewID) error { return errors.New("a view has failed") }),
		afterFault("a fault stops all views", func(s eventstore.RowStore, faulty eventstore.ViewID) error {
			for _, view := range viewsOf(s) {
				if view != faulty {
					_, _ = s.DropRows(context.Background(), view, 1_000)
				}
			}
			return nil
		}),
		showing("faults", "the fault is not recorded", func(_ eventstore.ViewID, set *eventstore.RowSet) { set.Checkpoint.Fault = nil }),
		showing("faults", "the checkpoint passes the fault", func(_ eventstore.ViewID, set *eventstore.RowSet) {
			if c := &set.Checkpoint; c.Fault != nil {
				c.Position = c.Fault.Position
			}
		}),
		showing("faults", "the fault is of the event after the last good one", func(_ eventstore.ViewID, set *eventstore.RowSet) {
			if c := &set.Checkpoint; c.Fault != nil {
				c.Fault.Position = c.Position + 1
			}
		}),
		showing("faults", "the reason is cut anywhere", func(_ eventstore.ViewID, set *eventstore.RowSet) {
			if c := &set.Checkpoint; c.Fault != nil && len(c.Fault.Reason) > 1_001 {
				c.Fault.Reason = c.Fault.Reason[:1_001]
			}
		}),
		{"faults", "rows of the faulty commit are kept", faultyRowsKept},
		{"faults", "a view goes on after a fault", goesOnAfterFault},
	}
}

// faultyAttachMutants lose a fault, or keep it too long, when a view is attached.
func faultyAttachMutants() []mutant {
	return []mutant{
		attaching("faults", "a fault while catching up is not returned", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			if now(s, v.View).Fault != nil {
				return s.Attach(ctx, v)
			}
			return unless(s.Attach(ctx, v), eventstore.ErrFaulted)
		}),
		attaching("faults", "all events are given", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			v.Query = eventstore.All()
			return s.Attach(ctx, v)
		}),
		attaching("faults", "Attach forgives a fault", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			if is := now(s, v.View); is.Fault != nil {
				mended := is
				mended.Fault, mended.Position = nil, headOf(s)
				_ = s.CommitRows(ctx, eventstore.RowCommit{View: v.View, Expected: is, Checkpoint: mended})
			}
			return s.Attach(ctx, v)
		}),
		reopeningRows("faults", "reopening forgives a fault", func(f *faults) {
			f.set = func(_ eventstore.ViewID, set *eventstore.RowSet) { set.Checkpoint.Fault = nil }
		}),
		{"faults", "a fault outlives its view", func(f *faults) {
			var known sync.Map // the error of each view
			f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
				if err, ok := known.Load(v.View); ok {
					return err.(error)
				}
				inner := v.Apply
				v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
					err := inner(ctx, tx, events)
					if err != nil {
						known.Store(v.View, err)
					}
					return err
				}
				return s.Attach(ctx, v)
			}
		}},
	}
}

// overrunMutants wait for an Apply that has overrun its deadline, or let it
// continue.
func overrunMutants() []mutant {
	return []mutant{
		attaching("faults", "a view may take as long as it likes", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			v.Timeout = 3 * time.Second // longer than any rule waits for a mutant
			return s.Attach(ctx, v)
		}),
		{"faults", "Close waits for Apply", func(f *faults) {
			var running sync.RWMutex
			f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
				inner := v.Apply
				v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
					running.RLock()
					defer running.RUnlock()
					return inner(ctx, tx, events)
				}
				return s.Attach(ctx, v)
			}
			f.close = func(s eventstore.Store) error {
				running.Lock() // until no Apply runs
				defer running.Unlock()
				return s.Close()
			}
		}},
		applying("faults", "an overrun Apply reads and writes on", func(v eventstore.InlineView, s eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			return v.Apply(ctx, changedTx{RowTx: tx, reads: committedRows{s, v.View}, put: func(rows []eventstore.Row) error { _ = tx.Put(rows...); return nil }}, events)
		}),
	}
}

// afterFault is a mutant that calls do after an append in which a view has failed.
func afterFault(name string, do func(s eventstore.RowStore, faulty eventstore.ViewID) error) mutant {
	return mutant{"faults", name, func(f *faults) {
		f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			kept := s.(eventstore.RowStore)
			before, _ := kept.Checkpoints(ctx)
			receipt, err := s.Append(ctx, c)
			after, _ := kept.Checkpoints(ctx)
			for view, is := range after {
				if is.Fault != nil && before[view].Fault == nil {
					err = errors.Join(err, do(kept, view))
				}
			}
			return receipt, err
		}
	}}
}

// faultyRowsKept commits the rows that a view put before it failed.
func faultyRowsKept(f *faults) {
	var mu sync.Mutex
	put := make(map[eventstore.ViewID][]eventstore.Row)
	f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
		inner := v.Apply
		v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			mu.Lock()
			put[v.View] = nil
			mu.Unlock()
			return inner(ctx, changedTx{RowTx: tx, put: func(rows []eventstore.Row) error {
				mu.Lock()
				put[v.View] = append(put[v.View], rows...)
				mu.Unlock()
				return tx.Put(rows...)
			}}, events)
		}
		return s.Attach(ctx, v)
	}
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		receipt, err := s.Append(ctx, c)
		kept := s.(eventstore.RowStore)
		for _, view := range viewsOf(kept) {
			if is := now(kept, view); is.Fault != nil {
				mu.Lock()
				rows := slices.Clone(put[view])
				mu.Unlock()
				_ = kept.CommitRows(ctx, eventstore.RowCommit{View: view, Expected: is, Checkpoint: is, Rows: rows})
			}
		}
		return receipt, err
	}
}

// goesOnAfterFault skips the commit on which a view failed, and attaches it again.
func goesOnAfterFault(f *faults) {
	var attached atomic.Pointer[eventstore.InlineView]
	remember(f, &attached)
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		receipt, err := s.Append(ctx, c)
		kept := s.(eventstore.RowStore)
		if v := attached.Load(); v != nil {
			if is := now(kept, v.View); is.Fault != nil {
				next := is
				next.Fault, next.Position = nil, receipt.Last
				_ = kept.CommitRows(ctx, eventstore.RowCommit{View: v.View, Expected: is, Checkpoint: next})
				_ = kept.Attach(ctx, *v)
			}
		}
		return receipt, err
	}
}
