package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// follow prints what happens from now on, until Cleo's cart is checked out.
func follow(ctx context.Context, s *shop) error {
	head, err := s.store.Head(ctx)
	if err != nil {
		return err
	}
	var shopping sync.WaitGroup
	defer shopping.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	shopping.Go(func() { goShopping(ctx, s, cancel) })

	for batch, err := range s.store.Follow(ctx, eventstore.Category("cart"), head) {
		if err != nil {
			return err
		}
		for _, event := range batch.Events {
			data, err := s.registry.Decode(event.Type, event.SchemaVersion, event.Codec, event.Data)
			if err != nil {
				return err
			}
			fmt.Printf("position %d: %s version %d: %T %+v\n", event.Position, event.Stream, event.Version, data, data)
			if data == (CheckedOut{}) {
				return nil
			}
		}
	}
	return nil
}

// goShopping fills Cleo's cart and buys it. If that fails it ends the following.
func goShopping(ctx context.Context, s *shop, giveUp func()) {
	for _, cmd := range []Command{
		AddItem{Cart: "cleo", SKU: "teapot", Quantity: 1},
		AddItem{Cart: "cleo", SKU: "mug", Quantity: 4},
		CheckOut{Cart: "cleo"},
	} {
		if _, err := s.carts.Execute(ctx, cmd.CartID(), cmd); err != nil {
			fmt.Println(err)
			giveUp()
			return
		}
	}
}
