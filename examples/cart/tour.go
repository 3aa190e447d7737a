package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/examples/cart/cart"
)

// tour shows the features of Yore one after the other, on its own log.
type tour struct {
	*shop
	out *printer
}

// The items of the tour.
var (
	heart   = cart.AddItem{SKU: "85123A", Description: "White hanging heart", UnitPrice: 2550}
	lantern = cart.AddItem{SKU: "71053", Description: "White metal lantern", UnitPrice: 3390}
	stand   = cart.AddItem{SKU: "22423", Description: "Regency cakestand", UnitPrice: 12750}
	clock   = cart.AddItem{SKU: "22727", Description: "Alarm clock bakelike red", UnitPrice: 3750}
)

// pieces returns the command that adds a quantity of an item to a cart.
func pieces(n int64, item cart.AddItem, id string) cart.AddItem {
	item.Cart, item.Quantity = id, n
	return item
}

// runTour runs the tour on a log in a temporary file.
func runTour(ctx context.Context, out *printer) (err error) {
	dir, err := os.MkdirTemp("", "yore-cart-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "cart.yore")
	return useLog(path, nil, func(s *shop) error {
		if err := s.attach(ctx); err != nil {
			return err
		}
		t := &tour{shop: s, out: out}
		t.say(`
			A SHOPPING CART, EVENT SOURCED WITH YORE

			This tour keeps carts in a log, in the file
			%s
			and removes the log at the end. Each line that begins with > is a command, which
			is carried out.`, path)
		return t.sections(ctx)
	})
}

// sections runs all parts of the tour, each under its title.
func (t *tour) sections(ctx context.Context) error {
	for i, section := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"Commands become events", t.events},
		{"The rules refuse", t.refusals},
		{"The cart as it was", t.past},
		{"Two shoppers, one cart", t.race},
		{"Sent twice, done once", t.repeat},
		{"The log, followed live", t.follow},
		{"Best sellers, folded from the log", t.sellers},
		{"A read model in the same commit", t.inline},
		{"A read model beside the log", t.async},
		{"A new version beside the old one", t.rebuild},
		{"A read model that fails", t.fault},
		{"Where to go next", t.farewell},
	} {
		t.out.gap()
		title := fmt.Sprintf("%d. %s", i+1, section.title)
		t.out.printf("\n%s\n%s\n", title, strings.Repeat("-", len(title)))
		if err := section.run(ctx); err != nil {
			return fmt.Errorf("tour, section %d: %w", i+1, err)
		}
	}
	return t.out.err
}

func (t *tour) events(ctx context.Context) error {
	t.say(`
		A command is a request of a shopper. The cart's decider, a pure function, returns
		events: facts, which are appended to the log and never change. The state of the cart
		is the fold of its events.`)
	for _, cmd := range []cart.Command{
		pieces(2, heart, "ann"),
		pieces(1, stand, "ann"),
		cart.SetQuantity{Cart: "ann", SKU: heart.SKU, Quantity: 6},
		pieces(3, lantern, "ann"),
		cart.RemoveItem{Cart: "ann", SKU: stand.SKU},
	} {
		if _, err := t.do(ctx, cmd); err != nil {
			return err
		}
	}
	return nil
}

func (t *tour) refusals(ctx context.Context) error {
	before, err := t.store.Head(ctx)
	if err != nil {
		return err
	}
	t.say(`
		The same function refuses commands that break a rule, and names the rule.`)
	for _, cmd := range []cart.Command{
		cart.SetQuantity{Cart: "ann", SKU: heart.SKU, Quantity: 0},
		cart.RemoveItem{Cart: "ann", SKU: stand.SKU},
		cart.Checkout{Cart: "bob"},
	} {
		if err := t.refused(ctx, cmd); err != nil {
			return err
		}
	}
	after, err := t.store.Head(ctx)
	if err != nil {
		return err
	}
	t.say(`
		Nothing was written: the last event had position %d before and has position %d now.`, before, after)
	return nil
}

func (t *tour) past(ctx context.Context) error {
	_, version, err := t.carts.Load(ctx, "ann")
	if err != nil {
		return err
	}
	t.say(`
		Nothing is overwritten, so every earlier state can be loaded. Ann's cart has %d
		events, so it is at version %d. Three events ago it was at version %d:`, version, version, version-3)
	then, err := t.carts.LoadAt(ctx, "ann", version-3)
	if err != nil {
		return err
	}
	printCart(t.out, "ann", then)

	first, err := t.history(ctx, "ann")
	if err != nil {
		return err
	}
	t.say(`
		Every event also knows when it was recorded. As of %s the cart was`, stamp(first[0].Recorded))
	then, _, err = t.carts.LoadAsOf(ctx, "ann", first[0].Recorded)
	if err != nil {
		return err
	}
	printCart(t.out, "ann", then)
	return nil
}

