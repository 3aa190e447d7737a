package cart

import "slices"

// State is the content of a cart. The zero State is an empty cart.
type State struct {
	// Lines are in the order in which they were first added.
	Lines []Line
	// CheckedOut is true if the cart was bought. Then it cannot change any more.
	CheckedOut bool
}

// Line is an item at a price.
type Line struct {
	SKU         string
	Description string
	Quantity    int64
	UnitPrice   Money
}

// Amount returns the price of all pieces of the line.
func (l Line) Amount() Money { return l.UnitPrice * Money(l.Quantity) } // fits, by ErrTooMuch

// Pieces returns the number of pieces in the cart.
func (s State) Pieces() int64 {
	var pieces int64
	for _, line := range s.Lines {
		pieces += line.Quantity
	}
	return pieces
}

// Total returns the price of all pieces in the cart.
func (s State) Total() Money {
	var total Money
	for _, line := range s.Lines {
		total += line.Amount()
	}
	return total
}

// Evolve returns the state after the event. It checks no rule, because the event has
// happened. It modifies its argument.
func Evolve(s State, event Event) State {
	switch e := event.(type) {
	case ItemAdded:
		if i := s.line(e.SKU, e.UnitPrice); i >= 0 {
			s.Lines[i].Quantity += e.Quantity
		} else {
			s.Lines = append(s.Lines, Line(e))
		}
	case ItemQuantityChanged:
		if i := s.line(e.SKU, e.UnitPrice); i >= 0 {
			s.Lines[i].Quantity = e.Quantity
		}
	case ItemRemoved:
		if i := s.line(e.SKU, e.UnitPrice); i >= 0 {
			s.Lines = slices.Delete(s.Lines, i, i+1)
		}
	case CartCheckedOut:
		s.CheckedOut = true
	}
	return s
}

// line returns the index of the item's line at that price, or -1.
func (s State) line(sku string, price Money) int {
	return slices.IndexFunc(s.Lines, func(l Line) bool { return l.SKU == sku && l.UnitPrice == price })
}

// linesOf returns the item's lines, the last one first.
func (s State) linesOf(sku string) []Line {
	var lines []Line
	for _, line := range slices.Backward(s.Lines) {
		if line.SKU == sku {
			lines = append(lines, line)
		}
	}
	return lines
}
