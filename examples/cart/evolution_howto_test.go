package main

import (
	"context"
	"fmt"
	"log"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/codec/doctor"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/examples/cart/cart"
)

// The code of docs/how-to/rename-an-event.md and docs/how-to/change-an-event.md.

func bySKU(e cart.ItemAdded) []string { return []string{"sku:" + e.SKU} }

// renamed is the registry of a program that calls ItemAdded by another name.
func renamed() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[cart.ItemAdded](b, "cart.item-put-in", 1, codec.Tags(bySKU))
	codec.Rename(b, "cart.item-added", 1, "cart.item-put-in", 1)
	registerOthers(b)
	return b.Build()
}

func registerOthers(b *codec.Builder) {
	codec.Register[cart.ItemQuantityChanged](b, "cart.item-quantity-changed", 1)
	codec.Register[cart.ItemRemoved](b, "cart.item-removed", 1)
	codec.Register[cart.CartCheckedOut](b, "cart.checked-out", 1)
}

// itemAddedV1 had the price in pence.
type itemAddedV1 struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
	Pence    int64  `json:"pence"`
}

// today returns the item with the price in thousandths.
func (old itemAddedV1) today() cart.ItemAdded {
	return cart.ItemAdded{SKU: old.SKU, Quantity: old.Quantity, UnitPrice: cart.Money(10 * old.Pence)}
}

// reshaped is the registry of a program that has another shape for ItemAdded.
func reshaped() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[cart.ItemAdded](b, "cart.item-added", 2, codec.Tags(bySKU))
	codec.Upcast(b, "cart.item-added", 1, itemAddedV1.today)
	return b.Build()
}

// renamedAndReshaped is the registry of one that has another name and another shape.
func renamedAndReshaped() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[cart.ItemAdded](b, "cart.item-put-in", 1, codec.Tags(bySKU))
	codec.Upcast(b, "cart.item-added", 1, itemAddedV1.today)
	return b.Build()
}

// itemReplaced is no event any more: two say the same.
type itemReplaced struct {
	Old   string     `json:"old"`
	New   string     `json:"new"`
	Price cart.Money `json:"price"`
}

// split is the registry of a program that reads one event as two, and one as none.
func split() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[cart.ItemAdded](b, "cart.item-added", 1, codec.Tags(bySKU))
	registerOthers(b)
	codec.Split(b, "cart.item-replaced", 1, func(old itemReplaced) []any {
		return []any{
			cart.ItemRemoved{SKU: old.Old, UnitPrice: old.Price},
			cart.ItemAdded{SKU: old.New, UnitPrice: old.Price, Quantity: 1},
		}
	}, cart.ItemRemoved{}, cart.ItemAdded{})
	codec.Drop(b, "cart.looked-at", 1)
	return b.Build()
}

// TestChange: what docs/how-to/change-an-event.md says that stored events are read as.
func TestChange(t *testing.T) {
	mug := cart.ItemAdded{SKU: "mug", Quantity: 2, UnitPrice: 4500}
	for _, c := range []struct {
		registry     func() (*codec.Registry, error)
		stored, data string
		want         []any
	}{
		{renamed, "cart.item-added", `{"sku":"mug","quantity":2,"unitPrice":"4.500"}`, []any{mug}},
		{reshaped, "cart.item-added", `{"sku":"mug","quantity":2,"pence":450}`, []any{mug}},
		{renamedAndReshaped, "cart.item-added", `{"sku":"mug","quantity":2,"pence":450}`, []any{mug}},
		{split, "cart.item-replaced", `{"old":"cup","new":"mug","price":"4.500"}`, []any{
			cart.ItemRemoved{SKU: "cup", UnitPrice: 4500}, cart.ItemAdded{SKU: "mug", Quantity: 1, UnitPrice: 4500},
		}},
		{split, "cart.looked-at", `{}`, nil},
	} {
		registry, err := c.registry()
		require.NoError(t, err)
		values, err := registry.DecodeAll(c.stored, 1, codec.JSON, []byte(c.data))
		require.NoError(t, err)
		require.Equal(t, c.want, values)
	}
	registry, err := renamedAndReshaped()
	require.NoError(t, err)
	encoded, err := registry.Encode(mug)
	require.NoError(t, err)
	require.Equal(t, "cart.item-put-in", encoded.Type, "what is new has the new name")
	require.Equal(t, []string{"cart.item-put-in", "cart.item-added"}, registry.StoredNames("cart.item-put-in"))
}

// examine says what today's program cannot read of a store.
func examine(ctx context.Context, store eventstore.Store, registry *codec.Registry) error {
	report, err := doctor.Examine(ctx, store, registry, nil)
	if err != nil {
		return err
	}
	fmt.Print(report)
	return nil
}

// A program of before the rename, and one of after it, each put something into a cart.
func Example_rename() {
	ctx, store := context.Background(), memstore.New(nil)
	defer store.Close()
	after, err := renamed()
	if err != nil {
		log.Fatal(err)
	}
	before, err := cart.Registry()
	if err != nil {
		log.Fatal(err)
	}
	for _, registry := range []*codec.Registry{before, after} {
		carts, err := aggregate.NewRepository(store, registry, cart.Decider, nil)
		if err != nil {
			log.Fatal(err)
		}
		result, err := carts.Execute(ctx, "ann", cart.AddItem{Cart: "ann", SKU: "mug", Quantity: 2, UnitPrice: 4500})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.State.Pieces(), "pieces")
	}
	fmt.Println(examine(ctx, store, after))
	// Output:
	// 2 pieces
	// 4 pieces
	//        2 events examined, through position 2
	//        0 of an unknown name or version
	//        0 undecodable
	//        1 read by upcasters only
	//        0 with other tags than today
	// read by upcasters only: 1 of "cart.item-added" version 1
	//     position 1: becomes "cart.item-put-in" version 1
	// <nil>
}
