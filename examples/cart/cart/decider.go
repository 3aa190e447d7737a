package cart

import (
	"fmt"
	"slices"

	"github.com/yore-es/yore/aggregate"
)

// Decider is the decider of carts. The events of cart 7 are in the stream "cart-7".
var Decider = aggregate.Decider[State, Command, Event]{
	Category: "cart",
	Decide:   Decide,
	Evolve:   Evolve,
	Clone: func(s State) State {
		s.Lines = slices.Clone(s.Lines)
		return s
	},
}

// Decide returns the events of a command, or a [*Refusal]. A command that changes nothing
// has no events.
func Decide(s State, cmd Command) ([]Event, error) {
	if s.CheckedOut {
		return refuse(cmd, ErrCheckedOut)
	}
	switch c := cmd.(type) {
	case AddItem:
		return addItem(s, c)
	case SetQuantity:
		return setQuantity(s, c)
	case RemoveItem:
		return removeItem(s, c)
	case Checkout:
		return checkout(s, c)
	default:
		return nil, fmt.Errorf("no rules for command %T", cmd)
	}
}

func refuse(cmd Command, rule error) ([]Event, error) {
	return nil, &Refusal{Command: cmd, Rule: rule}
}

func addItem(s State, c AddItem) ([]Event, error) {
	switch {
	case c.Quantity <= 0:
		return refuse(c, ErrQuantity)
	case c.UnitPrice <= 0:
		return refuse(c, ErrPrice)
	case !s.hasRoomFor(c.Quantity, c.UnitPrice):
		return refuse(c, ErrTooMuch)
	}
	return []Event{ItemAdded{
		SKU: c.SKU, Description: c.Description, Quantity: c.Quantity, UnitPrice: c.UnitPrice,
	}}, nil
}

func setQuantity(s State, c SetQuantity) ([]Event, error) {
	lines := s.linesOf(c.SKU)
	if c.Quantity <= 0 {
		return refuse(c, ErrQuantity)
	}
	if len(lines) == 0 {
		return refuse(c, ErrNotInCart)
	}
	surplus := -c.Quantity // the number of pieces to take out; negative to add
	for _, line := range lines {
		surplus += line.Quantity
	}
	if surplus < 0 {
		last := lines[0]
		if !s.hasRoomFor(-surplus, last.UnitPrice) {
			return refuse(c, ErrTooMuch)
		}
		return []Event{ItemQuantityChanged{
			SKU: c.SKU, UnitPrice: last.UnitPrice, Quantity: last.Quantity - surplus,
		}}, nil
	}
	return takeOut(lines, surplus), nil
}

// takeOut returns the events that take pieces out of the lines, in the order of the lines.
func takeOut(lines []Line, pieces int64) []Event {
	var events []Event
	for _, line := range lines {
		if pieces == 0 {
			break
		}
		taken := min(pieces, line.Quantity)
		pieces -= taken
		if taken == line.Quantity {
			events = append(events, ItemRemoved{SKU: line.SKU, UnitPrice: line.UnitPrice})
		} else {
			events = append(events, ItemQuantityChanged{
				SKU: line.SKU, UnitPrice: line.UnitPrice, Quantity: line.Quantity - taken,
			})
		}
	}
	return events
}

func removeItem(s State, c RemoveItem) ([]Event, error) {
	var events []Event
	for _, line := range s.linesOf(c.SKU) {
		events = append(events, ItemRemoved{SKU: line.SKU, UnitPrice: line.UnitPrice})
	}
	if len(events) == 0 {
		return refuse(c, ErrNotInCart)
	}
	return events, nil
}

func checkout(s State, c Checkout) ([]Event, error) {
	if len(s.Lines) == 0 {
		return refuse(c, ErrEmpty)
	}
	return []Event{CartCheckedOut{Pieces: s.Pieces(), Total: s.Total()}}, nil
}

// hasRoomFor reports whether the cart's pieces and total still fit their types with this
// number of pieces more. If those of the cart fit, those of each line fit too.
func (s State) hasRoomFor(pieces int64, price Money) bool {
	amount, ok := price.Times(pieces)
	if !ok {
		return false
	}
	_, totalFits := Sum(s.Total(), amount)
	_, piecesFit := Sum(s.Pieces(), pieces)
	return totalFits && piecesFit
}
