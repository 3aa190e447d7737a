package storetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

func inlineMutants() []mutant {
	return slices.Concat(catchUpMutants(), attachMutants(), attachedMutants(), applyMutants(), rowTxMutants())
}

// catchUpMutants attach wrongly, or lose or repeat a commit where catching up
// becomes live.
func catchUpMutants() []mutant {
	return []mutant{
		attaching("inline", "the view is written after the append", attachAsync),
		attaching("inline", "the view does not catch up", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			moveTo(s, v.View, headOf(s))
			return s.Attach(ctx, v)
		}),
		attaching("inline", "the view catches up from the start", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			moveTo(s, v.View, 0)
			return s.Attach(ctx, v)
		}),
		{"inline", "the last commit is applied twice at the seam", appliedTwice},
		{"inline", "the first commit after the seam is lost", lostAtSeam},
		{"inline", "of views attached at once one is forgotten", func(f *faults) {
			var busy sync.Mutex
			f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
				if !busy.TryLock() {
					return nil
				}
				defer busy.Unlock()
				time.Sleep(time.Millisecond)
				return s.Attach(ctx, v)
			}
		}},
	}
}

// attachMutants treat the arguments of Attach or its errors wrongly.
func attachMutants() []mutant {
	return []mutant{
		attaching("inline", "a view is attached twice", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			return unless(s.Attach(ctx, v), eventstore.ErrInvalid)
		}),
		attaching("inline", "Attach ignores its context", func(s eventstore.RowStore, _ context.Context, v eventstore.InlineView) error {
			return s.Attach(context.Background(), v)
		}),
		attaching("inline", "Attach of a closed store has an error of its own", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			err := s.Attach(ctx, v)
			if errors.Is(err, eventstore.ErrClosed) {
				return errors.New("closed")
			}
			return err
		}),
		attaching("inline", "a negative Timeout is the default", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			v.Timeout = max(0, v.Timeout)
			return s.Attach(ctx, v)
		}),
	}
}

// attachedMutants are wrong about which views are attached, and what may be done to
// them.
func attachedMutants() []mutant {
	return []mutant{
		committing("inline", "a commit on an attached view is ignored", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			return unless(s.CommitRows(ctx, c), eventstore.ErrInvalid)
		}),
		{"inline", "a view that is dropped stays attached", func(f *faults) {
			var attached sync.Map
			f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
				attached.Store(v.View, v)
				return s.Attach(ctx, v)
			}
			f.dropRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
				more, err := s.DropRows(ctx, view, limit)
				if v, ok := attached.Load(view); ok && !more {
					_ = s.Attach(ctx, v.(eventstore.InlineView))
				}
				return more, err
			}
		}},
		showing("inline", "the checkpoint's data is lost", func(_ eventstore.ViewID, set *eventstore.RowSet) {
			if set.Checkpoint.Position > 0 {
				set.Checkpoint.Data = nil
			}
		}),
		{"inline", "views stay attached when reopened", func(f *faults) {
			f.config = func(cfg *Config) {
				var attached atomic.Pointer[eventstore.InlineView]
				open, reopen := cfg.Open, cfg.Reopen
				cfg.Open = func(tb testing.TB) eventstore.Store {
					s := open(tb).(*broken)
					remember(s.faults, &attached)
					return s
				}
				cfg.Reopen = func(tb testing.TB, s eventstore.Store) eventstore.Store {
					again := reopen(tb, s).(*broken)
					if v := attached.Load(); v != nil {
						_ = again.rows().Attach(context.Background(), *v)
					}
					return again
				}
			}
		}},
		readOnlyWrites("inline"),
	}
}