func (t *tour) repeat(ctx context.Context) error {
	t.say(`
		Ann checks out, and the connection breaks before the answer arrives. Ann's phone
		sends the same command again, with the same command id.`)
	ctx = eventstore.WithCommandID(ctx, "ann's order")
	for range 2 {
		receipt, err := t.do(ctx, cart.Checkout{Cart: "ann"})
		if err != nil {
			return err
		}
		if receipt.Repeated {
			t.out.printf("    carried out before: this is the first answer\n")
		}
	}
	t.say(`
		It was carried out once, and answered twice. With another command id it is another
		command, which the rules refuse now:`)
	return t.refused(eventstore.WithCommandID(ctx, "ann's second order"), cart.Checkout{Cart: "ann"})
}

func (t *tour) sellers(ctx context.Context) error {
	t.say(`
		A fold answers a new question from old events: it has a few typed handlers, which
		change a value with each event of the log, over all carts. The content of a cart
		counts when the cart is checked out.`)
	sales, through, err := cart.BestSellers().Run(ctx, t.store, t.registry, nil)
	if err != nil {
		return err
	}
	printSellers(t.out, "by pieces", sales.ByPieces(10))
	t.say(`
		This is the answer at position %d of the log. The fold has one for each earlier
		position too.`, through)
	return nil
}

func (t *tour) farewell(context.Context) error {
	t.say(`
		Keep your own log, in the file shop.yore:

		  go run ./examples/cart -db shop.yore add ann 85123A 2 2.55 "White hanging heart"
		  go run ./examples/cart -db shop.yore set ann 85123A 5
		  go run ./examples/cart -db shop.yore show -at 1 ann
		  go run ./examples/cart -db shop.yore history ann
		  go run ./examples/cart -db shop.yore list
		  go run ./examples/cart -db shop.yore top
		  go run ./examples/cart -h

		The domain of the cart is in examples/cart/cart: begin with doc.go there.`)
	return nil
}

// do sends a command, and prints its events and the cart.
func (t *tour) do(ctx context.Context, cmd cart.Command) (eventstore.Receipt, error) {
	t.out.printf("> %v\n", cmd)
	outcome, err := t.dispatch(ctx, cmd)
	if err != nil {
		return outcome.Receipt, err
	}
	return outcome.Receipt, t.show(ctx, cmd.CartID(), outcome.State, outcome.Receipt)
}

// show prints the events of a commit and the cart.
func (t *tour) show(ctx context.Context, id string, state cart.State, receipt eventstore.Receipt) error {
	records, err := t.written(ctx, id, receipt)
	if err != nil {
		return err
	}
	for _, r := range records {
		t.out.printf("    event  %s\n", lineOf(r))
	}
	t.out.printf("    cart   %s\n", summary(state))
	return nil
}

// summary formats a cart on one line.
func summary(state cart.State) string {
	lines := make([]string, len(state.Lines))
	for i, l := range state.Lines {
		lines[i] = fmt.Sprintf("%d x %s", l.Quantity, l.SKU)
	}
	text := fmt.Sprintf("%s = %v", strings.Join(lines, ", "), state.Total())
	if state.CheckedOut {
		text += ", checked out"
	}
	return text
}

// refused sends a command that the rules must refuse, and prints the refusal.
func (t *tour) refused(ctx context.Context, cmd cart.Command) error {
	t.out.printf("> %v\n", cmd)
	_, err := t.dispatch(ctx, cmd)
	var refusal *cart.Refusal
	if !errors.As(err, &refusal) {
		return fmt.Errorf("%v: not refused: %w", cmd, err)
	}
	t.out.printf("    refused: %v\n", refusal.Rule)
	return nil
}

// say prints a paragraph without the indentation of the source.
func (t *tour) say(format string, args ...any) {
	t.out.gap()
	text := strings.TrimPrefix(fmt.Sprintf(format, args...), "\n")
	for line := range strings.Lines(text) {
		t.out.printf("%s", strings.TrimLeft(line, "\t"))
	}
	t.out.gap()
}
