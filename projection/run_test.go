package projection_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// running is a Run on a goroutine of its own.
type running struct {
	stop context.CancelFunc
	done chan error
}

func start(t testing.TB, run func(ctx context.Context) error) *running {
	ctx, stop := context.WithCancel(t.Context())
	r := &running{stop: stop, done: make(chan error, 1)}
	go func() { r.done <- run(ctx) }()
	t.Cleanup(func() { _ = r.end(t) })
	return r
}

// end stops the run and returns what it ended with.
func (r *running) end(t testing.TB) error {
	r.stop()
	return r.ended(t)
}

// ended waits for the run to end by itself.
func (r *running) ended(t testing.TB) error {
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(20 * time.Second):
		require.Fail(t, "the run does not end")
		return nil
	}
}

func waitFor(t testing.TB, views *host, ps ...*projection.Projection) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	require.NoError(t, views.Wait(ctx, head(t, views.store), ps...))
}

func TestRun(t *testing.T) {
	store, registry, s, shop := newStore(t), shopRegistry(t), newSales(1), newShop(1)
	views := newHost(t, store, registry)
	_, _, err := s.pieces.Get(t.Context(), store, "x")
	require.ErrorIs(t, err, projection.ErrNeverRun)

	shop.trade(t, store, 5000)
	run := start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
	waitFor(t, views, s.Projection)
	s.requireHead(t, store)
	for range 20 {
		shop.trade(t, store, 10)
		waitFor(t, views, s.Projection)
		s.requireHead(t, store)
	}
	require.ErrorIs(t, run.end(t), context.Canceled)
	require.Equal(t, head(t, store), s.require(t, store, nil), "graceful: the position is committed too")

	shop.trade(t, store, 1000)
	s.require(t, store, nil)
	again := newSales(1)
	require.NoError(t, views.CatchUp(t.Context(), again.Projection))
	s.requireHead(t, store)
}

func TestRun_HandlerError(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	newShop(2).trade(t, store, 3000)
	cause := errors.New("no such product")
	s.fail = func(e eventstore.Event) error {
		if e.Position > 1500 && e.Type == "cart.item-removed" {
			return cause
		}
		return nil
	}
	for range 2 { // the same event is the next one, each time
		err := views.Run(t.Context(), s.Projection)
		var failed *projection.HandlerError
		require.ErrorAs(t, err, &failed)
		require.ErrorIs(t, err, cause)
		require.Equal(t, "sales", failed.Projection)
		require.Equal(t, "cart.item-removed", failed.Type)
		require.Greater(t, failed.Position, eventstore.Position(1500))

		status, err := views.Status(t.Context(), s.Projection)
		require.NoError(t, err)
		require.Equal(t, failed.Position, status.Failure.Position)
		require.Equal(t, "no such product", status.Failure.Reason)
		require.Less(t, status.Position, failed.Position)
		require.Equal(t, projection.Rebuilding, status.State, "it has never reached the head")

		_, _, err = s.pieces.Get(t.Context(), store, "x")
		var rebuilding *projection.RebuildingError
		require.ErrorAs(t, err, &rebuilding)
		require.Equal(t, status.Failure, rebuilding.Failure)
		require.ErrorContains(t, err, fmt.Sprintf(`at position %d of 3000 (it failed on type "cart.item-removed" at position %d: no such product)`,
			status.Position, failed.Position))
	}
	s.fail = nil
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	s.requireHead(t, store)
	status, err := views.Status(t.Context(), s.Projection)
	require.NoError(t, err)
	require.Nil(t, status.Failure)
	require.Equal(t, projection.Live, status.State)
}

func TestRun_Panic(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	newShop(3).trade(t, store, 300)
	s.fail = func(e eventstore.Event) error {
		if e.Position > 100 {
			panic(fmt.Errorf("no rows at %d", e.Position))
		}
		return nil
	}
	err := views.Run(t.Context(), s.Projection)
	var panicked *projection.PanicError
	require.ErrorAs(t, err, &panicked)
	require.ErrorContains(t, err, `projection "sales" version 1: type "cart.item-`)
	require.Contains(t, string(panicked.Stack), "run_test.go")
	require.Contains(t, panicked.LogValue().String(), "run_test.go")
	require.ErrorContains(t, panicked.Unwrap(), "no rows at 1")
}

func TestRun_Skip(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	newShop(4).trade(t, store, 2000)
	add(t, store, "cart-1", "cart.item-added", 9, `{}`) // an unknown version
	add(t, store, "cart-1", "cart.item-added", 1, `{"sku":7}`)
	s.OnFailure = projection.Skip
	skipped := skips{2001: true, 2002: true}
	s.fail = func(e eventstore.Event) error {
		if e.Position%10 == 0 {
			skipped[e.Position] = true
			return fmt.Errorf("number %d", e.Position)
		}
		return nil
	}
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	got, at := s.read(t, store)
	require.Equal(t, eventstore.Position(2002), at)
	require.Equal(t, foldSales(t, store, 2000, skipped), got)

	status, err := views.Status(t.Context(), s.Projection)
	require.NoError(t, err)
	require.Equal(t, uint64(len(skipped)), status.SkippedCount)
	require.Len(t, status.Skipped, 100, "the last ones")
	require.Equal(t, eventstore.Position(2002), status.Skipped[0].Position)
	require.Contains(t, status.Skipped[1].Reason, "unknown version 9")
	require.Greater(t, status.Skipped[98].Position, status.Skipped[99].Position)
	require.Nil(t, status.Failure)
}