// applyMutants call Apply at wrong times, with other events or with another context.
func applyMutants() []mutant {
	return []mutant{
		applying("inline", "events are given one by one", func(v eventstore.InlineView, _ eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			for i := range events {
				if err := v.Apply(ctx, tx, events[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		}),
		attaching("inline", "all events are given", func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
			if !v.Query.IsAll() && len(v.Query.Items()) > 0 {
				v.Query = eventstore.All()
			}
			return s.Attach(ctx, v)
		}),
		{"inline", "the checkpoint stays where nothing matches", checkpointStays},
		applying("inline", "Apply's context is without end", func(v eventstore.InlineView, _ eventstore.RowStore, _ context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			return v.Apply(context.Background(), tx, events)
		}),
		applying("inline", "Apply's context is like any other", func(v eventstore.InlineView, _ eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			deadline, _ := ctx.Deadline()
			unknown, cancel := context.WithDeadline(context.Background(), deadline)
			defer cancel()
			return v.Apply(unknown, tx, events)
		}),
		applying("inline", "an ended context is a fault", func(v eventstore.InlineView, _ eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			err := v.Apply(ctx, tx, events)
			if len(events) > 300 {
				return context.Canceled
			}
			return err
		}),
		{"inline", "readers wait for Apply", readersWait},
		{"inline", "a commit is applied before it is judged", appliedUnjudged},
		{"inline", "commits of rows are applied", func(f *faults) {
			var attached atomic.Pointer[eventstore.InlineView]
			remember(f, &attached)
			f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
				err := s.CommitRows(ctx, c)
				if v := attached.Load(); v != nil {
					_ = v.Apply(ctx, rows.New(committedRows{s, v.View}), nil)
				}
				return err
			}
		}},
	}
}

// rowTxMutants give Apply a RowTx that reads or writes wrongly.
func rowTxMutants() []mutant {
	return []mutant{
		applying("inline", "Apply reads committed rows only", func(v eventstore.InlineView, s eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			return v.Apply(ctx, changedTx{RowTx: tx, reads: committedRows{s, v.View}}, events)
		}),
		applying("inline", "deletions are lost", func(v eventstore.InlineView, _ eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			return v.Apply(ctx, changedTx{RowTx: tx, put: func(rows []eventstore.Row) error {
				for _, r := range rows {
					if r.Value != nil {
						if err := tx.Put(r); err != nil {
							return err
						}
					}
				}
				return nil
			}}, events)
		}),
		applying("inline", "rows that Apply puts are not checked", func(v eventstore.InlineView, _ eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			return v.Apply(ctx, changedTx{RowTx: tx, put: func(rows []eventstore.Row) error { return unless(tx.Put(rows...), eventstore.ErrInvalid) }}, events)
		}),
		applying("inline", "rows that Apply puts are not copied", func(v eventstore.InlineView, _ eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			var kept []eventstore.Row
			err := v.Apply(ctx, changedTx{RowTx: tx, put: func(rows []eventstore.Row) error {
				kept = append(kept, rows...)
				return tx.Put(rows...)
			}}, events)
			if err != nil {
				return err
			}
			return tx.Put(kept...)
		}),
		applying("inline", "the RowTx works on", func(v eventstore.InlineView, _ eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			return v.Apply(ctx, changedTx{RowTx: tx, put: func(rows []eventstore.Row) error { _ = tx.Put(rows...); return nil }}, events)
		}),
	}
}

// remember notes the last view that was attached.
func remember(f *faults, attached *atomic.Pointer[eventstore.InlineView]) {
	f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
		err := s.Attach(ctx, v)
		if err == nil {
			attached.Store(&v)
		}
		return err
	}
}

// moveTo moves a view's checkpoint.
func moveTo(s eventstore.RowStore, view eventstore.ViewID, p eventstore.Position) {
	is := now(s, view)
	next := is
	next.Position = p
	if next.IsZero() {
		next.Data = []byte("moved")
	}
	_ = s.CommitRows(context.Background(), eventstore.RowCommit{View: view, Expected: is, Checkpoint: next})
}

// attachAsync follows the log, as an async view does.
func attachAsync(s eventstore.RowStore, _ context.Context, v eventstore.InlineView) error {
	go func() {
		for batch, err := range s.Follow(context.Background(), v.Query, now(s, v.View).Position) {
			if err != nil {
				return
			}
			tx := rows.New(committedRows{s, v.View})
			if len(batch.Events) > 0 && v.Apply(context.Background(), tx, batch.Events) != nil {
				return
			}
			next := eventstore.Checkpoint{Position: batch.Through, Data: []byte{0}}
			_ = s.CommitRows(context.Background(), eventstore.RowCommit{View: v.View, Expected: now(s, v.View), Checkpoint: next, Rows: tx.Rows()})
		}
	}()
	return nil
}

