// Command quickstart is the program of the README: a cart in one file.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore/boltstore"
)

type AddItem struct { // a command: somebody's wish
	SKU      string
	Quantity int
}
type ItemAdded struct { // an event: a fact
	SKU      string
	Quantity int
}
type Cart map[string]int // the state: pieces by SKU

// decider says which wishes become facts, and what facts come to.
var decider = aggregate.Decider[Cart, AddItem, ItemAdded]{
	Category: "cart",
	Initial:  func() Cart { return Cart{} },
	Decide: func(_ Cart, c AddItem) ([]ItemAdded, error) {
		if c.Quantity <= 0 {
			return nil, errors.New("quantity must be positive")
		}
		return []ItemAdded{{SKU: c.SKU, Quantity: c.Quantity}}, nil
	},
	Evolve: func(cart Cart, e ItemAdded) Cart {
		cart[e.SKU] += e.Quantity
		return cart
	},
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		return err
	}
	defer store.Close()

	events := codec.NewBuilder()
	codec.Register[ItemAdded](events, "cart.item-added", 1)
	registry, err := events.Build()
	if err != nil {
		return err
	}
	carts, err := aggregate.NewRepository(store, registry, decider, nil)
	if err != nil {
		return err
	}

	// Load cart-7, decide, append: atomic, durable, retried when somebody else was faster.
	result, err := carts.Execute(ctx, "7", AddItem{SKU: "mug", Quantity: 2})
	if err != nil {
		return err
	}
	fmt.Printf("cart-7 is at version %d: %v\n", result.Version, result.State)

	first, err := carts.LoadAt(ctx, "7", 1)
	fmt.Printf("at version 1 it was %v\n", first)
	return err
}
