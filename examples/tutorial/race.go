package main

import (
	"context"
	"errors"
	"fmt"
)

// race sends eight commands at once to a cart that has room for five.
func race(ctx context.Context, s *shop) error {
	outcomes := make(chan error, 8)
	for range cap(outcomes) {
		go func() {
			_, err := s.carts.Execute(ctx, "party", AddItem{Cart: "party", SKU: "lantern", Quantity: 1})
			outcomes <- err
		}()
	}
	added, refused := 0, 0
	var failed error
	for range cap(outcomes) {
		switch err := <-outcomes; {
		case err == nil:
			added++
		case errors.Is(err, ErrTooMany):
			refused++
		default:
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		return failed
	}
	cart, version, err := s.carts.Load(ctx, "party")
	if err != nil {
		return err
	}
	fmt.Printf("%d added, %d refused, version %d: %v\n", added, refused, version, cart.Pieces)
	return nil
}
