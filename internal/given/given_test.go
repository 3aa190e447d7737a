package given_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/internal/given"
)

// wrapped is a store that is no pointer.
type wrapped struct{ eventstore.Store }

func TestStore(t *testing.T) {
	var unset *memstore.Store
	var rows eventstore.RowStore
	require.EqualError(t, given.Store(nil), "the store is nil")
	require.EqualError(t, given.Store(rows), "the store is nil", "also as another interface")
	require.EqualError(t, given.Store(unset), "the store is a nil *memstore.Store")
	require.NoError(t, given.Store(memstore.New(nil)))
	require.NoError(t, given.Store(wrapped{}))
}
