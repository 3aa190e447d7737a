package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// sendTwice checks Ann's cart out twice with one command id, and once with another.
func sendTwice(ctx context.Context, s *shop) error {
	for _, id := range []string{"order-1", "order-1", "order-2"} {
		cmd := CheckOut{Cart: "ann"}
		result, err := s.carts.Execute(eventstore.WithCommandID(ctx, id), cmd.CartID(), cmd)
		switch {
		case errors.Is(err, ErrCheckedOut):
			fmt.Printf("%s: refused: %v\n", id, err)
		case err != nil:
			return err
		default:
			fmt.Printf("%s: version %d, done before: %t\n", id, result.Version, result.Receipt.Repeated)
		}
	}
	return nil
}
