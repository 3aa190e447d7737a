package cart_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/examples/cart/cart"
)

func sell(t *testing.T, commands ...cart.Command) *cart.Sales {
	t.Helper()
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	carts, err := aggregate.NewRepository(store, registry(t), cart.Decider, nil)
	require.NoError(t, err)
	for _, cmd := range commands {
		_, err := carts.Execute(t.Context(), cmd.CartID(), cmd)
		require.NoError(t, err)
	}
	sales, through, err := cart.BestSellers().Run(t.Context(), store, registry(t), nil)
	require.NoError(t, err)
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, head, through)
	require.GreaterOrEqual(t, head, eventstore.Position(len(commands)))
	return sales
}

func TestBestSellers_CountsWhatWasCheckedOut(t *testing.T) {
	sales := sell(t,
		cart.AddItem{Cart: "1", SKU: "a", Description: "A", Quantity: 5, UnitPrice: 1000},
		cart.AddItem{Cart: "2", SKU: "b", Quantity: 100, UnitPrice: 10},
		cart.AddItem{Cart: "1", SKU: "a", Quantity: 5, UnitPrice: 2000},
		cart.AddItem{Cart: "1", SKU: "c", Quantity: 9, UnitPrice: 1},
		cart.SetQuantity{Cart: "1", SKU: "a", Quantity: 7},
		cart.RemoveItem{Cart: "1", SKU: "c"},
		cart.AddItem{Cart: "3", SKU: "a", Quantity: 1000, UnitPrice: 1000}, // never checked out
		cart.Checkout{Cart: "2"},
		cart.Checkout{Cart: "1"},
		cart.AddItem{Cart: "4", SKU: "b", Quantity: 1, UnitPrice: 1},
		cart.Checkout{Cart: "4"},
	)
	a := cart.Seller{SKU: "a", Description: "A", Pieces: 7, Revenue: 5*1000 + 2*2000}
	b := cart.Seller{SKU: "b", Pieces: 101, Revenue: 1001}
	require.Equal(t, []cart.Seller{b, a}, sales.ByPieces(10))
	require.Equal(t, []cart.Seller{a}, sales.ByRevenue(1))
}

func TestBestSellers_OfEqualsTheLowerSKU(t *testing.T) {
	sales := sell(t,
		cart.AddItem{Cart: "1", SKU: "b", Quantity: 1, UnitPrice: 1},
		cart.AddItem{Cart: "1", SKU: "a", Quantity: 1, UnitPrice: 1},
		cart.Checkout{Cart: "1"},
	)
	require.Equal(t, "a", sales.ByPieces(1)[0].SKU)
}

func TestBestSellers_NothingWraps(t *testing.T) {
	sales := sell(t,
		cart.AddItem{Cart: "1", SKU: "a", Quantity: math.MaxInt64, UnitPrice: 1},
		cart.AddItem{Cart: "2", SKU: "a", Quantity: 1, UnitPrice: 1},
		cart.Checkout{Cart: "1"},
		cart.Checkout{Cart: "2"},
	)
	most := cart.Seller{SKU: "a", Pieces: math.MaxInt64, Revenue: math.MaxInt64, AtLeast: true}
	require.Equal(t, []cart.Seller{most}, sales.ByPieces(1))
	require.Equal(t, []cart.Seller{most}, sales.ByRevenue(1))
}
