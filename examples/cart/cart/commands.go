package cart

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Command is a request of a shopper: [AddItem], [SetQuantity], [RemoveItem] or
// [Checkout]. Its String is part of the text of a [Refusal].
type Command interface {
	// CartID returns the id of the cart that the command is for.
	CartID() string
	fmt.Stringer
	isCommand()
}

// AddItem adds pieces of an item at a unit price.
type AddItem struct {
	Cart        string
	SKU         string
	Description string
	Quantity    int64
	UnitPrice   Money
}

// SetQuantity sets the number of pieces of an item that is in the cart. Additional
// pieces have the price of the item's last line. Surplus pieces are taken from the
// item's last lines first.
type SetQuantity struct {
	Cart     string
	SKU      string
	Quantity int64
}

// RemoveItem removes all lines of an item.
type RemoveItem struct {
	Cart string
	SKU  string
}

// Checkout buys the content of the cart.
type Checkout struct {
	Cart string
}

func (AddItem) isCommand()     {}
func (SetQuantity) isCommand() {}
func (RemoveItem) isCommand()  {}
func (Checkout) isCommand()    {}

// CartID implements [Command].
func (c AddItem) CartID() string { return c.Cart }

// CartID implements [Command].
func (c SetQuantity) CartID() string { return c.Cart }

// CartID implements [Command].
func (c RemoveItem) CartID() string { return c.Cart }

// CartID implements [Command].
func (c Checkout) CartID() string { return c.Cart }

func (c AddItem) String() string {
	return fmt.Sprintf("add %d of item %q at %v to cart %q", c.Quantity, c.SKU, c.UnitPrice, c.Cart)
}

func (c SetQuantity) String() string {
	return fmt.Sprintf("set item %q in cart %q to %d", c.SKU, c.Cart, c.Quantity)
}

func (c RemoveItem) String() string { return fmt.Sprintf("remove item %q from cart %q", c.SKU, c.Cart) }

func (c Checkout) String() string { return fmt.Sprintf("check out cart %q", c.Cart) }

// The limits of a name and a description, in bytes.
const (
	maxName        = 100
	maxDescription = 1000
)

// Validate refuses invalid names and descriptions. It does not need the cart's state.
func (c AddItem) Validate() error {
	if len(c.Description) > maxDescription || !utf8.ValidString(c.Description) {
		return &Refusal{Command: c, Rule: ErrDescription}
	}
	return validNames(c, c.Cart, c.SKU)
}

// Validate refuses invalid names.
func (c SetQuantity) Validate() error { return validNames(c, c.Cart, c.SKU) }

// Validate refuses invalid names.
func (c RemoveItem) Validate() error { return validNames(c, c.Cart, c.SKU) }

// Validate refuses an invalid name.
func (c Checkout) Validate() error { return validNames(c, c.Cart) }

func validNames(c Command, names ...string) error {
	for _, name := range names {
		if name == "" || len(name) > maxName || !utf8.ValidString(name) {
			return &Refusal{Command: c, Rule: ErrName}
		}
		for _, r := range name {
			if !unicode.IsPrint(r) {
				return &Refusal{Command: c, Rule: ErrName}
			}
		}
	}
	return nil
}
