package projection_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

func TestAttach(t *testing.T) {
	store, registry, s, shop := newStore(t), shopRegistry(t), newSales(1), newShop(1)
	views := newHost(t, store, registry)
	shop.trade(t, store, 1000)
	require.NoError(t, views.Attach(t.Context(), s.Projection))
	s.requireHead(t, store)
	for range 100 {
		shop.trade(t, store, 3)
		_, at := s.read(t, store)
		require.Equal(t, head(t, store), at, "it is shown when Append returns")
		s.requireHead(t, store)
	}
	require.ErrorIs(t, views.Attach(t.Context(), s.Projection), eventstore.ErrInvalid)
	add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
	require.NoError(t, views.CatchUp(t.Context(), s.Projection), "there is nothing to do")
	s.requireHead(t, store)
}

// TestAttach_Fault: a handler that fails or panics stops no append. Readers
// get the fault until the view is rebuilt; then it is attached again.
func TestAttach_Fault(t *testing.T) {
	for name, wrong := range map[string]func() error{
		"error": func() error { return errors.New("wrong") },
		"panic": func() error { panic("wrong") },
	} {
		t.Run(name, func(t *testing.T) {
			store, registry, s, shop := newStore(t), shopRegistry(t), newSales(1), newShop(1)
			views := newHost(t, store, registry)
			require.NoError(t, views.Attach(t.Context(), s.Projection))
			shop.trade(t, store, 100)
			s.fail = func(eventstore.Event) error { return wrong() }
			add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
			shop.trade(t, store, 100)

			var faulted *eventstore.FaultedError
			_, _, err := s.pieces.Get(t.Context(), store, "x")
			require.ErrorAs(t, err, &faulted)
			require.Equal(t, eventstore.FaultedError{View: "sales@1.1", Through: 100, Fault: faulted.Fault}, *faulted)
			require.Equal(t, eventstore.Position(101), faulted.Fault.Position)
			for _, err := range s.ranks.Scan(t.Context(), store, projection.Range[int]{}) {
				require.ErrorIs(t, err, eventstore.ErrFaulted)
			}
			require.ErrorIs(t, views.Wait(t.Context(), 101, s.Projection), eventstore.ErrFaulted, "at once")
			require.ErrorIs(t, views.CatchUp(t.Context(), s.Projection), eventstore.ErrFaulted)
			require.ErrorIs(t, views.Attach(t.Context(), s.Projection), eventstore.ErrFaulted)
			status, err := views.Status(t.Context(), s.Projection)
			require.NoError(t, err)
			require.Equal(t, faulted.Fault, *status.Fault)
			require.Equal(t, uint64(head(t, store)-100), status.Behind)

			right := newSales(1) // the program is put right and started again
			require.ErrorIs(t, views.Attach(t.Context(), right.Projection), eventstore.ErrFaulted)
			require.NoError(t, views.Rebuild(t.Context(), nil, right.Projection))
			right.requireHead(t, store)
			shop.trade(t, store, 100)
			right.requireHead(t, store) // it is attached
			requireNoLeftovers(t, views, right.Projection)
		})
	}
}

// TestAttach_FaultSaysEachThingOnce: the fault names the first event of a commit, so the
// reason names only another event.
func TestAttach_FaultSaysEachThingOnce(t *testing.T) {
	for wrong, reason := range map[eventstore.Position]string{1: "panic: boom", 2: `type "noted" at position 2: panic: boom`} {
		store, registry, p := newStore(t), shopRegistry(t), projection.New("p", 1)
		views := newHost(t, store, registry)
		projection.On(p, func(_ projection.Tx, e fold.Event[noted]) error {
			if e.Position == wrong {
				panic("boom")
			}
			return nil
		})
		require.NoError(t, views.Attach(t.Context(), p))
		event := eventstore.NewEvent{Type: "noted", SchemaVersion: 1, Codec: codec.JSON, Data: []byte(`{}`)}
		_, err := store.Append(t.Context(), eventstore.Commit{Events: []eventstore.NewEvent{event, event}})
		require.NoError(t, err)
		require.EqualError(t, views.Wait(t.Context(), 2, p),
			`wait for projection "p": view has a fault: view "p@1.1" at position 0, on type "noted" at position 1: `+reason)
	}
}

