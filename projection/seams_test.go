package projection_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// TestRun_SeesNoRowsOfAnother: a handler never reads rows that another run has committed
// meanwhile, and that is no failure of its event.
func TestRun_SeesNoRowsOfAnother(t *testing.T) {
	store, registry, s, other := newStore(t), shopRegistry(t), newSales(1), newSales(1)
	views := newHost(t, store, registry)
	s.OnFailure = projection.Skip
	addOne := func() { add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`) }
	addOne()
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	addOne()
	addOne()
	s.fail = func(e eventstore.Event) error { // between two reads
		if e.Position == 2 {
			return views.CatchUp(t.Context(), other.Projection)
		}
		return nil
	}
	err := views.CatchUp(t.Context(), s.Projection)
	var conflict *eventstore.CheckpointError
	require.ErrorAs(t, err, &conflict)
	require.ErrorContains(t, err, `type "cart.item-added" at position 2`, "at the first read")
	s.requireHead(t, store)
}

// TestRun_ReadsRowsThatStandAtZero: handlers read the rows of a view whose checkpoint was
// set back to the start of the log by hand.
func TestRun_ReadsRowsThatStandAtZero(t *testing.T) {
	store, registry, p := newStore(t), shopRegistry(t), projection.New("p", 1)
	views := newHost(t, store, registry)
	table := projection.NewTable[string, int](p, "t")
	projection.On(p, func(tx projection.Tx, _ fold.Event[noted]) error {
		return table.In(tx).Update("x", func(n int) int { return n + 1 })
	})
	add(t, store, "", "noted", 1, `{}`)
	require.NoError(t, views.CatchUp(t.Context(), p))
	status, err := views.Status(t.Context(), p)
	require.NoError(t, err)
	set, err := store.GetRows(t.Context(), status.Build)
	require.NoError(t, err)
	require.NoError(t, store.CommitRows(t.Context(), eventstore.RowCommit{
		View: status.Build, Expected: set.Checkpoint, Checkpoint: eventstore.Checkpoint{Data: []byte("{}")},
	}))
	require.NoError(t, views.CatchUp(t.Context(), p))
	x, _, err := table.Get(t.Context(), store, "x")
	require.NoError(t, err)
	require.Equal(t, 2, x.Value)
}

// TestRebuild_FromDifferentPositions: two builds of one pass begin at different positions,
// and neither takes an event twice.
func TestRebuild_FromDifferentPositions(t *testing.T) {
	store, registry, s, m := newStore(t), shopRegistry(t), newSales(1), newMembers()
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 2000)
	m.OnFailure = projection.Skip
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := views.Rebuild(ctx, &projection.RebuildOptions{Progress: func(eventstore.Progress) { cancel() }}, s.Projection)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, views.Rebuild(t.Context(), nil, s.Projection, m.Projection))
	s.requireHead(t, store)
}

// TestRebuild_BesideAnIdleRun: a run goes on with the new build even if it takes none of
// the later events.
func TestRebuild_BesideAnIdleRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, s := newStore(t), shopRegistry(t), newSales(1)
		views := newHost(t, store, registry)
		newShop(1).trade(t, store, 100)
		start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		synctest.Wait()
		require.NoError(t, views.Rebuild(t.Context(), nil, s.Projection))
		add(t, store, "cart-1", "noted", 1, `{}`)
		waitFor(t, views, s.Projection)
		add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
		waitFor(t, views, s.Projection)
		s.requireHead(t, store)
		requireNoLeftovers(t, views, s.Projection)
	})
}

// TestRun_DropsUnfinishedOlderBuilds: a version that was begun, and not finished before a
// later one was live, leaves nothing.
func TestRun_DropsUnfinishedOlderBuilds(t *testing.T) {
	store, registry, s, passed, next := newStore(t), shopRegistry(t), newSales(1), newSales(2), newSales(3)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 100)
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	passed.fail = func(e eventstore.Event) error { return errors.New("wrong") }
	require.ErrorContains(t, views.CatchUp(t.Context(), passed.Projection), "wrong")
	requireState(t, views, passed.Projection, projection.Rebuilding)
	require.NoError(t, views.CatchUp(t.Context(), next.Projection))
	requireState(t, views, passed.Projection, projection.Replaced)
	requireNoLeftovers(t, views, next.Projection)
}

// TestRun_ManyRows applies events that together write more rows than one commit may have;
// each alone does not.
func TestRun_ManyRows(t *testing.T) {
	store, registry := newStore(t), shopRegistry(t)
	views := newHost(t, store, registry)
	p := projection.New("p", 1)
	table := projection.NewTable[projection.Pair[int, int], int](p, "t")
	want := 0
	for _, rows := range []int{10_000, 60_000, 1, 65_536} {
		add(t, store, "", "noted", 1, fmt.Sprintf(`{"Text":"%d"}`, rows))
		want += rows
	}
	projection.On(p, func(tx projection.Tx, e fold.Event[noted]) error {
		var rows int
		if _, err := fmt.Sscan(e.Data.Text, &rows); err != nil {
			return err
		}
		for i := range rows {
			if err := table.In(tx).Put(projection.PairOf(int(e.Position), i), 1); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, views.CatchUp(t.Context(), p))
	n := 0
	for _, err := range table.Scan(t.Context(), store, projection.Range[projection.Pair[int, int]]{}) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, want, n)
}

// interrupted ends a context once a view is attached.
type interrupted struct {
	eventstore.RowStore
	cancel context.CancelFunc
}

func (i *interrupted) Attach(ctx context.Context, v eventstore.InlineView) error {
	defer i.cancel()
	return i.RowStore.Attach(ctx, v)
}

// TestAttach_EndsWithTheSwap: a build that was attached goes live even if the context ends
// in between.
func TestAttach_EndsWithTheSwap(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	newShop(1).trade(t, store, 100)
	ctx, cancel := context.WithCancel(t.Context())
	err := newHost(t, &interrupted{store, cancel}, registry).Attach(ctx, s.Projection)
	require.ErrorIs(t, err, context.Canceled, "old rows may be left to drop")
	newShop(2).trade(t, store, 100)
	s.requireHead(t, store)
}

// TestRun_KnownRowsAreNotThoseOfAnother: a run does not use rows that it has read before
// another run changed them.
func TestRun_KnownRowsAreNotThoseOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, s, other := newStore(t), shopRegistry(t), newSales(1), newSales(1)
		logs := &logged{}
		views := newHostWith(t, store, registry, projection.Options{Logger: slog.New(logs)})
		start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		for range 3 {
			add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
			waitFor(t, views, s.Projection)
		}
		s.fail = func(eventstore.Event) error { // the rows are known, and are changed now
			return newHost(t, store, registry).CatchUp(context.WithoutCancel(t.Context()), other.Projection)
		}
		add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
		waitFor(t, views, s.Projection)
		var conflict *eventstore.CheckpointError
		require.ErrorAs(t, logs.only(t, "projection failed"), &conflict)
		s.requireHead(t, store)

		s.fail = nil
		add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
		waitFor(t, views, s.Projection)
		s.requireHead(t, store)
	})
}

// lost is a store that does not carry out a commit, or whose commit has an unknown outcome.
type lost struct {
	eventstore.RowStore
	lose func(commit func() error) error // nil: nothing is lost
}

func (l *lost) CommitRows(ctx context.Context, c eventstore.RowCommit) error {
	commit := func() error { return l.RowStore.CommitRows(ctx, c) }
	if l.lose == nil {
		return commit()
	}
	return l.lose(commit)
}

// TestRun_ForgetsWhatItCouldNotCommit: after a failed commit, also with an unknown outcome,
// handlers read the stored rows.
func TestRun_ForgetsWhatItCouldNotCommit(t *testing.T) {
	for name, lose := range map[string]func(commit func() error) error{
		"lost":      func(func() error) error { return errInjected },
		"committed": func(commit func() error) error { return errors.Join(commit(), errInjected) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &lost{RowStore: newStore(t)}
				registry, s := shopRegistry(t), newSales(1)
				views := newHost(t, store, registry)
				start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
				for range 5 {
					add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
					waitFor(t, views, s.Projection)
					store.lose = func(commit func() error) error {
						store.lose = nil
						return lose(commit)
					}
				}
				s.requireHead(t, store)
			})
		})
	}
}

// beginning is a store that calls functions around the first commit of a build.
type beginning struct {
	eventstore.RowStore
	before, after func()
	broken        error // of reading
}

func (s *beginning) CommitRows(ctx context.Context, c eventstore.RowCommit) error {
	begins := c.Expected.IsZero() && strings.Contains(string(c.View), "@")
	if begins && s.before != nil {
		s.before()
	}
	err := s.RowStore.CommitRows(ctx, c)
	if begins && s.after != nil {
		s.after()
	}
	return err
}

func (s *beginning) GetRows(ctx context.Context, view eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	if s.broken != nil {
		return eventstore.RowSet{}, s.broken
	}
	return s.RowStore.GetRows(ctx, view, keys...)
}

// TestRun_BeginsABuildThatWasDropped: a build was dropped before its first commit. The run
// leaves no view of it, and goes on with the live build.
func TestRun_BeginsABuildThatWasDropped(t *testing.T) {
	store, registry, s, other := &beginning{RowStore: newStore(t)}, shopRegistry(t), newSales(1), newSales(1)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 100)
	store.before = func() {
		store.before = nil
		require.NoError(t, views.Rebuild(t.Context(), &projection.RebuildOptions{Restart: true}, other.Projection))
	}
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	s.requireHead(t, store)
	requireNoLeftovers(t, views, s.Projection)
}

// TestRun_KeepsABuildOfWhichItCannotTell if it was dropped: the pointer cannot be read.
func TestRun_KeepsABuildOfWhichItCannotTell(t *testing.T) {
	store, registry, s := &beginning{RowStore: newStore(t)}, shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 100)
	store.after = func() { store.broken = errInjected }
	require.ErrorIs(t, views.CatchUp(t.Context(), s.Projection), errInjected)
	checkpoints, err := store.Checkpoints(t.Context())
	require.NoError(t, err)
	require.Contains(t, checkpoints, eventstore.ViewID("sales@1.1"))
	store.after, store.broken = nil, nil
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	s.requireHead(t, store)
	requireNoLeftovers(t, views, s.Projection)
}
