package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
)

var ErrNoSKU = errors.New("which item?")

// Validate refuses what no cart could take, without looking at one.
func (c AddItem) Validate() error {
	if c.SKU == "" {
		return ErrNoSKU
	}
	return nil
}

// announce is a middleware of our own: it prints what becomes of each command.
func announce(next command.Handler) command.Handler {
	return func(ctx context.Context, cmd any) (command.Reply, error) {
		reply, err := next(ctx, cmd)
		if err != nil {
			fmt.Printf("%T failed: %v\n", cmd, err)
		} else {
			fmt.Printf("%T wrote position %d\n", cmd, reply.Receipt.Last)
		}
		return reply, err
	}
}

// dispatch sends commands through a dispatcher, and looks at what it recorded.
func dispatch(ctx context.Context, s *shop) error {
	d := command.NewDispatcher(announce, command.Recover(), command.Validate())
	if err := command.Route(d, s.carts, Command.CartID); err != nil {
		return err
	}
	ctx = eventstore.WithActor(ctx, "dora")
	if _, _, err := command.Dispatch[Cart](ctx, d, AddItem{Cart: "7"}); !errors.Is(err, ErrNoSKU) {
		return fmt.Errorf("not refused as it should be: %w", err)
	}
	cart, _, err := command.Dispatch[Cart](ctx, d, AddItem{Cart: "7", SKU: "mug", Quantity: 1})
	if err != nil {
		return err
	}
	fmt.Printf("cart 7 has %v\n", cart.Pieces)
	for event, err := range s.carts.History(ctx, "7") {
		if err != nil {
			return err
		}
		fmt.Printf("%s by %s\n", event.Type, event.Metadata[eventstore.Actor])
	}
	return nil
}
