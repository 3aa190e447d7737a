package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/projection"
)

// This file has the parts of the tour that keep read models; tourrebuild.go has the parts
// that rebuild them.

func (t *tour) inline(ctx context.Context) error {
	t.say(`
		A question that is asked often should not fold the log each time. A read model has
		rows, which handlers make from the events, in tables with indexes, in the same file.
		The list of carts is attached to the log: its rows are in the commit that makes the
		events durable. When a command returns, the list shows it.`)
	for _, cmd := range []cart.Command{pieces(2, stand, "carl"), pieces(1, heart, "carl")} {
		if _, err := t.do(ctx, cmd); err != nil {
			return err
		}
		t.out.gap()
		carts, err := t.summaries.ByChange(ctx, t.store, 3)
		if err != nil {
			return err
		}
		printSummaries(t.out, carts)
		t.out.gap()
	}
	return nil
}

func (t *tour) async(ctx context.Context) error {
	t.say(`
		The best sellers may be a moment late. This read model follows the log on its own
		goroutine, many events at a time. Its rows and its position in the log change in one
		commit, so no event is left out or counted twice, also after a crash. At this moment
		the read model is not running:`)
	receipt, err := t.do(ctx, cart.Checkout{Cart: "carl"})
	if err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	var late *projection.LateError
	if err := t.views.Wait(soon, receipt.Last, t.ranking.Projection); !errors.As(err, &late) {
		return fmt.Errorf("the best sellers were to be late: %w", err)
	}
	t.out.printf("    %v: %v, waited for position %d\n", projection.ErrLate, late.State, late.Wanted)

	t.say(`
		Carl's order is durable, but the best sellers do not include it yet. Now the read
		model runs, and a writer can wait until it includes a position:`)
	wait, stop := t.runRanking(ctx)
	defer stop()
	if err := wait(receipt.Last); err != nil {
		return err
	}
	sellers, err := t.ranking.ByPieces(ctx, t.store, 10)
	if err != nil {
		return err
	}
	printSellers(t.out, "by pieces", sellers)
	return nil
}