// TestRebuild_FaultAtTheEnd: a rebuild that gets a fault when it is attached leaves the
// live build as it is, and begins again the next time.
func TestRebuild_FaultAtTheEnd(t *testing.T) {
	store, registry, s, shop := newStore(t), shopRegistry(t), newSales(1), newShop(1)
	views := newHost(t, store, registry)
	shop.trade(t, store, 100)
	require.NoError(t, views.Attach(t.Context(), s.Projection))
	late := false
	opts := &projection.RebuildOptions{Progress: func(p eventstore.Progress) {
		if !late { // appended after the pass, so that Attach applies it
			late = true
			s.fail = func(eventstore.Event) error { return errors.New("wrong") }
			add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
		}
	}}
	require.ErrorIs(t, views.Rebuild(t.Context(), opts, s.Projection), eventstore.ErrFaulted)
	_, _, err := s.pieces.Get(t.Context(), store, "x")
	require.ErrorIs(t, err, eventstore.ErrFaulted)
	s.fail = nil
	require.NoError(t, views.Rebuild(t.Context(), opts, s.Projection))
	shop.trade(t, store, 100)
	s.requireHead(t, store)
	requireNoLeftovers(t, views, s.Projection)
}

func TestAttach_Skip(t *testing.T) {
	store, registry, s, shop := newStore(t), shopRegistry(t), newSales(1), newShop(1)
	views := newHost(t, store, registry)
	s.OnFailure = projection.Skip
	skipped := skips{}
	s.fail = func(e eventstore.Event) error {
		if e.Position%7 == 0 {
			skipped[e.Position] = true
			return fmt.Errorf("number %d", e.Position)
		}
		return nil
	}
	shop.trade(t, store, 100)
	require.NoError(t, views.Attach(t.Context(), s.Projection))
	shop.trade(t, store, 100)
	require.Equal(t, head(t, store), s.require(t, store, skipped))
	status, err := views.Status(t.Context(), s.Projection)
	require.NoError(t, err)
	require.Equal(t, uint64(len(skipped)), status.SkippedCount)
	require.Len(t, status.Skipped, len(skipped))
}

// TestAttach_NewVersion: the new version replaces the old one, attached, while
// events are appended.
func TestAttach_NewVersion(t *testing.T) {
	store, registry, old, next := newStore(t), shopRegistry(t), newSales(1), newSales(2)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 2000)
	require.NoError(t, views.Attach(t.Context(), old.Projection))
	var trading sync.WaitGroup
	trading.Go(func() { newShop(2).trade(t, store, 500) })
	require.NoError(t, views.Attach(t.Context(), next.Projection))
	trading.Wait()
	next.requireHead(t, store)
	_, _, err := old.pieces.Get(t.Context(), store, "x")
	var replaced *projection.ReplacedError
	require.ErrorAs(t, err, &replaced)
	require.Equal(t, projection.ReplacedError{Projection: "sales", Version: 1, By: 2}, *replaced)
	require.ErrorIs(t, views.Attach(t.Context(), old.Projection), projection.ErrReplaced)
	requireNoLeftovers(t, views, next.Projection)

	require.NoError(t, views.Rebuild(t.Context(), nil, old.Projection), "rolled back")
	newShop(3).trade(t, store, 50)
	old.requireHead(t, store)
	_, _, err = next.pieces.Get(t.Context(), store, "x")
	require.ErrorIs(t, err, projection.ErrNeverRun)
}

