package main

import (
	"errors"
	"fmt"

	"github.com/yore-es/yore/aggregate"
)

// Command is what a shopper can ask for.
type Command interface {
	CartID() string // which cart it is for
}

type AddItem struct {
	Cart, SKU string
	Quantity  int
}

type RemoveItem struct{ Cart, SKU string }

type CheckOut struct{ Cart string }

func (c AddItem) CartID() string    { return c.Cart }
func (c RemoveItem) CartID() string { return c.Cart }
func (c CheckOut) CartID() string   { return c.Cart }

// maxPieces is how many pieces of one item a cart holds.
const maxPieces = 5

// The rules.
var (
	ErrCheckedOut = errors.New("the cart is checked out")
	ErrQuantity   = errors.New("the quantity must be above zero")
	ErrTooMany    = errors.New("a cart holds at most 5 pieces of an item")
	ErrNotInCart  = errors.New("the item is not in the cart")
	ErrEmpty      = errors.New("the cart is empty")
)

// decide returns the events that a command leads to, or the rule against it.
func decide(cart Cart, cmd Command) ([]Event, error) {
	if cart.CheckedOut {
		return nil, ErrCheckedOut
	}
	switch c := cmd.(type) {
	case AddItem:
		if c.Quantity <= 0 {
			return nil, ErrQuantity
		}
		if c.Quantity > maxPieces-cart.Pieces[c.SKU] {
			return nil, ErrTooMany
		}
		return []Event{ItemAdded{SKU: c.SKU, Quantity: c.Quantity}}, nil
	case RemoveItem:
		if cart.Pieces[c.SKU] == 0 {
			return nil, ErrNotInCart
		}
		return []Event{ItemRemoved{SKU: c.SKU}}, nil
	case CheckOut:
		if len(cart.Pieces) == 0 {
			return nil, ErrEmpty
		}
		return []Event{CheckedOut{}}, nil
	default:
		return nil, fmt.Errorf("no rules for %T", cmd)
	}
}

// decider is all of this together: cart 7 is the stream "cart-7".
var decider = aggregate.Decider[Cart, Command, Event]{
	Category: "cart",
	Initial:  newCart,
	Decide:   decide,
	Evolve:   evolve,
}
