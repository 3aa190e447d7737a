package projection_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/projection"
)

var errInjected = errors.New("injected")

// chaotic is a store whose calls fail at random, before or after they are carried out.
type chaotic struct {
	eventstore.RowStore
	odds int // one call in odds fails

	mu   sync.Mutex
	rand *rand.Rand
}

func newChaotic(store eventstore.RowStore, seed uint64, odds int) *chaotic {
	return &chaotic{RowStore: store, odds: odds, rand: rand.New(rand.NewPCG(seed, 1))}
}

func (c *chaotic) draw(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand.IntN(n)
}

// do calls fn or not, and returns an error or not.
func (c *chaotic) do(fn func() error) error {
	switch c.draw(3 * c.odds) {
	case 0:
		return errInjected
	case 1:
		return fmt.Errorf("%w: %w", eventstore.ErrUnknownOutcome, errInjected)
	case 2:
		if err := fn(); err != nil {
			return err
		}
		return fmt.Errorf("%w: %w", eventstore.ErrUnknownOutcome, errInjected)
	default:
		return fn()
	}
}

func (c *chaotic) CommitRows(ctx context.Context, commit eventstore.RowCommit) error {
	return c.do(func() error { return c.RowStore.CommitRows(ctx, commit) })
}

func (c *chaotic) DropRows(ctx context.Context, view eventstore.ViewID, limit int) (more bool, err error) {
	err = c.do(func() error {
		more, err = c.RowStore.DropRows(ctx, view, min(limit, 30))
		return err
	})
	return more, err
}

func (c *chaotic) GetRows(ctx context.Context, view eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	if c.draw(60*c.odds) == 0 {
		return eventstore.RowSet{}, errInjected
	}
	return c.RowStore.GetRows(ctx, view, keys...)
}

func (c *chaotic) Follow(ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	return func(yield func(eventstore.Batch, error) bool) {
		for batch, err := range c.RowStore.Follow(ctx, q, after) {
			if err == nil && c.draw(5*c.odds) == 0 {
				yield(eventstore.Batch{}, errInjected)
				return
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// TestRun_ExactlyOnce runs the sales again and again, over a store that fails and
// with runs that are ended, while events are appended.
func TestRun_ExactlyOnce(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			store, registry := newStore(t), shopRegistry(t)
			views := newHost(t, store, registry)
			bad := newChaotic(store, seed, 4)
			var trading sync.WaitGroup
			var done atomic.Bool
			trading.Go(func() {
				defer done.Store(true)
				shop := newShop(seed)
				for range 30 {
					shop.trade(t, store, 30)
					time.Sleep(200 * time.Microsecond)
				}
			})
			defer trading.Wait()
			for last := false; !last; {
				last = done.Load()
				s := newSales(1)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(bad.draw(3000))*time.Microsecond)
				err := newHostWith(t, bad, registry, impatient()).Run(ctx, s.Projection)
				cancel()
				require.ErrorIs(t, err, context.DeadlineExceeded)
				if _, _, err := s.pieces.Get(t.Context(), store, ""); err == nil {
					s.require(t, store, nil)
				}
			}
			s := newSales(1)
			require.NoError(t, views.CatchUp(t.Context(), s.Projection))
			s.requireHead(t, store)
		})
	}
}

