package main

// Cart is what the events of a cart come to.
type Cart struct {
	Pieces     map[string]int // by SKU
	CheckedOut bool
}

// newCart returns the cart before its first event.
func newCart() Cart { return Cart{Pieces: map[string]int{}} }

// evolve returns the cart after an event.
func evolve(cart Cart, event Event) Cart {
	switch e := event.(type) {
	case ItemAdded:
		cart.Pieces[e.SKU] += e.Quantity
	case ItemRemoved:
		delete(cart.Pieces, e.SKU)
	case CheckedOut:
		cart.CheckedOut = true
	}
	return cart
}
