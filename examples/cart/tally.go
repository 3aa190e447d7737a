package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/yore-es/yore/examples/cart/cart"
)

// tally has the counts of an import.
type tally struct {
	rows, accepted, rejected, repeated, carts int

	open    int // carts that were emptied meanwhile and could not be checked out
	pieces  int64
	revenue cart.Money
	reasons map[string]int // rejected lines by reason
}

// accept counts an accepted line. It returns an error if a sum overflows.
func (t *tally) accept(item cart.AddItem, repeated bool) error {
	amount, amountFits := item.UnitPrice.Times(item.Quantity)
	revenue, revenueFits := cart.Sum(t.revenue, amount)
	pieces, piecesFit := cart.Sum(t.pieces, item.Quantity)
	if !amountFits || !revenueFits || !piecesFit {
		return errors.New("pieces or revenue of all lines are more than can be counted")
	}
	t.accepted++
	t.pieces, t.revenue = pieces, revenue
	if repeated {
		t.repeated++
	}
	return nil
}

func (t tally) String() string {
	return fmt.Sprintf("rows %d accepted %d rejected %d carts %d pieces %d revenue %v",
		t.rows, t.accepted, t.rejected, t.carts, t.pieces, t.revenue)
}

func (t tally) printReasons(errs *printer) {
	for _, reason := range slices.Sorted(maps.Keys(t.reasons)) {
		errs.printf("rejected %d: %s\n", t.reasons[reason], reason)
	}
	if t.open > 0 {
		errs.printf("not checked out %d: the cart has been emptied\n", t.open)
	}
}
