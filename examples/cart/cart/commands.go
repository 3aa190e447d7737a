package cart

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Command is what a shopper can ask for: [AddItem], [SetQuantity], [RemoveItem],
// [Checkout]. Its text says what is asked.
type Command interface {
	// CartID says which cart the command is for.
	CartID() string
	fmt.Stringer
	isCommand()
}

// AddItem asks for more pieces of an item, at a price.
type AddItem struct {
	Cart        string
	SKU         string
	Description string
	Quantity    int64
	UnitPrice   Money
}

// SetQuantity asks for so many pieces of an item that is in the cart. More
// pieces come at the price of the item's last line; fewer are taken from its
// last lines first.
type SetQuantity struct {
	Cart     string
	SKU      string
	Quantity int64
}

// RemoveItem asks for an item to be taken out, at whatever prices it is there.
type RemoveItem struct {
	Cart string
	SKU  string
}

// Checkout asks to buy what is in the cart.
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

// The most bytes that a name and a description may have.
const (
	maxName        = 100
	maxDescription = 1000
)

// Validate refuses names and texts that cannot be, whatever is in the cart.
func (c AddItem) Validate() error {
	if len(c.Description) > maxDescription || !utf8.ValidString(c.Description) {
		return &Refusal{Command: c, Rule: ErrDescription}
	}
	return validNames(c, c.Cart, c.SKU)
}

// Validate refuses names that cannot be, whatever is in the cart.
func (c SetQuantity) Validate() error { return validNames(c, c.Cart, c.SKU) }

// Validate refuses names that cannot be, whatever is in the cart.
func (c RemoveItem) Validate() error { return validNames(c, c.Cart, c.SKU) }

// Validate refuses names that cannot be, whatever is in the cart.
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