// appliedTwice applies a view's last commit again, once it is attached.
func appliedTwice(f *faults) {
	f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
		var mu sync.Mutex
		var last []eventstore.Event
		live, again := false, false
		inner := v.Apply
		if inner == nil {
			return s.Attach(ctx, v)
		}
		v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			mu.Lock()
			defer mu.Unlock()
			if live && !again && last != nil {
				again = true
				if err := inner(ctx, tx, last); err != nil {
					return err
				}
			}
			last = events
			return inner(ctx, tx, events)
		}
		err := s.Attach(ctx, v)
		mu.Lock()
		defer mu.Unlock()
		live = true
		return err
	}
}

// lostAtSeam skips the first commit after the view is attached.
func lostAtSeam(f *faults) {
	f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
		var live, lost atomic.Bool
		inner := v.Apply
		if inner == nil {
			return s.Attach(ctx, v)
		}
		v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			if live.Load() && lost.CompareAndSwap(false, true) {
				return nil
			}
			return inner(ctx, tx, events)
		}
		err := s.Attach(ctx, v)
		live.Store(true)
		return err
	}
}

// checkpointStays shows attached views at the last event that they were given.
func checkpointStays(f *faults) {
	var mu sync.Mutex
	last := make(map[eventstore.ViewID]eventstore.Position)
	f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
		inner := v.Apply
		if inner != nil {
			v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
				mu.Lock()
				last[v.View] = events[len(events)-1].Position
				mu.Unlock()
				return inner(ctx, tx, events)
			}
		}
		return s.Attach(ctx, v)
	}
	f.set = func(view eventstore.ViewID, set *eventstore.RowSet) {
		mu.Lock()
		defer mu.Unlock()
		if p, ok := last[view]; ok {
			set.Checkpoint.Position = p
		}
	}
}

// readersWait holds a lock during an append that readers need.
func readersWait(f *faults) {
	busy := make(chan struct{}, 1)
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		busy <- struct{}{}
		defer func() { <-busy }()
		return s.Append(ctx, c)
	}
	f.read = func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
		select {
		case busy <- struct{}{}:
			<-busy
		case <-ctx.Done():
		}
		return s.Read(ctx, q, opts)
	}
}

func appliedUnjudged(f *faults) {
	var attached atomic.Pointer[eventstore.InlineView]
	remember(f, &attached)
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		receipt, err := s.Append(ctx, c)
		if v := attached.Load(); v != nil && (receipt.Repeated || errors.Is(err, eventstore.ErrConflict)) {
			_ = v.Apply(ctx, rows.New(committedRows{s.(eventstore.RowStore), v.View}), []eventstore.Event{{Type: c.Events[0].Type}})
		}
		return receipt, err
	}
}

// changedTx is a RowTx with other reads or writes.
type changedTx struct {
	eventstore.RowTx
	reads rows.Base                         // nil: unchanged
	put   func(rows []eventstore.Row) error // nil: unchanged
}

func (c changedTx) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	if c.reads != nil {
		return c.reads.Get(keys...)
	}
	return c.RowTx.Get(keys...)
}

func (c changedTx) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	if c.reads != nil {
		return c.reads.Scan(scan)
	}
	return c.RowTx.Scan(scan)
}

func (c changedTx) Put(rows ...eventstore.Row) error {
	if c.put != nil {
		return c.put(rows)
	}
	return c.RowTx.Put(rows...)
}

// committedRows are a view's committed rows.
type committedRows struct {
	store eventstore.RowStore
	view  eventstore.ViewID
}

func (c committedRows) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	set, err := c.store.GetRows(context.Background(), c.view, keys...)
	return set.Rows, err
}

func (c committedRows) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return func(yield func(eventstore.Row, error) bool) {
		for page, err := range c.store.ScanRows(context.Background(), c.view, scan) {
			if err != nil {
				yield(eventstore.Row{}, err)
				return
			}
			for _, r := range page.Rows {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}
