package main

import (
	"testing"

	"github.com/yore-es/yore/aggregate/aggtest"
)

func TestCart(t *testing.T) {
	registry, err := newRegistry()
	if err != nil {
		t.Fatal(err)
	}
	cart := aggtest.New(t, registry, decider)

	cart.When(AddItem{SKU: "mug", Quantity: 2}).
		Then(ItemAdded{SKU: "mug", Quantity: 2}).
		ThenState(Cart{Pieces: map[string]int{"mug": 2}})
	cart.When(AddItem{SKU: "mug", Quantity: 0}).ThenRejected(ErrQuantity)
	cart.When(CheckOut{}).ThenRejected(ErrEmpty)

	mugs := cart.Given(ItemAdded{SKU: "mug", Quantity: 2})
	mugs.When(AddItem{SKU: "mug", Quantity: 3}).Then(ItemAdded{SKU: "mug", Quantity: 3})
	mugs.When(AddItem{SKU: "mug", Quantity: 4}).ThenRejected(ErrTooMany)
	mugs.When(RemoveItem{SKU: "mug"}).Then(ItemRemoved{SKU: "mug"})
	mugs.When(RemoveItem{SKU: "teapot"}).ThenRejected(ErrNotInCart)
	mugs.When(CheckOut{}).Then(CheckedOut{})

	bought := mugs.Given(CheckedOut{})
	bought.When(RemoveItem{SKU: "mug"}).ThenRejected(ErrCheckedOut)
}
