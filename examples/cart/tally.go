package main

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/yore-es/yore/examples/cart/cart"
)

// tally has the counts of an import. Pieces and revenue are those of the events in the log,
// and have no limit.
type tally struct {
	rows, accepted, rejected, repeated, carts int

	pieces  big.Int
	revenue big.Int        // in thousandths
	reasons map[string]int // rejected lines by reason
	open    map[string]int // carts that could not be checked out, by reason
	reports reports        // of lines that were rejected for another reason than a rule of the cart
}

func newTally(book *orderBook) *tally {
	t := &tally{rows: book.rows, reasons: make(map[string]int), open: make(map[string]int)}
	if n := book.malformed.n; n > 0 {
		t.rejected, t.reasons["malformed"] = n, n
	}
	return t
}

// accept counts an accepted line by its outcome.
func (t *tally) accept(outcome result) {
	t.accepted++
	if outcome.Receipt.Repeated {
		t.repeated++
	}
	for _, event := range outcome.Events {
		if added, ok := event.(cart.ItemAdded); ok {
			quantity, price := big.NewInt(added.Quantity), big.NewInt(int64(added.UnitPrice))
			t.pieces.Add(&t.pieces, quantity)
			t.revenue.Add(&t.revenue, price.Mul(price, quantity))
		}
	}
}

func (t *tally) reject(reason string) {
	t.rejected++
	t.reasons[reason]++
}

func (t *tally) String() string {
	whole, thousandths := new(big.Int).QuoRem(&t.revenue, big.NewInt(1000), new(big.Int))
	return fmt.Sprintf("rows %d accepted %d rejected %d carts %d pieces %v revenue %v.%03d",
		t.rows, t.accepted, t.rejected, t.carts, &t.pieces, whole, thousandths)
}

func (t *tally) printReasons(errs *printer) {
	for _, reason := range slices.Sorted(maps.Keys(t.reasons)) {
		errs.printf("rejected %d: %s\n", t.reasons[reason], reason)
	}
	for _, reason := range slices.Sorted(maps.Keys(t.open)) {
		errs.printf("not checked out %d: %s\n", t.open[reason], reason)
	}
}
