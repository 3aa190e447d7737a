package projection_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// TestRun_NewVersionBesideTheOld runs both versions; the old one is read until the swap.
func TestRun_NewVersionBesideTheOld(t *testing.T) {
	store, registry, shop, old, next := newStore(t), shopRegistry(t), newShop(1), newSales(1), newSales(2)
	views := newHost(t, store, registry)
	shop.trade(t, store, 1000)
	gate := make(chan struct{})
	next.fail = func(e eventstore.Event) error {
		if e.Position > 900 {
			<-gate
		}
		return nil
	}
	run := start(t, func(ctx context.Context) error { return views.Run(ctx, old.Projection) })
	waitFor(t, views, old.Projection)
	runNext := start(t, func(ctx context.Context) error { return views.Run(ctx, next.Projection) })
	for range 10 {
		shop.trade(t, store, 10)
		waitFor(t, views, old.Projection)
		old.requireHead(t, store)
		_, _, err := next.pieces.Get(t.Context(), store, "x")
		if errors.Is(err, projection.ErrNeverRun) {
			continue // its goroutine has not come so far
		}
		var rebuilding *projection.RebuildingError
		require.ErrorAs(t, err, &rebuilding)
		require.LessOrEqual(t, rebuilding.Total, head(t, store))
	}
	close(gate)
	waitFor(t, views, next.Projection)
	next.requireHead(t, store)
	_, _, err := old.pieces.Get(t.Context(), store, "x")
	require.ErrorIs(t, err, projection.ErrReplaced)
	require.ErrorIs(t, views.Wait(t.Context(), 1, old.Projection), projection.ErrReplaced)
	status, err := views.Status(t.Context(), old.Projection)
	require.NoError(t, err)
	require.Equal(t, projection.Replaced, status.State)

	shop.trade(t, store, 10)
	require.ErrorIs(t, run.ended(t), projection.ErrReplaced, "so it has ended")
	waitFor(t, views, next.Projection)
	next.requireHead(t, store)
	require.Equal(t, "context canceled", runNext.end(t).Error())
	requireNoLeftovers(t, views, next.Projection)
}

// TestRebuild_Many rebuilds three projections in one pass. One of them fails.
func TestRebuild_Many(t *testing.T) {
	store, registry, shop := &reads{Store: newStore(t)}, shopRegistry(t), newShop(1)
	views := newHost(t, store, registry)
	shop.trade(t, store, 3000)
	a, m, bad := newSales(1), newMembers(), projection.New("bad", 1)
	m.OnFailure = projection.Skip
	projection.On(bad, func(_ projection.Tx, e fold.Event[noted]) error {
		if e.Position > 1000 {
			return errors.New("wrong")
		}
		return nil
	})
	require.NoError(t, views.CatchUp(t.Context(), a.Projection))
	store.follows.Store(0)
	var last eventstore.Progress
	err := views.Rebuild(t.Context(), &projection.RebuildOptions{Progress: func(p eventstore.Progress) {
		require.GreaterOrEqual(t, p.Done, last.Done)
		require.Equal(t, eventstore.Position(3000), p.Total)
		require.Positive(t, p.Rate)
		last = p
	}}, a.Projection, bad, m.Projection)
	var failed *projection.HandlerError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "bad", failed.Projection)
	require.ErrorContains(t, err, `rebuild: projection "bad" version 1: type "noted" at position`)
	require.Equal(t, eventstore.Position(3000), last.Done)
	require.Zero(t, last.Remaining)
	require.Equal(t, int64(1), store.follows.Load())
	a.requireHead(t, store)
	status, err := views.Status(t.Context(), m.Projection)
	require.NoError(t, err)
	require.Equal(t, projection.Live, status.State)
	require.Positive(t, status.SkippedCount)
	requireState(t, views, bad, projection.Rebuilding)
}

// TestRebuild_ManyMore rebuilds more projections in one pass than a query has items.
func TestRebuild_ManyMore(t *testing.T) {
	store, registry, shop := newStore(t), shopRegistry(t), newShop(1)
	views := newHost(t, store, registry)
	shop.trade(t, store, 50)
	applied := 0
	var all []*projection.Projection
	for i := range eventstore.StandardLimits().ItemsPerQuery + 1 {
		p := projection.New(fmt.Sprint("p", i), 1)
		projection.On(p, func(projection.Tx, fold.Event[ItemAdded]) error {
			applied++
			return nil
		})
		all = append(all, p)
	}
	require.NoError(t, views.Rebuild(t.Context(), nil, all...))
	added := eventstore.Match(eventstore.Item{Types: []string{"cart.item-added"}})
	want := 0
	for _, err := range store.Read(t.Context(), added, eventstore.ReadOptions{}) {
		require.NoError(t, err)
		want += len(all)
	}
	require.Equal(t, want, applied)
}

func requireState(t testing.TB, views *host, p *projection.Projection, want projection.State) {
	t.Helper()
	status, err := views.Status(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, want, status.State)
}

// reads counts the passes over the log.
type reads struct {
	*memstore.Store
	follows atomic.Int64
}

func (r *reads) Follow(ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	r.follows.Add(1)
	return r.Store.Follow(ctx, q, after)
}

