package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/examples/cart/cart"
)

var showSubcommand = subcommand{
	name: "show", synopsis: "[-at VERSION | -as-of TIME] CART", min: 1, max: 1,
	summary: "show what is in a cart, or was",
	about: `
A cart's version is the number of its events; history lists them with the times at
which they were recorded. TIME is one of
  2011-12-09T12:50:00Z   RFC 3339, as history prints it
  2011-12-09 12:50:00    local time; the seconds may have decimals
  2011-12-09             the end of that day, local time
and stands for everything recorded at that time or before.`,
	setup: func(flags *flag.FlagSet) action {
		at := flags.String("at", "", "the cart as it was at this `VERSION`; at 0 it is empty")
		asOf := flags.String("as-of", "", "the cart as it was at this `TIME`")
		return func(ctx context.Context, e *environment, args []string) error {
			return show(ctx, e, args[0], *at, *asOf)
		}
	},
}

var historySubcommand = subcommand{
	name: "history", synopsis: "CART", min: 1, max: 1,
	summary: "list the events of a cart",
	about: `Each line is an event: its version, when it was recorded, its name, what happened;
and when, where that is not when it was recorded.`,
	setup: func(*flag.FlagSet) action { return history },
}

var topSubcommand = subcommand{
	name: "top", synopsis: "[-n N]", min: 0, max: 0,
	summary: "list the best sellers, by pieces and by revenue",
	about: `
They are folded from the whole log. What is in a cart counts as sold once the cart is
checked out: as it was then, after all changes and removals, at the prices it was
added at.`,
	setup: func(flags *flag.FlagSet) action {
		n := flags.String("n", "10", "list the first `N`; 10 unless given")
		return func(ctx context.Context, e *environment, _ []string) error {
			count, err := strconv.Atoi(*n)
			if err != nil || count < 1 {
				return fmt.Errorf("-n %q: not a whole number above zero", *n)
			}
			return top(ctx, e, count)
		}
	},
}

func show(ctx context.Context, e *environment, id, at, asOf string) error {
	if at != "" && asOf != "" {
		return &usageError{message: "-at and -as-of exclude each other"}
	}
	version, err := parseVersion(at)
	if err != nil {
		return err
	}
	then, err := parseTime(asOf)
	if err != nil {
		return err
	}
	return withShopToRead(e.db, func(s *shop) error {
		state, reached, err := s.carts.Load(ctx, id)
		if err == nil && reached == 0 {
			return unknownCart(id)
		}
		if err == nil && version > reached {
			return fmt.Errorf("cart %q has no version %d; it is at version %d", id, version, reached)
		}
		if err == nil && at != "" {
			reached = version
			state, err = s.carts.LoadAt(ctx, id, version)
		}
		if err == nil && asOf != "" {
			state, reached, err = s.carts.LoadAsOf(ctx, id, then)
		}
		if err != nil {
			return err
		}
		e.out.printf("version %d\n", reached)
		printCart(e.out, id, state)
		return nil
	})
}

func unknownCart(id string) error { return fmt.Errorf("there is no cart %q", id) }

func parseVersion(text string) (eventstore.Version, error) {
	if text == "" {
		return 0, nil
	}
	version, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("-at %q: not a version, which is a whole number", text)
	}
	return eventstore.Version(version), nil
}

// parseTime reads a time in one of the forms that the help of show lists.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateTime, text, time.Local); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return t.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
	}
	return time.Time{}, fmt.Errorf("-as-of %q: not a time such as 2011-12-09T12:50:00Z, 2011-12-09 12:50:00 or 2011-12-09", text)
}

func history(ctx context.Context, e *environment, args []string) error {
	id := args[0]
	return withShopToRead(e.db, func(s *shop) error {
		records, err := s.history(ctx, id)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return unknownCart(id)
		}
		for _, r := range records {
			e.out.printf("%4d  %s  %-26s  %s%s\n", r.Version, stamp(r.Recorded), r.Type, describe(r.Data), happened(r))
		}
		return nil
	})
}

func top(ctx context.Context, e *environment, n int) error {
	return withShopToRead(e.db, func(s *shop) error {
		sales, _, err := cart.BestSellers().Run(ctx, s.store, s.registry, nil)
		if err != nil {
			return err
		}
		pieces, err := sales.ByPieces(n)
		if err != nil {
			return err
		}
		revenue, err := sales.ByRevenue(n)
		if err != nil {
			return err
		}
		printSellers(e.out, "by pieces", pieces)
		e.out.printf("\n")
		printSellers(e.out, "by revenue", revenue)
		return nil
	})
}
