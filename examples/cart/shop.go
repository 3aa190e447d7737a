package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// shop binds the domain to a store. An application makes it once.
type shop struct {
	store    eventstore.RowStore
	registry *codec.Registry
	carts    *aggregate.Repository[cart.State, cart.Command, cart.Event]
	commands *command.Dispatcher

	views     *projection.Host
	summaries *cart.Summaries // attached where commands are carried out
	ranking   *cart.Ranking   // run by import, and by top when it is behind
}

// newShop returns the shop of a store. The caller closes the store.
func newShop(store eventstore.RowStore) (*shop, error) {
	registry, err := cart.Registry()
	if err != nil {
		return nil, err
	}
	carts, err := aggregate.NewRepository(store, registry, cart.Decider, nil)
	if err != nil {
		return nil, err
	}
	commands := command.NewDispatcher(command.Recover(), command.CorrelationID(nil), command.Validate())
	if err := command.Route(commands, carts, cart.Command.CartID); err != nil {
		return nil, err
	}
	views, err := projection.NewHost(store, registry, nil)
	if err != nil {
		return nil, err
	}
	return &shop{
		store: store, registry: registry, carts: carts, commands: commands,
		views: views, summaries: cart.NewSummaries(), ranking: cart.NewRanking(),
	}, nil
}

// withShop opens the log for commands, creates it if it does not exist, and closes it
// after use. It attaches the summaries, so that they show each command at once. If they
// cannot be attached, it prints a note and goes on.
func withShop(ctx context.Context, e *environment, use func(*shop) error) error {
	return useLog(e.db, nil, func(s *shop) error {
		if err := s.attach(ctx); err != nil && ctx.Err() == nil {
			e.note("the summaries of carts are not kept up to date: %v", err)
		}
		return use(s)
	})
}

// withShopToRead opens the log for reading only, and closes it after use. It creates no
// file. Any number of readers can have the log open at the same time.
func withShopToRead(e *environment, use func(*shop) error) error {
	if _, err := os.Stat(e.db); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no log at %s yet; add and import make one", e.db)
	}
	return useLog(e.db, &boltstore.Options{ReadOnly: true}, use)
}

func useLog(path string, opts *boltstore.Options, use func(*shop) error) (err error) {
	store, err := boltstore.Open(path, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	s, err := newShop(store)
	if err != nil {
		return err
	}
	return use(s)
}

// result is the outcome of a command: the cart after it, its events and their receipt.
type result = aggregate.Result[cart.State, cart.Event]

// dispatch sends a command to its cart. A refusal is returned as a [*cart.Refusal], without
// the error that the dispatcher wraps around it.
func (s *shop) dispatch(ctx context.Context, cmd cart.Command) (result, error) {
	outcome, _, err := command.Dispatch[result](ctx, s.commands, cmd)
	var refusal *cart.Refusal
	if errors.As(err, &refusal) {
		err = refusal
	}
	return outcome, err
}

// record is an event of a cart, as stored and as the application knows it.
type record = fold.Event[cart.Event]

// history returns the events of a cart.
func (s *shop) history(ctx context.Context, id string) ([]record, error) {
	var records []record
	for r, err := range s.carts.History(ctx, id) {
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// written returns the events that a commit wrote to a cart.
func (s *shop) written(ctx context.Context, id string, receipt eventstore.Receipt) ([]record, error) {
	records, err := s.history(ctx, id)
	return slices.DeleteFunc(records, func(r record) bool {
		return r.Position < receipt.First || r.Position > receipt.Last
	}), err
}

// record returns an event of the log as one of a cart.
func (s *shop) record(stored eventstore.Event) (record, error) {
	value, err := s.registry.Decode(stored.Type, stored.SchemaVersion, stored.Codec, stored.Data)
	if err != nil {
		return record{}, fmt.Errorf("position %d: %w", stored.Position, err)
	}
	fact, ok := value.(cart.Event)
	if !ok {
		return record{}, fmt.Errorf("position %d: %q is not an event of a cart", stored.Position, stored.Type)
	}
	return record{Event: stored, Data: fact}, nil
}
