package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"

	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/projection"
)

// These subcommands read from the indexes of a read model. To sort the same rows from the
// log would take a fold of the whole log each time.

var listSubcommand = subcommand{
	name: "list", synopsis: "[-n N] [-by change|total]", min: 0, max: 0,
	summary: "list the carts, those that were changed last first",
	about: `
They come from a read model, which is committed with the events and has an index for
each order: -by change, the last one first, and -by total, the largest one first.`,
	setup: func(flags *flag.FlagSet) action {
		n := countFlag(flags)
		by := flags.String("by", "change", "`change` or total; change unless given")
		return func(ctx context.Context, e *environment, _ []string) error {
			count, err := parseCount(*n)
			if err != nil {
				return err
			}
			if *by != "change" && *by != "total" {
				return fmt.Errorf("-by %q: neither change nor total", *by)
			}
			return list(ctx, e, count, *by)
		}
	},
}

var topSubcommand = subcommand{
	name: "top", synopsis: "[-n N]", min: 0, max: 0,
	summary: "list the best sellers, by pieces and by revenue",
	about: `
The content of a cart counts as sold when the cart is checked out, after all changes
and removals, at the prices at which it was added.

They come from a read model that follows the log. The file is opened for writing to
bring it up to date first; if that fails, they are counted from the whole log.`,
	setup: func(flags *flag.FlagSet) action {
		n := countFlag(flags)
		return func(ctx context.Context, e *environment, _ []string) error {
			count, err := parseCount(*n)
			if err != nil {
				return err
			}
			return top(ctx, e, count)
		}
	},
}

func countFlag(flags *flag.FlagSet) *string {
	return flags.String("n", "10", "list the first `N`; 10 unless given")
}

func parseCount(text string) (int, error) {
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 {
		return 0, fmt.Errorf("-n %q: not a whole number above zero", text)
	}
	return count, nil
}

func summaries(s *shop) *projection.Projection { return s.summaries.Projection }

func ranking(s *shop) *projection.Projection { return s.ranking.Projection }

func list(ctx context.Context, e *environment, n int, by string) error {
	return withReadModel(ctx, e, summaries, func(s *shop, from projection.Reader) error {
		var carts []cart.Summary
		var err error
		if by == "total" {
			carts, err = s.summaries.ByTotal(ctx, from, n)
		} else {
			carts, err = s.summaries.ByChange(ctx, from, n)
		}
		if err != nil {
			return err
		}
		printSummaries(e.out, carts)
		return nil
	})
}

func top(ctx context.Context, e *environment, n int) error {
	return withReadModel(ctx, e, ranking, func(s *shop, from projection.Reader) error {
		pieces, err := s.ranking.ByPieces(ctx, from, n)
		if err != nil {
			return err
		}
		revenue, err := s.ranking.ByRevenue(ctx, from, n)
		if err != nil {
			return err
		}
		printSellers(e.out, "by pieces", pieces)
		e.out.printf("\n")
		printSellers(e.out, "by revenue", revenue)
		return nil
	})
}
