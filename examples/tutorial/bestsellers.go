package main

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
)

// sales is what the fold carries along the log.
type sales struct {
	open map[eventstore.StreamID]Cart // the carts not checked out yet
	sold map[string]int               // pieces by SKU
}

// sellers counts what is in a cart when the cart is checked out.
var sellers = fold.Fold[sales]{
	Initial: func() sales {
		return sales{open: map[eventstore.StreamID]Cart{}, sold: map[string]int{}}
	},
	Evolve: []fold.Handler[sales]{
		fold.OnEvent(func(s sales, e fold.Event[ItemAdded]) sales {
			return s.change(e.Stream, e.Data)
		}),
		fold.OnEvent(func(s sales, e fold.Event[ItemRemoved]) sales {
			return s.change(e.Stream, e.Data)
		}),
		fold.OnEvent(func(s sales, e fold.Event[CheckedOut]) sales {
			for sku, pieces := range s.open[e.Stream].Pieces {
				s.sold[sku] += pieces
			}
			delete(s.open, e.Stream)
			return s
		}),
	},
}

func (s sales) change(stream eventstore.StreamID, event Event) sales {
	cart, known := s.open[stream]
	if !known {
		cart = newCart()
	}
	s.open[stream] = evolve(cart, event)
	return s
}

// bestSellers asks before and after the party cart is checked out.
func bestSellers(ctx context.Context, s *shop) error {
	before, through, err := sellers.Run(ctx, s.store, s.registry, nil)
	if err != nil {
		return err
	}
	fmt.Printf("at position %d: %v\n", through, before.sold)

	if _, err := s.carts.Execute(ctx, "party", CheckOut{Cart: "party"}); err != nil {
		return err
	}
	after, through, err := sellers.Run(ctx, s.store, s.registry, nil)
	if err != nil {
		return err
	}
	fmt.Printf("at position %d: %v\n", through, after.sold)
	return nil
}
