package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
)

func checkpointMutants() []mutant {
	return slices.Concat(comparingMutants(), conflictingMutants(), settingMutants(), droppingMutants())
}

// comparingMutants compare the checkpoint of a commit wrongly or too early.
func comparingMutants() []mutant {
	return []mutant{
		comparing("the checkpoint is not compared", func(_ eventstore.RowCommit, is eventstore.Checkpoint) eventstore.Checkpoint { return is }),
		comparing("the zero Checkpoint expects anything", func(c eventstore.RowCommit, is eventstore.Checkpoint) eventstore.Checkpoint {
			if c.Expected.IsZero() {
				return is
			}
			return c.Expected
		}),
		comparing("only positions are compared", func(c eventstore.RowCommit, is eventstore.Checkpoint) eventstore.Checkpoint {
			if c.Expected.Position == is.Position {
				return is
			}
			return c.Expected
		}),
		comparing("faults are not compared", func(c eventstore.RowCommit, is eventstore.Checkpoint) eventstore.Checkpoint {
			c.Expected.Fault = is.Fault
			return c.Expected
		}),
		comparing("empty data is not nil", func(c eventstore.RowCommit, is eventstore.Checkpoint) eventstore.Checkpoint {
			if c.Expected.Data != nil && len(c.Expected.Data) == 0 {
				c.Expected.Data = []byte("not nil")
			}
			return c.Expected
		}),
		committing("checkpoints", "the checkpoint is compared first", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			if is := now(s, c.View); !is.Equal(c.Expected) {
				return &eventstore.CheckpointError{View: c.View, Expected: c.Expected, Actual: is}
			}
			return s.CommitRows(ctx, c)
		}),
		committing("checkpoints", "compare and set are two steps", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			if is := now(s, c.View); !is.Equal(c.Expected) {
				return &eventstore.CheckpointError{View: c.View, Expected: c.Expected, Actual: is}
			}
			time.Sleep(time.Millisecond)
			for {
				c.Expected = now(s, c.View)
				if err := s.CommitRows(ctx, c); !errors.Is(err, eventstore.ErrConflict) {
					return err
				}
			}
		}),
	}
}

// conflictingMutants write in spite of a conflict, say too little of it, or see one
// where there is none.
func conflictingMutants() []mutant {
	return []mutant{
		committing("checkpoints", "rows are written although the checkpoint is another", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			err := s.CommitRows(ctx, c)
			if errors.Is(err, eventstore.ErrConflict) {
				is := now(s, c.View)
				_ = s.CommitRows(ctx, eventstore.RowCommit{View: c.View, Expected: is, Checkpoint: is, Rows: c.Rows})
			}
			return err
		}),
		committing("checkpoints", "a conflict does not have the actual checkpoint", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			err := s.CommitRows(ctx, c)
			var conflict *eventstore.CheckpointError
			if errors.As(err, &conflict) {
				conflict.Actual = eventstore.Checkpoint{}
			}
			return err
		}),
		{"checkpoints", "views share their turn", func(f *faults) {
			var mu sync.Mutex
			var last eventstore.ViewID
			f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
				mu.Lock()
				defer mu.Unlock()
				if other := last != "" && last != c.View; other {
					last = c.View
					return &eventstore.CheckpointError{View: c.View, Expected: c.Expected}
				}
				last = c.View
				return s.CommitRows(ctx, c)
			}
		}},
	}
}

// settingMutants set or list another checkpoint than the one that was committed.
func settingMutants() []mutant {
	return []mutant{
		committing("checkpoints", "a checkpoint beyond the head is taken for the head", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			c.Checkpoint.Position = min(c.Checkpoint.Position, headOf(s))
			return s.CommitRows(ctx, c)
		}),
		committing("checkpoints", "a checkpoint does not go back", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			if is := now(s, c.View); is.Equal(c.Expected) && c.Checkpoint.Position < is.Position {
				return eventstore.ErrInvalid
			}
			return s.CommitRows(ctx, c)
		}),
		committing("checkpoints", "a zero checkpoint is ignored", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			if c.Checkpoint.IsZero() {
				return nil
			}
			return s.CommitRows(ctx, c)
		}),
		committing("checkpoints", "a fault is for ever", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			if is := now(s, c.View); is.Fault != nil {
				c.Checkpoint.Fault = is.Fault
			}
			return s.CommitRows(ctx, c)
		}),
		{"checkpoints", "Checkpoints leaves out those without a position", func(f *faults) {
			f.checkpoints = func(s eventstore.RowStore, ctx context.Context) (map[eventstore.ViewID]eventstore.Checkpoint, error) {
				all, err := s.Checkpoints(ctx)
				for view, c := range all {
					if c.Position == 0 {
						delete(all, view)
					}
				}
				return all, err
			}
		}},
	}
}

