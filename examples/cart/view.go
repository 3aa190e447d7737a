package main

import (
	"context"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/projection"
)

var showSubcommand = subcommand{
	name: "show", synopsis: "[-at VERSION | -as-of TIME] CART", min: 1, max: 1,
	summary: "show what is in a cart, now or in the past",
	about: `
The current cart comes from a read model, which is committed with the events. A past
cart is folded from its events up to then. A cart's version is the number of its
events; history lists them with the times at which they were recorded. TIME is one of
  2011-12-09T12:50:00Z   RFC 3339, as history prints it
  2011-12-09 12:50:00    local time; the seconds may have decimals
  2011-12-09             the end of that day, local time
and includes everything recorded at that time or before.`,
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
	about: `Each line is an event: its version, the time at which it was recorded, its name and
its content; and the time at which it happened, if that is another.`,
	setup: func(*flag.FlagSet) action { return history },
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
	switch {
	case at != "":
		return showPast(ctx, e, id, func(s *shop, last eventstore.Version) (cart.State, eventstore.Version, error) {
			if version > last {
				return cart.State{}, 0, fmt.Errorf("cart %q has no version %d; it is at version %d", id, version, last)
			}
			state, err := s.carts.LoadAt(ctx, id, version)
			return state, version, err
		})
	case asOf != "":
		return showPast(ctx, e, id, func(s *shop, _ eventstore.Version) (cart.State, eventstore.Version, error) {
			return s.carts.LoadAsOf(ctx, id, then)
		})
	default:
		return showNow(ctx, e, id)
	}
}

// showNow prints a cart as it is in the read model.
func showNow(ctx context.Context, e *environment, id string) error {
	return withReadModel(ctx, e, summaries, func(s *shop, from projection.Reader) error {
		state, version, err := s.summaries.Load(ctx, from, id)
		if err != nil {
			return err
		}
		if version == 0 {
			return unknownCart(id)
		}
		printVersion(e.out, id, state, version)
		return nil
	})
}

// showPast prints a cart as of a version or a time.
func showPast(
	ctx context.Context, e *environment, id string,
	load func(s *shop, last eventstore.Version) (cart.State, eventstore.Version, error),
) error {
	return withShopToRead(e, func(s *shop) error {
		_, last, err := s.carts.Load(ctx, id)
		if err != nil {
			return err
		}
		if last == 0 {
			return unknownCart(id)
		}
		state, version, err := load(s, last)
		if err != nil {
			return err
		}
		printVersion(e.out, id, state, version)
		return nil
	})
}

func printVersion(out *printer, id string, state cart.State, version eventstore.Version) {
	out.printf("version %d\n", version)
	printCart(out, id, state)
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

// parseTime parses a time in one of the forms in the help text of show.
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
	return withShopToRead(e, func(s *shop) error {
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
