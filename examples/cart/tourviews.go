package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/projection"
)

// This file has the parts of the tour that keep read models; tourrebuild.go has
// those that build them anew.

func (t *tour) inline(ctx context.Context) error {
	t.say(`
		What is asked often should not be folded each time. A read model is rows, made from
		the events by handlers, in tables with indexes, in the same file. The list of carts
		is attached to the log: its rows are in the very commit that makes the events
		durable. When a command returns, the list shows it; there is nothing to wait for.`)
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
		The best sellers may be a moment late. As a read model they follow the log on a
		goroutine of their own, many events at a time. The rows and the position that they
		are true for are one commit, so nothing is left out or counted twice, whatever
		crashes when. At this moment they are not run:`)
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
		Carl has bought, that is sure; only the list does not know yet. Now they are run,
		and a writer can wait until what it has written can be read:`)
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