// droppingMutants drop too much or too little of a view.
func droppingMutants() []mutant {
	return []mutant{
		dropping("a view is dropped at once", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
			return s.DropRows(ctx, view, max(limit, limit*1_000))
		}),
		dropping("there is never more", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
			_, err := s.DropRows(ctx, view, limit)
			return false, err
		}),
		dropping("dropping an unknown view is an error", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
			if err := ctx.Err(); err == nil && !slices.Contains(viewsOf(s), view) {
				return false, errors.New("no such view")
			}
			return s.DropRows(ctx, view, limit)
		}),
		dropping("no limit is no limit", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
			if limit < 1 {
				limit = 1 << 30
			}
			return s.DropRows(ctx, view, limit)
		}),
		dropping("there is more until nothing was dropped", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
			had := 0
			for _, table := range []string{"t", "u", "w"} {
				pages, _ := snapshotOf(s, ctx, view, eventstore.RowScan{Table: table})
				for _, page := range pages {
					had += len(page.Rows)
				}
			}
			more, err := s.DropRows(ctx, view, limit)
			return more || err == nil && had == limit, err
		}),
		{"checkpoints", "the checkpoint is dropped last", checkpointDroppedLast},
		{"checkpoints", "a view that is dropped in part is listed", droppedInPartListed},
		{"checkpoints", "a table outlives its view", tableOutlivesView},
		committing("checkpoints", "a commit drops the rest of a view", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			err := s.CommitRows(ctx, c)
			if errors.Is(err, eventstore.ErrInvalid) && now(s, c.View).IsZero() && !c.Checkpoint.IsZero() && c.Checkpoint.Position <= headOf(s) {
				_, _ = s.DropRows(ctx, c.View, 1_000)
				err = s.CommitRows(ctx, c)
			}
			return err
		}),
	}
}

// comparing is a mutant that expects another checkpoint than the caller. It is
// given the commit and the view's checkpoint.
func comparing(name string, expected func(c eventstore.RowCommit, is eventstore.Checkpoint) eventstore.Checkpoint) mutant {
	return committing("checkpoints", name, func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
		c.Expected = expected(c, now(s, c.View))
		return s.CommitRows(ctx, c)
	})
}

func checkpointDroppedLast(f *faults) {
	dropped := make(map[eventstore.ViewID]eventstore.Checkpoint)
	f.dropRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
		is := now(s, view)
		more, err := s.DropRows(ctx, view, limit)
		if !more {
			delete(dropped, view)
		} else if !is.IsZero() {
			dropped[view] = is
		}
		return more, err
	}
	f.set = func(view eventstore.ViewID, set *eventstore.RowSet) {
		if c, ok := dropped[view]; ok {
			set.Checkpoint = c
		}
	}
}

func droppedInPartListed(f *faults) {
	inPart := make(map[eventstore.ViewID]bool)
	f.dropRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (more bool, err error) {
		more, err = s.DropRows(ctx, view, limit)
		inPart[view] = more
		return more, err
	}
	f.checkpoints = func(s eventstore.RowStore, ctx context.Context) (map[eventstore.ViewID]eventstore.Checkpoint, error) {
		all, err := s.Checkpoints(ctx)
		for view, listed := range inPart {
			if listed && all != nil {
				all[view] = eventstore.Checkpoint{}
			}
		}
		return all, err
	}
}

// tableOutlivesView brings back table u with the next commit.
func tableOutlivesView(f *faults) {
	var kept []eventstore.Row
	f.dropRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
		pages, _ := snapshotOf(s, ctx, view, eventstore.RowScan{Table: "u"})
		for _, page := range pages {
			kept = append(kept, page.Rows...)
		}
		return s.DropRows(ctx, view, limit)
	}
	f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
		c.Rows = append(slices.Clone(c.Rows), kept...)
		return s.CommitRows(ctx, c)
	}
}
