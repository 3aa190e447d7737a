package main

import (
	"context"
	"errors"
	"fmt"
)

// fill sends some commands to Ann's cart, one of them against the rules.
func fill(ctx context.Context, s *shop) error {
	for _, cmd := range []Command{
		AddItem{Cart: "ann", SKU: "mug", Quantity: 2},
		AddItem{Cart: "ann", SKU: "teapot", Quantity: 1},
		AddItem{Cart: "ann", SKU: "mug", Quantity: 4},
		RemoveItem{Cart: "ann", SKU: "teapot"},
	} {
		result, err := s.carts.Execute(ctx, cmd.CartID(), cmd)
		switch {
		case errors.Is(err, ErrTooMany):
			fmt.Printf("refused, still at version %d: %v\n", result.Version, err)
		case err != nil:
			return err
		default:
			fmt.Printf("version %d: %v\n", result.Version, result.State.Pieces)
		}
	}
	return nil
}
