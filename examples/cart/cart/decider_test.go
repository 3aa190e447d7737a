package cart_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/examples/cart/cart"
)

type scenario = aggtest.Scenario[cart.State, cart.Command, cart.Event]

func newCart(t *testing.T) *scenario { return aggtest.New(t, registry(t), cart.Decider) }

func registry(t *testing.T) *codec.Registry {
	t.Helper()
	r, err := cart.Registry()
	require.NoError(t, err)
	return r
}

// Two items and their prices.
const (
	heart   = "85123A"
	lantern = "71053"
)

func added(sku string, quantity int64, price cart.Money) cart.ItemAdded {
	return cart.ItemAdded{SKU: sku, Description: sku + "!", Quantity: quantity, UnitPrice: price}
}

func add(sku string, quantity int64, price cart.Money) cart.AddItem {
	return cart.AddItem{Cart: "7", SKU: sku, Description: sku + "!", Quantity: quantity, UnitPrice: price}
}

func line(sku string, quantity int64, price cart.Money) cart.Line {
	return cart.Line{SKU: sku, Description: sku + "!", Quantity: quantity, UnitPrice: price}
}

func TestAddItem(t *testing.T) {
	c := newCart(t)
	c.When(add(heart, 6, 2550)).
		Then(added(heart, 6, 2550)).
		ThenState(cart.State{Lines: []cart.Line{line(heart, 6, 2550)}})
	c.Given(added(heart, 6, 2550), added(lantern, 1, 3390)).
		When(add(heart, 2, 2550)).
		Then(added(heart, 2, 2550)).
		ThenState(cart.State{Lines: []cart.Line{line(heart, 8, 2550), line(lantern, 1, 3390)}})
}

func TestAddItem_AnotherPriceIsAnotherLine(t *testing.T) {
	newCart(t).Given(added(heart, 6, 2550)).
		When(add(heart, 2, 1000)).
		Then(added(heart, 2, 1000)).
		ThenState(cart.State{Lines: []cart.Line{line(heart, 6, 2550), line(heart, 2, 1000)}})
}

func TestAddItem_Refused(t *testing.T) {
	c := newCart(t)
	c.When(add(heart, 0, 2550)).ThenRejected(cart.ErrQuantity)
	c.When(add(heart, -6, 2550)).ThenRejected(cart.ErrQuantity)
	c.When(add(heart, 6, 0)).ThenRejected(cart.ErrPrice)
	c.When(add(heart, 6, -1)).ThenRejected(cart.ErrPrice)
	c.When(add(heart, -6, 0)).ThenRejected(cart.ErrQuantity)
}

func TestAddItem_NothingWraps(t *testing.T) {
	c := newCart(t)
	c.When(add(heart, math.MaxInt64, 1)).Then(added(heart, math.MaxInt64, 1))
	c.When(add(heart, 1, math.MaxInt64)).Then(added(heart, 1, math.MaxInt64))
	c.When(add(heart, math.MaxInt64, 2)).ThenRejected(cart.ErrTooMuch)
	c.When(add(heart, 1<<32, 1<<32)).ThenRejected(cart.ErrTooMuch) // the product wraps to 0

	full := c.Given(added(heart, 1, math.MaxInt64-5))
	full.When(add(lantern, 1, 5)).Then(added(lantern, 1, 5))
	full.When(add(lantern, 1, 6)).ThenRejected(cart.ErrTooMuch)
	full.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: 2}).ThenRejected(cart.ErrTooMuch)
}

func TestSetQuantity(t *testing.T) {
	c := newCart(t).Given(added(heart, 6, 2550))
	c.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: 9}).
		Then(cart.ItemQuantityChanged{SKU: heart, UnitPrice: 2550, Quantity: 9}).
		ThenState(cart.State{Lines: []cart.Line{line(heart, 9, 2550)}})
	c.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: 1}).
		Then(cart.ItemQuantityChanged{SKU: heart, UnitPrice: 2550, Quantity: 1})
	c.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: 6}).ThenNothing()
	c.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: 0}).ThenRejected(cart.ErrQuantity)
	c.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: -1}).ThenRejected(cart.ErrQuantity)
	c.When(cart.SetQuantity{Cart: "7", SKU: lantern, Quantity: 1}).ThenRejected(cart.ErrNotInCart)
	c.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: math.MaxInt64}).ThenRejected(cart.ErrTooMuch)
}

func TestSetQuantity_ChangesWhatWasAddedLastFirst(t *testing.T) {
	c := newCart(t).Given(added(heart, 6, 2550), added(lantern, 1, 3390), added(heart, 2, 1000), added(heart, 3, 2000))
	c.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: 12}).
		Then(cart.ItemQuantityChanged{SKU: heart, UnitPrice: 2000, Quantity: 4})
	c.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: 10}).
		Then(cart.ItemQuantityChanged{SKU: heart, UnitPrice: 2000, Quantity: 2})
	c.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: 8}).
		Then(cart.ItemRemoved{SKU: heart, UnitPrice: 2000})
	c.When(cart.SetQuantity{Cart: "7", SKU: heart, Quantity: 5}).
		Then(
			cart.ItemRemoved{SKU: heart, UnitPrice: 2000},
			cart.ItemRemoved{SKU: heart, UnitPrice: 1000},
			cart.ItemQuantityChanged{SKU: heart, UnitPrice: 2550, Quantity: 5}).
		ThenState(cart.State{Lines: []cart.Line{line(heart, 5, 2550), line(lantern, 1, 3390)}})
}

