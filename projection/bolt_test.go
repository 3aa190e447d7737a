package projection_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func openBolt(t testing.TB, path string) *boltstore.Store {
	store, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// TestBolt keeps a view in a file that is opened again and again: the view is run, replaced
// by a version that is attached, stopped at a fault, and rebuilt.
func TestBolt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	registry, shop, one := shopRegistry(t), newShop(1), newSales(1)

	store := openBolt(t, path)
	views := newHost(t, store, registry)
	shop.trade(t, store, 200)
	run := start(t, func(ctx context.Context) error { return views.Run(ctx, one.Projection) })
	shop.trade(t, store, 60)
	waitFor(t, views, one.Projection)
	one.requireHead(t, store)
	require.ErrorIs(t, run.end(t), context.Canceled)
	require.NoError(t, store.Close())

	store = openBolt(t, path)
	views = newHost(t, store, registry)
	two := newSales(2)
	one.require(t, store, nil)
	var trading sync.WaitGroup
	trading.Go(func() { shop.trade(t, store, 60) })
	require.NoError(t, views.Attach(t.Context(), two.Projection))
	trading.Wait()
	two.requireHead(t, store)
	two.fail = func(eventstore.Event) error { return errors.New("wrong") }
	shop.trade(t, store, 20)
	_, _, err := two.pieces.Get(t.Context(), store, "x")
	require.ErrorIs(t, err, eventstore.ErrFaulted)
	require.NoError(t, store.Close())

	store = openBolt(t, path)
	views = newHost(t, store, registry)
	two = newSales(2)
	require.ErrorIs(t, views.Attach(t.Context(), two.Projection), eventstore.ErrFaulted)
	trading.Go(func() { shop.trade(t, store, 60) })
	require.NoError(t, views.Rebuild(t.Context(), nil, two.Projection))
	trading.Wait()
	shop.trade(t, store, 20)
	two.requireHead(t, store)
	_, at := two.read(t, store)
	require.Equal(t, head(t, store), at)
	requireNoLeftovers(t, views, two.Projection)
}