func TestWait(t *testing.T) {
	store, registry, s, shop := newStore(t), shopRegistry(t), newSales(1), newShop(1)
	views := newHost(t, store, registry)
	shop.trade(t, store, 10)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := views.Wait(ctx, 10, s.Projection)
	var late *projection.LateError
	require.ErrorAs(t, err, &late)
	require.ErrorIs(t, err, projection.ErrLate)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, projection.LateError{Projection: "sales", Version: 1, Wanted: 10, Err: context.DeadlineExceeded}, *late)

	start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
	var waiting sync.WaitGroup
	for wanted := eventstore.Position(1); wanted < 100; wanted += 7 {
		waiting.Go(func() {
			if err := views.Wait(t.Context(), wanted, s.Projection); err != nil {
				t.Error(err)
				return
			}
			rows, err := s.pieces.GetMany(t.Context(), store)
			if err != nil || rows.At > 100 {
				t.Error(rows, err)
			}
		})
	}
	for head(t, store) < 100 {
		shop.trade(t, store, 1)
	}
	waiting.Wait()
}

func TestWait_Failing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, s, other := newStore(t), shopRegistry(t), newSales(1), newMembers()
		views := newHost(t, store, registry)
		newShop(1).trade(t, store, 100)
		s.OnFailure = projection.Retry
		s.fail = func(e eventstore.Event) error {
			if e.Position > 50 {
				return errors.New("not yet")
			}
			return nil
		}
		start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := views.Wait(ctx, 60, s.Projection, other.Projection)
		var late *projection.LateError
		require.ErrorAs(t, err, &late)
		require.Equal(t, "not yet", late.Failure.Reason)
		require.ErrorContains(t, err, "it failed on type")
		require.ErrorContains(t, err, `projection "members" version 1 is not live yet, waited for position 60`, "both are named")
	})
}

// TestWait_Inline waits for an event that is not appended yet: only the store's commit
// wakes Wait.
func TestWait_Inline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, s := newStore(t), shopRegistry(t), newSales(1)
		views := newHost(t, store, registry)
		done := make(chan error, 1)
		go func() { done <- views.Wait(t.Context(), 3, s.Projection) }()
		synctest.Wait()
		require.NoError(t, views.Attach(t.Context(), s.Projection))
		for range 3 {
			synctest.Wait()
			require.Empty(t, done)
			add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
		}
		require.NoError(t, <-done)

		go func() { done <- views.Wait(t.Context(), 4, s.Projection) }()
		synctest.Wait()
		s.fail = func(eventstore.Event) error { return errors.New("wrong") }
		add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
		require.ErrorIs(t, <-done, eventstore.ErrFaulted)

		other := newMembers()
		go func() { done <- views.Wait(t.Context(), 9, other.Projection) }()
		synctest.Wait()
		require.NoError(t, store.Close())
		require.ErrorIs(t, <-done, eventstore.ErrClosed)
	})
}

// TestAttach_EmptyLog: a view of an empty log can be read and waited for.
func TestAttach_EmptyLog(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	require.NoError(t, views.Attach(t.Context(), s.Projection))
	_, found, err := s.pieces.Get(t.Context(), store, "x")
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, views.Wait(t.Context(), 0, s.Projection))
	s.requireHead(t, store)
}

// TestWait_ForAFirstBuildWithAFault ends at once, as the build cannot become live by itself.
func TestWait_ForAFirstBuildWithAFault(t *testing.T) {
	store, registry, s, shop := newStore(t), shopRegistry(t), newSales(1), newShop(1)
	views := newHost(t, store, registry)
	shop.trade(t, store, 10)
	s.fail = func(eventstore.Event) error { return errors.New("wrong") }
	require.ErrorIs(t, views.Attach(t.Context(), s.Projection), eventstore.ErrFaulted)
	require.ErrorIs(t, views.Wait(t.Context(), 10, s.Projection), eventstore.ErrFaulted)
	_, _, err := s.pieces.Get(t.Context(), store, "x")
	require.ErrorIs(t, err, eventstore.ErrFaulted)
}
