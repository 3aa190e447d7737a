package projection_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/projection"
)

// TestAttach_Late: a handler that takes too long stops no append. Its readers are told that
// the view is late, Wait waits, and the view comes back by itself.
func TestAttach_Late(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, s, shop := newStore(t), shopRegistry(t), newSales(1), newShop(1)
		views := newHost(t, store, registry)
		require.NoError(t, views.Attach(t.Context(), s.Projection))
		shop.trade(t, store, 100)
		release := make(chan struct{})
		s.fail = func(eventstore.Event) error { <-release; return nil }
		begun := time.Now()
		shop.trade(t, store, 1)
		require.Equal(t, eventstore.DefaultTimeout, time.Since(begun), "the append waited for the handler")
		shop.trade(t, store, 20)

		var late *projection.LateError
		_, _, err := s.pieces.Get(t.Context(), store, "x")
		require.ErrorAs(t, err, &late)
		require.ErrorIs(t, err, projection.ErrLate)
		require.Equal(t, projection.LateError{Projection: "sales", Version: 1, Actual: 100, State: projection.Live, Err: late.Err}, *late)
		require.ErrorContains(t, err, "time was up")
		for _, err := range s.ranks.Scan(t.Context(), store, projection.Range[int]{}) {
			require.ErrorIs(t, err, projection.ErrLate)
		}
		status, err := views.Status(t.Context(), s.Projection)
		require.NoError(t, err)
		require.Nil(t, status.Fault)
		require.Equal(t, begun.Add(eventstore.DefaultTimeout), status.Late.Since)
		require.EqualValues(t, 100, status.Position)
		require.EqualValues(t, 21, status.Behind)
		require.ErrorIs(t, views.Attach(t.Context(), s.Projection), eventstore.ErrInvalid, "it is attached")

		done := make(chan error, 2)
		go func() { done <- views.Wait(t.Context(), 121, s.Projection) }()
		go func() { done <- views.Ready(t.Context(), s.Projection) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, done)
		close(release)
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		s.requireHead(t, store)
		shop.trade(t, store, 20)
		s.requireHead(t, store)
		status, err = views.Status(t.Context(), s.Projection)
		require.NoError(t, err)
		require.Nil(t, status.Late)
	})
}

// TestAttach_LateAgainAndAgain: the third overrun in succession is a fault, and Wait ends.
func TestAttach_LateAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, s, shop := newStore(t), shopRegistry(t), newSales(1), newShop(1)
		views := newHost(t, store, registry)
		require.NoError(t, views.Attach(t.Context(), s.Projection))
		shop.trade(t, store, 10)
		s.fail = func(eventstore.Event) error { time.Sleep(2 * eventstore.DefaultTimeout); return nil }
		begun := time.Now()
		add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
		require.ErrorIs(t, views.Wait(t.Context(), 11, s.Projection), eventstore.ErrFaulted)
		require.Equal(t, 5*time.Second+300*time.Millisecond, time.Since(begun), "three runs, the last one cut off, and waits of 0.1 and 0.2 s")
		time.Sleep(time.Minute) // until the last run has ended
	})
}

// TestRebuild_WhileLate: a view whose handler never returns is replaced by a rebuild.
func TestRebuild_WhileLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, s, shop := newStore(t), shopRegistry(t), newSales(1), newShop(1)
		views := newHost(t, store, registry)
		require.NoError(t, views.Attach(t.Context(), s.Projection))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.fail = func(eventstore.Event) error { <-ctx.Done(); return nil }
		shop.trade(t, store, 100)
		right := newSales(1)
		require.NoError(t, views.Rebuild(t.Context(), nil, right.Projection))
		right.requireHead(t, store)
		shop.trade(t, store, 100)
		right.requireHead(t, store) // it is attached
		requireNoLeftovers(t, views, right.Projection)
	})
}