func TestRun_Retry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, s := newStore(t), shopRegistry(t), newSales(1)
		views := newHost(t, store, registry)
		newShop(5).trade(t, store, 100)
		s.OnFailure = projection.Retry
		var tries []time.Duration
		begin := time.Now()
		s.fail = func(e eventstore.Event) error {
			if e.Position < 50 || len(tries) == 12 {
				return nil
			}
			tries = append(tries, time.Since(begin))
			return errors.New("not now")
		}
		run := start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		time.Sleep(time.Second)
		synctest.Wait()
		status, err := views.Status(t.Context(), s.Projection)
		require.NoError(t, err)
		require.Equal(t, "not now", status.Failure.Reason)
		require.Less(t, status.Position, eventstore.Position(50))

		time.Sleep(3 * time.Minute)
		synctest.Wait()
		require.Len(t, tries, 12)
		require.Equal(t, 100*time.Millisecond, tries[1]-tries[0])
		require.Equal(t, 200*time.Millisecond, tries[2]-tries[1])
		require.Equal(t, 30*time.Second, tries[11]-tries[10])
		s.requireHead(t, store)
		require.ErrorIs(t, run.end(t), context.Canceled)

		tries = nil
		newShop(6).trade(t, store, 10)
		run = start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		time.Sleep(time.Second)
		require.ErrorIs(t, run.end(t), context.Canceled, "it can be stopped while it waits")
	})
}

// TestRun_TwoRunners: two hosts run the same version. The slower one goes on after a while,
// and no event is applied twice.
func TestRun_TwoRunners(t *testing.T) {
	store, registry, shop, logs := newStore(t), shopRegistry(t), newShop(7), &logged{}
	var runs []*running
	for range 2 {
		s := newSales(1)
		views := newHostWith(t, store, registry, projection.Options{Logger: slog.New(logs), MinBackoff: time.Millisecond})
		runs = append(runs, start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) }))
		shop.trade(t, store, 20)
		waitFor(t, views, s.Projection)
	}
	for len(logs.all()) < 5 {
		shop.trade(t, store, 20)
	}
	for _, run := range runs {
		require.ErrorIs(t, run.end(t), context.Canceled)
	}
	for _, err := range logs.all() {
		var conflict *eventstore.CheckpointError
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, eventstore.ViewID("sales@1.1"), conflict.View)
		require.ErrorContains(t, err, `run projection "sales": another process or goroutine runs the same projection: `)
	}
	a := newSales(1)
	require.NoError(t, newHost(t, store, registry).CatchUp(t.Context(), a.Projection))
	a.requireHead(t, store)
}

// counting counts the commits of rows.
type counting struct {
	*memstore.Store
	commits atomic.Int64
}

func (c *counting) CommitRows(ctx context.Context, commit eventstore.RowCommit) error {
	c.commits.Add(1)
	return c.Store.CommitRows(ctx, commit)
}

func TestRun_CommitsWhatItNeedsTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, s := &counting{Store: newStore(t)}, shopRegistry(t), newSales(1)
		views := newHost(t, store, registry)
		newShop(8).trade(t, store, 10_000)
		run := start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		synctest.Wait()
		s.requireHead(t, store)
		require.LessOrEqual(t, store.commits.Swap(0), int64(4+10_000/4096+1), "many events a commit when behind")

		noted := func() {
			add(t, store, "cart-1", "noted", 1, `{}`)
			synctest.Wait()
		}
		for range 100 {
			noted()
		}
		require.Zero(t, store.commits.Load(), "no commit for what is not handled")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, views.Wait(ctx, head(t, store), s.Projection), "it has come there all the same")
		status, err := views.Status(t.Context(), s.Projection)
		require.NoError(t, err)
		require.Zero(t, status.Behind)

		time.Sleep(10 * time.Second)
		noted()
		require.Equal(t, int64(1), store.commits.Swap(0), "but now and then")
		for range 5000 {
			noted()
		}
		require.Equal(t, int64(1), store.commits.Swap(0), "and then")
		add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
		synctest.Wait()
		require.Equal(t, int64(1), store.commits.Swap(0), "at once when something changes")
		require.ErrorIs(t, run.end(t), context.Canceled)
	})
}

func TestRun_ShapeHasChanged(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	newShop(9).trade(t, store, 10)
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	changed := newSales(1)
	projection.NewUnique(changed.lines, "n", func(n int) (int, bool) { return n, false })
	for _, run := range []func(context.Context, ...*projection.Projection) error{views.Run, views.Attach, views.CatchUp} {
		err := run(t.Context(), changed.Projection)
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, "raise the version")
	}
	require.NoError(t, views.Rebuild(t.Context(), nil, changed.Projection))
	changed.requireHead(t, store)
}

// TestRun_HandlerEndsItsGoroutine: the event does not count as applied, and the error says
// what has happened, with any policy.
func TestRun_HandlerEndsItsGoroutine(t *testing.T) {
	for _, policy := range []projection.FailurePolicy{projection.Stop, projection.Skip, projection.Retry} {
		store, registry := newStore(t), countedRegistry(t, func() {})
		addCounted(t, store, 300)
		views := newHost(t, store, registry)
		for i, run := range []func(context.Context, ...*projection.Projection) error{views.CatchUp, views.Run} {
			p := projection.New("p", uint32(i+1))
			p.OnFailure = policy
			projection.On(p, func(_ projection.Tx, e fold.Event[counted]) error {
				if e.Position == 200 {
					runtime.Goexit()
				}
				return nil
			})
			require.ErrorContains(t, run(t.Context(), p), "Goexit")
			status, err := views.Status(t.Context(), p)
			require.NoError(t, err)
			require.Less(t, status.Position, eventstore.Position(200))
			require.ErrorContains(t, views.Wait(t.Context(), 300, p), "Goexit", "it does not wait for more")
		}
	}
}