func TestRemoveItem(t *testing.T) {
	c := newCart(t).Given(added(heart, 6, 2550), added(lantern, 1, 3390), added(heart, 2, 1000))
	c.When(cart.RemoveItem{Cart: "7", SKU: heart}).
		Then(cart.ItemRemoved{SKU: heart, UnitPrice: 1000}, cart.ItemRemoved{SKU: heart, UnitPrice: 2550}).
		ThenState(cart.State{Lines: []cart.Line{line(lantern, 1, 3390)}})
	c.When(cart.RemoveItem{Cart: "7", SKU: "x"}).ThenRejected(cart.ErrNotInCart)
	c.Given(cart.ItemRemoved{SKU: lantern, UnitPrice: 3390}).
		When(cart.RemoveItem{Cart: "7", SKU: lantern}).ThenRejected(cart.ErrNotInCart)
}

func TestCheckout(t *testing.T) {
	c := newCart(t)
	c.When(cart.Checkout{Cart: "7"}).ThenRejected(cart.ErrEmpty)
	c.Given(added(heart, 6, 2550), cart.ItemRemoved{SKU: heart, UnitPrice: 2550}).
		When(cart.Checkout{Cart: "7"}).ThenRejected(cart.ErrEmpty)
	c.Given(added(heart, 6, 2550), added(lantern, 1, 3390)).
		When(cart.Checkout{Cart: "7"}).
		Then(cart.CartCheckedOut{Pieces: 7, Total: 18690}).
		ThenState(cart.State{Lines: []cart.Line{line(heart, 6, 2550), line(lantern, 1, 3390)}, CheckedOut: true})
}

func TestCheckout_NothingChangesAfterIt(t *testing.T) {
	c := newCart(t).Given(added(heart, 6, 2550), cart.CartCheckedOut{Pieces: 6, Total: 15300})
	for _, cmd := range []cart.Command{
		add(heart, 1, 2550), add(heart, -1, 0), cart.SetQuantity{Cart: "7", SKU: heart, Quantity: 1},
		cart.RemoveItem{Cart: "7", SKU: heart}, cart.Checkout{Cart: "7"},
	} {
		c.When(cmd).ThenRejected(cart.ErrCheckedOut)
	}
}

func TestRefusal_SaysWhatAndWhy(t *testing.T) {
	var refusal *cart.Refusal
	newCart(t).When(add(heart, -6, 2550)).ThenRejectedAs(&refusal)
	require.EqualError(t, refusal, `cannot add -6 of item "85123A" at 2.550 to cart "7": the quantity must be above zero`)
	newCart(t).When(cart.RemoveItem{Cart: "7", SKU: "x"}).ThenRejectedAs(&refusal)
	require.EqualError(t, refusal, `cannot remove item "x" from cart "7": the item is not in the cart`)
}

func TestValidate(t *testing.T) {
	require.NoError(t, add(strings.Repeat("x", 100), 1, 1).Validate())
	require.NoError(t, add("BANK CHARGES", 1, 1).Validate())
	for _, name := range []string{"", strings.Repeat("x", 101), "a\x00", "a\nb", "\xff", "\x1b[1m"} {
		require.ErrorIs(t, cart.AddItem{Cart: "7", SKU: name}.Validate(), cart.ErrName, name)
		require.ErrorIs(t, cart.AddItem{Cart: name, SKU: "x"}.Validate(), cart.ErrName, name)
		require.ErrorIs(t, cart.SetQuantity{Cart: "7", SKU: name}.Validate(), cart.ErrName, name)
		require.ErrorIs(t, cart.RemoveItem{Cart: name, SKU: "x"}.Validate(), cart.ErrName, name)
		require.ErrorIs(t, cart.Checkout{Cart: name}.Validate(), cart.ErrName, name)
	}
	for _, text := range []string{"\xff", strings.Repeat("x", 1001)} {
		require.ErrorIs(t, cart.AddItem{Cart: "7", SKU: "x", Description: text}.Validate(), cart.ErrDescription)
	}
}

func TestRegistry_NamesAreForEver(t *testing.T) {
	r := registry(t)
	for name, event := range map[string]cart.Event{
		`cart.item-added 1 [sku:a] {"sku":"a","description":"b","quantity":2,"unitPrice":"2.550"}`: cart.ItemAdded{
			SKU: "a", Description: "b", Quantity: 2, UnitPrice: 2550,
		},
		`cart.item-quantity-changed 1 [sku:a] {"sku":"a","unitPrice":"2.550","quantity":2}`: cart.ItemQuantityChanged{
			SKU: "a", Quantity: 2, UnitPrice: 2550,
		},
		`cart.item-removed 1 [sku:a] {"sku":"a","unitPrice":"2.550"}`: cart.ItemRemoved{SKU: "a", UnitPrice: 2550},
		`cart.checked-out 1 [] {"pieces":2,"total":"5.100"}`:          cart.CartCheckedOut{Pieces: 2, Total: 5100},
	} {
		encoded, err := r.Encode(event)
		require.NoError(t, err)
		parts := strings.SplitN(name, " ", 4)
		require.Equal(t, parts[0], encoded.Type)
		require.EqualValues(t, 1, encoded.SchemaVersion)
		require.Equal(t, parts[2], "["+strings.Join(encoded.Tags, " ")+"]")
		require.Equal(t, parts[3], string(encoded.Data))
	}
}