// TestRebuild_Resumes: after a cancelled rebuild the next one goes on where it stopped,
// unless it is to begin again.
func TestRebuild_Resumes(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 20_000)
	var from []eventstore.Position
	rebuild := func(until eventstore.Position, restart bool) error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		from = append(from, 0)
		return views.Rebuild(ctx, &projection.RebuildOptions{Restart: restart, Progress: func(p eventstore.Progress) {
			if from[len(from)-1] == 0 {
				from[len(from)-1] = p.Done
			}
			if p.Done > until {
				cancel()
			}
		}}, s.Projection)
	}
	require.ErrorIs(t, rebuild(5000, false), context.Canceled)
	require.ErrorIs(t, rebuild(8000, false), context.Canceled)
	require.Greater(t, from[1], eventstore.Position(5000))
	require.ErrorIs(t, rebuild(3000, true), context.Canceled)
	require.Less(t, from[2], eventstore.Position(1000))
	require.NoError(t, rebuild(1e6, false))
	require.Greater(t, from[3], eventstore.Position(3000))
	s.requireHead(t, store)
	requireNoLeftovers(t, views, s.Projection)
}

func TestStatus(t *testing.T) {
	now := begin
	store := memstore.New(&memstore.Options{Clock: func() time.Time {
		now = now.Add(time.Hour)
		return now
	}})
	s, views := newSales(1), newHost(t, store, shopRegistry(t))
	status, err := views.Status(t.Context(), s.Projection)
	require.NoError(t, err)
	require.Equal(t, projection.Status{Projection: "sales", Version: 1}, status)
	for range 3 {
		add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
	}
	status, err = views.Status(t.Context(), s.Projection)
	require.NoError(t, err)
	require.Equal(t, projection.Status{Projection: "sales", Version: 1, Head: 3, Behind: 3, Lag: 2 * time.Hour}, status)

	before := time.Now()
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	for range 2 {
		add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
	}
	status, err = views.Status(t.Context(), s.Projection)
	require.NoError(t, err)
	require.WithinRange(t, status.Progress, before, time.Now())
	status.Progress = time.Time{}
	require.Equal(t, projection.Status{
		Projection: "sales", Version: 1, State: projection.Live, Build: "sales@1.1",
		Position: 3, Head: 5, Behind: 2, Lag: 2 * time.Hour,
	}, status)

	require.NoError(t, views.Attach(t.Context(), s.Projection))
	status, err = views.Status(t.Context(), s.Projection)
	require.NoError(t, err)
	require.Zero(t, status.Behind)
	require.Equal(t, begin.Add(5*time.Hour), status.Progress)
	requireState(t, views, newSales(2).Projection, projection.NeverRun)
}

func TestBuild(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	view, err := projection.Build(t.Context(), store, registry, s.Projection, nil)
	require.NoError(t, err)
	_, at := s.read(t, view)
	require.Zero(t, at)

	newShop(1).trade(t, store, 1000)
	for _, to := range []eventstore.Position{0, 1, 500, 1000, 2000} {
		view, err := projection.Build(t.Context(), store, registry, s.Projection, &projection.BuildOptions{To: to})
		require.NoError(t, err)
		got, at := s.read(t, view)
		if to == 0 || to == 2000 {
			to = 1000
		}
		require.Equal(t, to, at)
		require.Equal(t, foldSales(t, store, to, nil), got)
		row, ok, err := s.ranks.Get(t.Context(), view, 1<<30)
		require.NoError(t, err)
		require.False(t, ok, row)
		_, _, err = newSales(2).pieces.Get(t.Context(), view, "x")
		require.ErrorIs(t, err, projection.ErrNeverRun)
		_, _, err = newMembers().mails.Get(t.Context(), view, "x")
		require.ErrorIs(t, err, projection.ErrNeverRun)
	}
	checkpoints, err := store.Checkpoints(t.Context())
	require.NoError(t, err)
	require.Empty(t, checkpoints, "nothing is stored")

	s.fail = func(e eventstore.Event) error { return errors.New("wrong") }
	_, err = projection.Build(t.Context(), store, registry, s.Projection, nil)
	require.ErrorContains(t, err, "wrong")
	s.OnFailure = projection.Skip
	view, err = projection.Build(t.Context(), store, registry, s.Projection, nil)
	require.NoError(t, err)
	got, _ := s.read(t, view)
	require.Empty(t, got.Pieces)
}

// TestRebuild_ManyAtOnce: of many calls of Rebuild only some read the log at a time, and one
// that waits ends with its context.
func TestRebuild_ManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry := newStore(t), shopRegistry(t)
		views := newHost(t, store, registry)
		newShop(1).trade(t, store, 10)
		most := max(4, runtime.GOMAXPROCS(0))
		var running, calls atomic.Int32
		release := make(chan struct{})
		opts := &projection.RebuildOptions{Progress: func(eventstore.Progress) {
			running.Add(1)
			defer running.Add(-1)
			<-release
		}}
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 3 * most {
			p := newSales(1).Projection
			if i > 0 {
				p = projection.New(fmt.Sprint("p", i), 1)
				projection.On(p, func(projection.Tx, fold.Event[ItemAdded]) error { return nil })
			}
			go func() {
				if err := views.Rebuild(ctx, opts, p); err == nil || errors.Is(err, context.Canceled) {
					calls.Add(1)
				}
			}()
		}
		synctest.Wait()
		require.EqualValues(t, most, running.Load())
		require.Zero(t, calls.Load())
		cancel()
		synctest.Wait()
		require.EqualValues(t, 2*most, calls.Load())
		close(release)
		synctest.Wait()
		require.EqualValues(t, 3*most, calls.Load())
	})
}
