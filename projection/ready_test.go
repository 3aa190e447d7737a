package projection_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/projection"
)

// wait calls do on a goroutine of its own, and returns the channel of its error.
func wait(do func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	synctest.Wait()
	return done
}

// TestReady_Live: Ready waits for projections that are run later, and does not wait for
// live ones.
func TestReady_Live(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s, m := newStore(t), newSales(1), newMembers()
		views := newHost(t, store, shopRegistry(t))
		ready := wait(func() error { return views.Ready(t.Context(), s.Projection, m.Projection) })
		require.NoError(t, views.CatchUp(t.Context(), s.Projection))
		synctest.Wait()
		require.Empty(t, ready, "the other one is not live")
		require.NoError(t, views.Attach(t.Context(), m.Projection))
		require.NoError(t, <-ready)
		newShop(1).trade(t, store, 100) // and far behind
		require.NoError(t, views.Ready(t.Context(), s.Projection))
	})
}

// TestReady_Rebuilding: Ready waits until a Run or a Rebuild has made the version live.
func TestReady_Rebuilding(t *testing.T) {
	for _, rebuild := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store, old, next := newStore(t), newSales(1), newSales(2)
			views := newHost(t, store, shopRegistry(t))
			newShop(1).trade(t, store, 100)
			require.NoError(t, views.CatchUp(t.Context(), old.Projection))
			gate := make(chan struct{})
			next.fail = func(e eventstore.Event) error {
				if e.Position > 90 {
					<-gate
				}
				return nil
			}
			start(t, func(ctx context.Context) error {
				if rebuild {
					return views.Rebuild(ctx, nil, next.Projection)
				}
				return views.Run(ctx, next.Projection)
			})
			ready := wait(func() error { return views.Ready(t.Context(), next.Projection) })
			require.Empty(t, ready)
			requireState(t, views, next.Projection, projection.Rebuilding)
			close(gate)
			require.NoError(t, <-ready)
			next.requireHead(t, store)
		})
	}
}

// TestReady_Late: the context ends before the version is live.
func TestReady_Late(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := newStore(t), newSales(1)
		views := newHost(t, store, shopRegistry(t))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := views.Ready(ctx, s.Projection)
		var late *projection.LateError
		require.ErrorAs(t, err, &late)
		require.Equal(t, projection.LateError{Projection: "sales", Version: 1, Err: context.DeadlineExceeded}, *late)
		require.ErrorIs(t, err, projection.ErrLate)
		require.EqualError(t, err, `projection "sales" version 1 is not live yet: context deadline exceeded`)

		newShop(1).trade(t, store, 100)
		s.OnFailure = projection.Retry
		s.fail = func(eventstore.Event) error { return errors.New("not now") }
		start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = views.Wait(ctx, 100, s.Projection)
		require.ErrorAs(t, err, &late)
		require.Equal(t, projection.Rebuilding, late.State)
		require.EqualError(t, err, `committed, view late: projection "sales" version 1 is not live yet, waited for position 100: `+
			`context deadline exceeded (it failed on type "`+late.Failure.Type+`" at position `+fmt.Sprint(late.Failure.Position)+`: not now)`)
	})
}

// TestReady_Faulted: Ready ends at once, also if the fault comes while it waits.
func TestReady_Faulted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := newStore(t), newSales(1)
		views := newHost(t, store, shopRegistry(t))
		newShop(1).trade(t, store, 10)
		ready := wait(func() error { return views.Ready(t.Context(), s.Projection) })
		s.fail = func(eventstore.Event) error { return errors.New("wrong") }
		require.ErrorIs(t, views.Attach(t.Context(), s.Projection), eventstore.ErrFaulted)
		require.ErrorIs(t, <-ready, eventstore.ErrFaulted)
		require.ErrorIs(t, views.Ready(t.Context(), s.Projection), eventstore.ErrFaulted)
	})
}

// TestReady_Replaced: Ready ends at once, also if a later version becomes live while it
// waits.
func TestReady_Replaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, old, next := newStore(t), newSales(1), newSales(2)
		views := newHost(t, store, shopRegistry(t))
		ready := wait(func() error { return views.Ready(t.Context(), old.Projection) })
		require.NoError(t, views.CatchUp(t.Context(), next.Projection))
		require.ErrorIs(t, <-ready, projection.ErrReplaced)
		require.ErrorIs(t, views.Ready(t.Context(), old.Projection), projection.ErrReplaced)
	})
}

// TestReady_Stopped: Ready ends at once if the run has stopped at an event, and waits again
// when the projection is run again.
func TestReady_Stopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := newStore(t), newSales(1)
		views := newHost(t, store, shopRegistry(t))
		newShop(1).trade(t, store, 100)
		s.fail = func(e eventstore.Event) error {
			if e.Position > 50 {
				return errors.New("wrong")
			}
			return nil
		}
		ready := wait(func() error { return views.Ready(t.Context(), s.Projection) })
		run := start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		for _, err := range []error{<-ready, views.Ready(t.Context(), s.Projection), views.Wait(t.Context(), 100, s.Projection)} {
			var failed *projection.HandlerError
			require.ErrorAs(t, err, &failed)
			require.ErrorIs(t, err, projection.ErrLate)
			require.Greater(t, failed.Position, eventstore.Position(50))
		}
		require.EqualError(t, views.Ready(t.Context(), s.Projection),
			`projection "sales" version 1 is not live yet: `+run.ended(t).Error())

		// Another program, which may put it right, waits, and so does this one
		// while it is run again.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := newHost(t, store, shopRegistry(t)).Ready(ctx, s.Projection)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, ": wrong)")
		s.fail = func(eventstore.Event) error {
			time.Sleep(time.Millisecond)
			return nil
		}
		start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		synctest.Wait()
		require.NoError(t, views.Ready(t.Context(), s.Projection))
		s.requireHead(t, store)
	})
}

// TestWait_Stopped: after its run has stopped, a view can still be read, and Wait for a
// later position ends at once.
func TestWait_Stopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t)
		views := newHost(t, store, shopRegistry(t))
		wrong := failing(3, func() error { return errors.New("wrong") })
		start(t, func(ctx context.Context) error { return views.Run(ctx, wrong) })
		require.NoError(t, views.Ready(t.Context(), wrong))
		waiting := wait(func() error { return views.Wait(t.Context(), 3, wrong) })
		for range 3 {
			add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
			synctest.Wait()
		}
		require.EqualError(t, <-waiting, `committed, view late: projection "failing" version 1 is at position 2, waited for position 3: `+
			`run: projection "failing" version 1: type "cart.item-added" at position 3: wrong`)
		require.NoError(t, views.Wait(t.Context(), 2, wrong))
		require.NoError(t, views.Ready(t.Context(), wrong), "it can be read")
	})
}
