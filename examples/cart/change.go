package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/examples/cart/cart"
)

var addSubcommand = subcommand{
	name: "add", synopsis: "[-id ID] CART SKU QUANTITY PRICE [DESCRIPTION]", min: 4, max: 5,
	summary: "put pieces of an item into a cart",
	about: `
QUANTITY is a whole number above zero. PRICE is the price of one piece, above zero,
with at most three decimals: 2.55. Pieces of an item that is in the cart at the same
price are added to its line; at another price they are a new line. DESCRIPTION is one
argument: quote it.`,
	setup: changeAction(parseAdd),
}

var setSubcommand = subcommand{
	name: "set", synopsis: "[-id ID] CART SKU QUANTITY", min: 3, max: 3,
	summary: "change how many pieces of an item are in a cart",
	about: `
QUANTITY is a whole number above zero. If the item is in the cart at more than one
price, the line that was added last is changed first.`,
	setup: changeAction(parseSet),
}

var removeSubcommand = subcommand{
	name: "remove", synopsis: "[-id ID] CART SKU", min: 2, max: 2,
	summary: "take an item out of a cart",
	about:   `All pieces of the item are taken out, at all prices.`,
	setup: changeAction(func(args []string) (cart.Command, error) {
		return cart.RemoveItem{Cart: args[0], SKU: args[1]}, nil
	}),
}

var checkoutSubcommand = subcommand{
	name: "checkout", synopsis: "[-id ID] CART", min: 1, max: 1,
	summary: "buy what is in a cart",
	about:   `A cart that is checked out cannot change any more.`,
	setup: changeAction(func(args []string) (cart.Command, error) {
		return cart.Checkout{Cart: args[0]}, nil
	}),
}

// changeAction returns the setup of a subcommand that sends one command.
func changeAction(parse func(args []string) (cart.Command, error)) func(*flag.FlagSet) action {
	return func(flags *flag.FlagSet) action {
		id := flags.String("id", "", "a command `ID`: with the same ID, a command is carried out once however often it is sent")
		return func(ctx context.Context, e *environment, args []string) error {
			cmd, err := parse(args)
			if err != nil {
				return err
			}
			if *id != "" {
				ctx = eventstore.WithCommandID(ctx, *id)
			}
			return change(ctx, e, cmd)
		}
	}
}

func parseAdd(args []string) (cart.Command, error) {
	cmd := cart.AddItem{Cart: args[0], SKU: args[1]}
	if len(args) > 4 {
		cmd.Description = args[4]
	}
	var quantityErr, priceErr error
	cmd.Quantity, quantityErr = parseQuantity(args[2])
	if cmd.UnitPrice, priceErr = cart.ParseMoney(args[3]); priceErr != nil {
		priceErr = fmt.Errorf("unit price %w", priceErr)
	}
	return cmd, errors.Join(quantityErr, priceErr)
}

func parseSet(args []string) (cart.Command, error) {
	quantity, err := parseQuantity(args[2])
	return cart.SetQuantity{Cart: args[0], SKU: args[1], Quantity: quantity}, err
}

func parseQuantity(text string) (int64, error) {
	quantity, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("quantity %s: too large", short(text))
	}
	if err != nil {
		return 0, fmt.Errorf("quantity %s: not a whole number", short(text))
	}
	return quantity, nil
}

// change sends the command, and prints its events and the cart.
func change(ctx context.Context, e *environment, cmd cart.Command) error {
	if _, err := os.Stat(e.db); errors.Is(err, fs.ErrNotExist) {
		if err := rehearse(ctx, cmd); err != nil {
			return err
		}
	}
	return withShop(ctx, e, func(s *shop) error {
		outcome, err := s.dispatch(ctx, cmd)
		if err != nil {
			return err
		}
		records, err := s.written(ctx, cmd.CartID(), outcome.Receipt)
		if err != nil {
			return err
		}
		if outcome.Receipt.Repeated {
			e.out.printf("carried out before, at %s:\n", stamp(outcome.Receipt.Recorded))
		}
		if len(records) == 0 {
			e.out.printf("nothing to do\n")
		}
		for _, r := range records {
			e.out.printf("%s\n", lineOf(r))
		}
		printCart(e.out, cmd.CartID(), outcome.State)
		return nil
	})
}

// rehearse carries the command out on an empty log in memory, so that a refused command
// creates no file.
func rehearse(ctx context.Context, cmd cart.Command) (err error) {
	store := memstore.New(nil)
	defer func() { err = errors.Join(err, store.Close()) }()
	s, err := newShop(store)
	if err != nil {
		return err
	}
	_, err = s.dispatch(ctx, cmd)
	return err
}