// TestRebuild_ExactlyOnce does the same to rebuilds, of the version that runs and
// of a new one, beside a run.
func TestRebuild_ExactlyOnce(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			store, registry, shop := newStore(t), shopRegistry(t), newShop(seed)
			views := newHost(t, store, registry)
			bad := newChaotic(store, seed, 6)
			shop.trade(t, store, 1000)
			s, next := newSales(1), newSales(1+uint32(seed%2))
			require.NoError(t, views.CatchUp(t.Context(), s.Projection))
			was, err := views.Status(t.Context(), s.Projection)
			require.NoError(t, err)
			chaos := newHostWith(t, bad, registry, impatient())
			run := start(t, func(ctx context.Context) error { return chaos.Run(ctx, s.Projection) })
			for rebuilt, tries := false, 0; !rebuilt; tries++ {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1000+bad.draw(20_000))*time.Microsecond)
				err := chaos.Rebuild(ctx, nil, next.Projection)
				cancel()
				at, statusErr := views.Status(t.Context(), next.Projection)
				require.NoError(t, statusErr)
				rebuilt = at.State == projection.Live && at.Build != was.Build // but the old one may have to be dropped
				if !errors.Is(err, context.DeadlineExceeded) && err != nil {
					require.ErrorIs(t, err, errInjected)
				}
				if tries < 20 {
					shop.trade(t, store, 20)
				}
			}
			ended := run.end(t)
			require.True(t, errors.Is(ended, context.Canceled) || errors.Is(ended, projection.ErrReplaced), ended)
			require.NoError(t, views.CatchUp(t.Context(), next.Projection))
			next.requireHead(t, store)
			requireNoLeftovers(t, views, next.Projection)
		})
	}
}

// TestRun_DropsStrayBuilds has what a program leaves that was killed just after it had made
// the first checkpoint of a build that another one had dropped.
func TestRun_DropsStrayBuilds(t *testing.T) {
	store, registry := newStore(t), shopRegistry(t)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 50)
	s := newSales(1)
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	require.NoError(t, views.Rebuild(t.Context(), nil, s.Projection))
	requireNoLeftovers(t, views, s.Projection)
	first := eventstore.Checkpoint{Data: []byte("{}")}
	others := []eventstore.ViewID{"sales@1", "sales@1.7", "sales@1.1.1", "sales@01.1", "sales@one", "other@1.1"}
	for _, view := range append(others, "sales@1.1") {
		require.NoError(t, store.CommitRows(t.Context(), eventstore.RowCommit{View: view, Checkpoint: first}))
	}
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	s.requireHead(t, store)
	checkpoints, err := store.Checkpoints(t.Context())
	require.NoError(t, err)
	require.NotContains(t, checkpoints, eventstore.ViewID("sales@1.1"))
	for _, view := range others { // they are no builds of the projection
		require.Contains(t, checkpoints, view)
	}
}

// requireNoLeftovers checks that there is one build, and its pointer.
func requireNoLeftovers(t testing.TB, views *host, p *projection.Projection) {
	t.Helper()
	status, err := views.Status(t.Context(), p)
	require.NoError(t, err)
	checkpoints, err := views.store.Checkpoints(t.Context())
	require.NoError(t, err)
	require.Len(t, checkpoints, 2)
	require.Contains(t, checkpoints, eventstore.ViewID(p.Name()))
	require.Contains(t, checkpoints, status.Build)
}

// mortal dies at a call: that one is carried out or not, and all after it fail.
// Dying everywhere once is being killed at every moment that makes a difference.
type mortal struct {
	eventstore.RowStore
	left  int // calls, until it dies
	after bool
	mu    sync.Mutex
}

func (m *mortal) do(fn func() error) error {
	m.mu.Lock()
	m.left--
	left := m.left
	m.mu.Unlock()
	if left > 0 || left == 0 && m.after {
		if err := fn(); err != nil || left > 0 {
			return err
		}
	}
	return errInjected
}

func (m *mortal) CommitRows(ctx context.Context, c eventstore.RowCommit) error {
	return m.do(func() error { return m.RowStore.CommitRows(ctx, c) })
}

func (m *mortal) DropRows(ctx context.Context, view eventstore.ViewID, limit int) (more bool, err error) {
	err = m.do(func() error {
		more, err = m.RowStore.DropRows(ctx, view, min(limit, 5))
		return err
	})
	return more, err
}

func (m *mortal) Attach(ctx context.Context, v eventstore.InlineView) error {
	return m.do(func() error { return m.RowStore.Attach(ctx, v) })
}

