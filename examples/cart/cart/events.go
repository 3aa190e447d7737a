package cart

import "github.com/yore-es/yore/codec"

// Event is an event of a cart: [ItemAdded], [ItemQuantityChanged], [ItemRemoved] or
// [CartCheckedOut]. Stored events never change, so an event has all facts that are needed
// later, such as prices.
type Event interface{ isEvent() }

// ItemAdded records that pieces of an item were added to the cart.
type ItemAdded struct {
	SKU         string `json:"sku"`
	Description string `json:"description"`
	Quantity    int64  `json:"quantity"` // the number of pieces added, above zero
	UnitPrice   Money  `json:"unitPrice"`
}

// ItemQuantityChanged records the new number of pieces of the line of this item at this
// price.
type ItemQuantityChanged struct {
	SKU       string `json:"sku"`
	UnitPrice Money  `json:"unitPrice"`
	Quantity  int64  `json:"quantity"` // the new number of pieces, above zero
}

// ItemRemoved records that the line of this item at this price was removed.
type ItemRemoved struct {
	SKU       string `json:"sku"`
	UnitPrice Money  `json:"unitPrice"`
}

// CartCheckedOut records that the shopper bought the content of the cart. It is the last
// event of a cart.
type CartCheckedOut struct { //nolint:revive // it stutters, but it is the name of the fact
	Pieces int64 `json:"pieces"`
	Total  Money `json:"total"`
}

func (ItemAdded) isEvent()           {}
func (ItemQuantityChanged) isEvent() {}
func (ItemRemoved) isEvent()         {}
func (CartCheckedOut) isEvent()      {}

// Registry returns the registry of the events, with their permanent names and their tags.
// The tag "sku:85123A" finds the events of an item in all carts.
func Registry() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1, bySKU(func(e ItemAdded) string { return e.SKU }))
	codec.Register[ItemQuantityChanged](b, "cart.item-quantity-changed", 1, bySKU(func(e ItemQuantityChanged) string { return e.SKU }))
	codec.Register[ItemRemoved](b, "cart.item-removed", 1, bySKU(func(e ItemRemoved) string { return e.SKU }))
	codec.Register[CartCheckedOut](b, "cart.checked-out", 1)
	return b.Build()
}

// bySKU returns the option that tags an event with its item.
func bySKU[E any](sku func(E) string) codec.RegisterOption {
	return codec.Tags(func(e E) []string { return []string{"sku:" + sku(e)} })
}
