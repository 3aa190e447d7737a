package cart

import (
	"errors"
	"fmt"
)

// The rules. A [*Refusal] wraps the one that a command breaks.
var (
	ErrCheckedOut  = errors.New("the cart is checked out")
	ErrQuantity    = errors.New("the quantity must be above zero")
	ErrPrice       = errors.New("the unit price must be above zero")
	ErrNotInCart   = errors.New("the item is not in the cart")
	ErrEmpty       = errors.New("the cart is empty")
	ErrTooMuch     = errors.New("the cart would hold more than can be counted")
	ErrName        = errors.New("the names of carts and items are 1 to 100 bytes of printable UTF-8")
	ErrDescription = errors.New("descriptions are at most 1000 bytes of UTF-8")
)

// Refusal is the error of a refused command. It matches the broken rule with [errors.Is].
type Refusal struct {
	Command Command
	Rule    error
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("cannot %v: %v", r.Command, r.Rule) }

// Unwrap returns the rule.
func (r *Refusal) Unwrap() error { return r.Rule }