// everyDeath calls fn with stores that die at the first call, the second, and so
// on, until one survives.
func everyDeath(t *testing.T, fn func(t *testing.T, die func(store *memstore.Store) eventstore.RowStore) error) {
	for after := range 2 {
		survived := false
		for calls := 1; !survived; calls++ {
			t.Run(fmt.Sprintf("call %d, carried out %t", calls, after == 1), func(t *testing.T) {
				err := fn(t, func(store *memstore.Store) eventstore.RowStore {
					return &mortal{RowStore: store, left: calls, after: after == 1}
				})
				if survived = err == nil; !survived {
					require.ErrorIs(t, err, errInjected)
				}
			})
			require.Less(t, calls, 100)
		}
	}
}

func TestRebuild_Killed(t *testing.T) {
	registry := shopRegistry(t)
	everyDeath(t, func(t *testing.T, die func(*memstore.Store) eventstore.RowStore) error {
		store, shop, s := newStore(t), newShop(1), newSales(1)
		views := newHost(t, store, registry)
		shop.trade(t, store, 200)
		require.NoError(t, views.CatchUp(t.Context(), s.Projection))
		err := newHost(t, die(store), registry).Rebuild(t.Context(), nil, newSales(1).Projection)
		s.requireHead(t, store) // readable in every moment
		shop.trade(t, store, 100)
		require.NoError(t, views.CatchUp(t.Context(), s.Projection))
		require.NoError(t, views.Rebuild(t.Context(), nil, s.Projection))
		s.requireHead(t, store)
		requireNoLeftovers(t, views, s.Projection)
		return err
	})
}

func TestRun_NewVersionKilled(t *testing.T) {
	registry := shopRegistry(t)
	everyDeath(t, func(t *testing.T, die func(*memstore.Store) eventstore.RowStore) error {
		store, shop, s := newStore(t), newShop(1), newSales(1)
		views := newHost(t, store, registry)
		shop.trade(t, store, 300)
		require.NoError(t, views.CatchUp(t.Context(), s.Projection))
		shop.trade(t, store, 100)
		err := newHost(t, die(store), registry).CatchUp(t.Context(), newSales(2).Projection)
		next := newSales(2)
		requireOneReadable(t, store, s, next)
		require.NoError(t, views.CatchUp(t.Context(), next.Projection))
		next.requireHead(t, store)
		requireNoLeftovers(t, views, next.Projection)
		return err
	})
}

// requireOneReadable checks that exactly one of two versions is read.
func requireOneReadable(t testing.TB, store eventstore.RowStore, old, next *sales) {
	t.Helper()
	_, _, errOld := old.pieces.Get(t.Context(), store, "")
	_, _, errNext := next.pieces.Get(t.Context(), store, "")
	if errNext == nil {
		require.ErrorIs(t, errOld, projection.ErrReplaced)
		next.require(t, store, nil)
		return
	}
	require.NoError(t, errOld)
	old.require(t, store, nil)
	if !errors.Is(errNext, projection.ErrNeverRun) {
		require.ErrorIs(t, errNext, projection.ErrRebuilding)
	}
}

func TestAttach_Killed(t *testing.T) {
	registry := shopRegistry(t)
	everyDeath(t, func(t *testing.T, die func(*memstore.Store) eventstore.RowStore) error {
		store, shop, s := newStore(t), newShop(1), newSales(1)
		views := newHost(t, store, registry)
		shop.trade(t, store, 300)
		require.NoError(t, views.Attach(t.Context(), s.Projection))
		err := newHost(t, die(store), registry).Attach(t.Context(), newSales(2).Projection)
		shop.trade(t, store, 100)
		next := newSales(2)
		requireOneReadable(t, store, s, next)
		require.NoError(t, views.Rebuild(t.Context(), nil, newSales(3).Projection))
		return err
	})
}
