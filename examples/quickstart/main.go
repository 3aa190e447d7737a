// Command quickstart is the program of the README: a cart in one file.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore/boltstore"
)

type AddItem struct{ SKU string }   // a command: what is wanted
type ItemAdded struct{ SKU string } // an event: what happened
type Cart map[string]int            // the state: pieces by SKU

var decider = aggregate.Decider[Cart, AddItem, ItemAdded]{
	Category: "cart",
	Initial:  func() Cart { return Cart{} },
	Evolve:   func(c Cart, e ItemAdded) Cart { c[e.SKU]++; return c },
	Decide: func(c Cart, cmd AddItem) ([]ItemAdded, error) {
		if c[cmd.SKU] == 2 {
			return nil, fmt.Errorf("no third %s in one cart", cmd.SKU)
		}
		return []ItemAdded{{SKU: cmd.SKU}}, nil
	},
}

func main() {
	store := must(boltstore.Open("shop.yore", nil))
	defer store.Close()
	events := codec.NewBuilder()
	codec.Register[ItemAdded](events, "cart.item-added", 1)
	carts := must(aggregate.NewRepository(store, must(events.Build()), decider, nil))

	result := must(carts.Execute(context.Background(), "7", AddItem{SKU: "mug"}))
	fmt.Printf("cart-7 is at version %d: %v\n", result.Version, result.State)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
