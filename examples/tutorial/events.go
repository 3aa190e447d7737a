package main

import "github.com/yore-es/yore/codec"

// Event is what can happen to a cart.
type Event interface{ isEvent() }

// ItemAdded says that pieces of an item were put into the cart.
type ItemAdded struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

// ItemRemoved says that all pieces of an item were taken out.
type ItemRemoved struct {
	SKU string `json:"sku"`
}

// CheckedOut says that the cart was bought as it was.
type CheckedOut struct{}

func (ItemAdded) isEvent()   {}
func (ItemRemoved) isEvent() {}
func (CheckedOut) isEvent()  {}

// newRegistry gives each event the name that it is stored under.
func newRegistry() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Register[ItemRemoved](b, "cart.item-removed", 1)
	codec.Register[CheckedOut](b, "cart.checked-out", 1)
	return b.Build()
}
