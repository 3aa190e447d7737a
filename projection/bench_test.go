package projection_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// BenchmarkCatchUp builds a view from 20,000 events in memory: nothing is
// durable. With one it updates a row of 1,000, with an index two.
func BenchmarkCatchUp(b *testing.B) {
	const events = 20_000
	store := memstore.New(nil)
	defer store.Close()
	views := newHost(b, store, shopRegistry(b))
	for range events / 1000 {
		var commit eventstore.Commit
		for i := range 1000 {
			commit.Events = append(commit.Events, eventstore.NewEvent{
				Type: "cart.item-added", SchemaVersion: 1, Codec: codec.JSON,
				Data: fmt.Appendf(nil, `{"sku":"sku-%d","quantity":%d}`, i*7919%1000, i),
			})
		}
		_, err := store.Append(b.Context(), commit)
		require.NoError(b, err)
	}
	for _, indexed := range []bool{false, true} {
		b.Run(fmt.Sprintf("index=%t", indexed), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p := projection.New(fmt.Sprintf("p%d%t", i, indexed), 1)
				table := projection.NewTable[string, sold](p, "t")
				if indexed {
					projection.NewIndex(table, "i", func(s sold) (int, bool) { return s.Pieces, true })
				}
				projection.On(p, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
					return table.In(tx).Update(e.Data.SKU, func(s sold) sold {
						s.Pieces += e.Data.Quantity
						return s
					})
				})
				require.NoError(b, views.CatchUp(b.Context(), p))
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkGet reads one row of a projection with two tables and an index, in
// memory.
func BenchmarkGet(b *testing.B) {
	store, s := memstore.New(nil), newSales(1)
	defer store.Close()
	views := newHost(b, store, shopRegistry(b))
	add(b, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
	require.NoError(b, views.CatchUp(b.Context(), s.Projection))
	b.ReportAllocs()
	for b.Loop() {
		_, found, err := s.pieces.Get(b.Context(), store, "x")
		if err != nil || !found {
			b.Fatal(found, err)
		}
	}
}
