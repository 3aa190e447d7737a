package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/yore-es/yore/examples/cart/cart"
)

// tally is what an import counts.
type tally struct {
	rows, accepted, rejected, repeated, carts int

	open    int // carts that were emptied meanwhile, and so not checked out
	pieces  int64
	revenue cart.Money
	reasons map[string]int // why lines were rejected
}

// accept counts a line that is in its cart. Sums that do not fit are an error.
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
