package cart

import "github.com/yore-es/yore/codec"

// Event is what can happen to a cart: [ItemAdded], [ItemQuantityChanged],
// [ItemRemoved], [CartCheckedOut]. What happened is never changed, so an event
// holds all that must be known about it later, prices above all.
type Event interface{ isEvent() }

// ItemAdded says that pieces of an item were put into the cart.
type ItemAdded struct {
	SKU         string `json:"sku"`
	Description string `json:"description"`
	Quantity    int64  `json:"quantity"` // how many more, above zero
	UnitPrice   Money  `json:"unitPrice"`
}

// ItemQuantityChanged says that the line of this item at this price now has so
// many pieces.
type ItemQuantityChanged struct {
	SKU       string `json:"sku"`
	UnitPrice Money  `json:"unitPrice"`
	Quantity  int64  `json:"quantity"` // how many there are now, above zero
}

// ItemRemoved says that the line of this item at this price is gone.
type ItemRemoved struct {
	SKU       string `json:"sku"`
	UnitPrice Money  `json:"unitPrice"`
}

// CartCheckedOut says that the shopper bought what was in the cart. It is the
// last event of a cart.
type CartCheckedOut struct { //nolint:revive // it stutters, but it is the name of the fact
	Pieces int64 `json:"pieces"`
	Total  Money `json:"total"`
}

func (ItemAdded) isEvent()           {}
func (ItemQuantityChanged) isEvent() {}
func (ItemRemoved) isEvent()         {}
func (CartCheckedOut) isEvent()      {}

// Registry returns the names that the events are stored under, for ever, and the
// tags they carry: "sku:85123A" finds all that happened to an item, in any cart.
func Registry() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1, bySKU(func(e ItemAdded) string { return e.SKU }))
	codec.Register[ItemQuantityChanged](b, "cart.item-quantity-changed", 1, bySKU(func(e ItemQuantityChanged) string { return e.SKU }))
	codec.Register[ItemRemoved](b, "cart.item-removed", 1, bySKU(func(e ItemRemoved) string { return e.SKU }))
	codec.Register[CartCheckedOut](b, "cart.checked-out", 1)
	return b.Build()
}

// bySKU tags an event with the item that it is about.
func bySKU[E any](sku func(E) string) codec.RegisterOption {
	return codec.Tags(func(e E) []string { return []string{"sku:" + sku(e)} })
}
