package storetest

import (
	"context"
	"iter"
	"maps"
	"slices"
	"testing"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// rowFaults replace methods of a RowStore, as faults replace those of a Store.
type rowFaults struct {
	getRows     func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error)
	scanRows    func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error]
	commitRows  func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error
	checkpoints func(s eventstore.RowStore, ctx context.Context) (map[eventstore.ViewID]eventstore.Checkpoint, error)
	dropRows    func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error)
	attach      func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error

	set func(view eventstore.ViewID, set *eventstore.RowSet) // changes every page, and the result of GetRows
}

func (b *broken) rows() eventstore.RowStore { return b.Store.(eventstore.RowStore) }

func (b *broken) GetRows(ctx context.Context, view eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	get := b.getRows
	if get == nil {
		get = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error) {
			return s.GetRows(ctx, view, keys...)
		}
	}
	set, err := get(b.rows(), ctx, view, keys)
	if err == nil && b.set != nil {
		b.set(view, &set)
	}
	return set, err
}

func (b *broken) ScanRows(ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
	seq := b.rows().ScanRows(ctx, view, scan)
	if b.scanRows != nil {
		seq = b.scanRows(b.rows(), ctx, view, scan)
	}
	if b.set == nil {
		return seq
	}
	return changedPages(seq, func(page *eventstore.RowSet) { b.set(view, page) })
}

func (b *broken) CommitRows(ctx context.Context, c eventstore.RowCommit) error {
	if b.commitRows != nil {
		return b.commitRows(b.rows(), ctx, c)
	}
	return b.rows().CommitRows(ctx, c)
}

func (b *broken) Checkpoints(ctx context.Context) (map[eventstore.ViewID]eventstore.Checkpoint, error) {
	if b.checkpoints != nil {
		return b.checkpoints(b.rows(), ctx)
	}
	return b.rows().Checkpoints(ctx)
}

func (b *broken) DropRows(ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
	if b.dropRows != nil {
		return b.dropRows(b.rows(), ctx, view, limit)
	}
	return b.rows().DropRows(ctx, view, limit)
}

func (b *broken) Attach(ctx context.Context, v eventstore.InlineView) error {
	if b.attach != nil {
		return b.attach(b.rows(), ctx, v)
	}
	return b.rows().Attach(ctx, v)
}

// reopened returns the log of a store that is opened again, without attached views.
func reopened(log *memstore.Store) *memstore.Store {
	_ = log.Close()
	again, err := log.Reopen()
	if err != nil {
		panic(err)
	}
	return again
}

// writable returns the error of every call that changes the store.
func (m *memory) writable() error {
	if m.readOnly {
		return eventstore.ErrReadOnly
	}
	return m.closed()
}

func (m *memory) GetRows(ctx context.Context, view eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	if err := m.closed(); err != nil {
		return eventstore.RowSet{}, err
	}
	return m.log.GetRows(ctx, view, keys...)
}

func (m *memory) ScanRows(ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
	seq := m.log.ScanRows(ctx, view, scan)
	return func(yield func(eventstore.RowSet, error) bool) {
		for page, err := range seq {
			if m.closed() != nil {
				yield(eventstore.RowSet{}, eventstore.ErrClosed)
				return
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

func (m *memory) CommitRows(ctx context.Context, c eventstore.RowCommit) error {
	if err := m.writable(); err != nil {
		return err
	}
	return m.log.CommitRows(ctx, c)
}

func (m *memory) Checkpoints(ctx context.Context) (map[eventstore.ViewID]eventstore.Checkpoint, error) {
	if err := m.closed(); err != nil {
		return nil, err
	}
	return m.log.Checkpoints(ctx)
}

func (m *memory) DropRows(ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
	if err := m.writable(); err != nil {
		return false, err
	}
	return m.log.DropRows(ctx, view, limit)
}

func (m *memory) Attach(ctx context.Context, v eventstore.InlineView) error {
	if err := m.writable(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(m.open, cancel)()
	err := m.log.Attach(ctx, v)
	if m.closed() != nil {
		return eventstore.ErrClosed
	}
	return err
}

// Constructors of mutants of rows.

func getting(family, name string, fault func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error)) mutant {
	return mutant{family, name, func(f *faults) { f.getRows = fault }}
}

func scanning(family, name string, fault func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error]) mutant {
	return mutant{family, name, func(f *faults) { f.scanRows = fault }}
}

// scanningFor is a mutant that changes the scan.
func scanningFor(name string, change func(scan *eventstore.RowScan)) mutant {
	return scanning("scans", name, func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
		change(&scan)
		return s.ScanRows(ctx, view, scan)
	})
}

func committing(family, name string, fault func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error) mutant {
	return mutant{family, name, func(f *faults) { f.commitRows = fault }}
}

// committingRows is a mutant that changes the rows of a commit.
func committingRows(family, name string, change func(rows []eventstore.Row) []eventstore.Row) mutant {
	return committing(family, name, func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
		c.Rows = change(slices.Clone(c.Rows))
		return s.CommitRows(ctx, c)
	})
}

func dropping(name string, fault func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error)) mutant {
	return mutant{"checkpoints", name, func(f *faults) { f.dropRows = fault }}
}

func attaching(family, name string, fault func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error) mutant {
	return mutant{family, name, func(f *faults) { f.attach = fault }}
}

// applying is a mutant with another Apply.
func applying(family, name string, fault func(v eventstore.InlineView, s eventstore.RowStore, ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error) mutant {
	return attaching(family, name, func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
		changed := v
		if v.Apply != nil {
			changed.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
				return fault(v, s, ctx, tx, events)
			}
		}
		return s.Attach(ctx, changed)
	})
}

// showing is a mutant that changes the RowSets that it returns.
func showing(family, name string, change func(view eventstore.ViewID, set *eventstore.RowSet)) mutant {
	return mutant{family, name, func(f *faults) { f.set = change }}
}

// reopeningRows is a mutant that is broken once it is reopened.
func reopeningRows(family, name string, breaks func(f *faults)) mutant {
	return mutant{family, name, func(f *faults) {
		f.config = func(cfg *Config) {
			reopen := cfg.Reopen
			cfg.Reopen = func(tb testing.TB, s eventstore.Store) eventstore.Store {
				again := reopen(tb, s).(*broken)
				again.faults = new(faults)
				breaks(again.faults)
				return again
			}
		}
	}}
}

func readOnlyWrites(family string) mutant {
	return mutant{family, "read-only mode writes", func(f *faults) {
		f.config = func(cfg *Config) { cfg.OpenReadOnly = cfg.Reopen }
	}}
}

// changedPages changes the pages of a scan.
func changedPages(seq iter.Seq2[eventstore.RowSet, error], change func(page *eventstore.RowSet)) iter.Seq2[eventstore.RowSet, error] {
	return func(yield func(eventstore.RowSet, error) bool) {
		for page, err := range seq {
			if err == nil {
				change(&page)
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

// now returns a view's checkpoint.
func now(s eventstore.RowStore, view eventstore.ViewID) eventstore.Checkpoint {
	set, _ := s.GetRows(context.Background(), view)
	return set.Checkpoint
}

// headOf returns a store's head.
func headOf(s eventstore.RowStore) eventstore.Position {
	head, _ := s.Head(context.Background())
	return head
}

// viewsOf returns the views that have a checkpoint.
func viewsOf(s eventstore.RowStore) []eventstore.ViewID {
	all, _ := s.Checkpoints(context.Background())
	return slices.Sorted(maps.Keys(all))
}
