package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/examples/cart/cart"
)

// shop is the domain on a store: all that an application puts together once.
type shop struct {
	store    eventstore.Store
	registry *codec.Registry
	carts    *aggregate.Repository[cart.State, cart.Command, cart.Event]
	commands *command.Dispatcher
}

// newShop puts the domain on the store, which stays the caller's to close.
func newShop(store eventstore.Store) (*shop, error) {
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
	return &shop{store: store, registry: registry, carts: carts, commands: commands}, nil
}

// withShop opens the log at path, makes it if need be, and closes it after use.
func withShop(path string, use func(*shop) error) error {
	return useLog(path, nil, use)
}

// withShopToRead is withShop for those who only ask: it makes no file, and any
// number of readers can have the log open at once.
func withShopToRead(path string, use func(*shop) error) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no log at %s yet; add and import make one", path)
	}
	return useLog(path, &boltstore.Options{ReadOnly: true}, use)
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

// dispatch sends a command to its cart. A refusal is a [*cart.Refusal], without
// what the dispatcher's validation wraps around it.
func (s *shop) dispatch(ctx context.Context, cmd cart.Command) (cart.State, eventstore.Receipt, error) {
	state, receipt, err := command.Dispatch[cart.State](ctx, s.commands, cmd)
	var refusal *cart.Refusal
	if errors.As(err, &refusal) {
		err = refusal
	}
	return state, receipt, err
}

// record is an event of a cart, as stored and as the application knows it.
type record struct {
	eventstore.Event
	fact cart.Event
}

// records returns the events of a cart within the window that opts give.
func (s *shop) records(ctx context.Context, id string, opts eventstore.ReadOptions) ([]record, error) {
	var records []record
	for stored, err := range s.store.Read(ctx, eventstore.Stream(s.carts.Stream(id)), opts) {
		if err != nil {
			return nil, err
		}
		r, err := s.record(stored)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

func (s *shop) record(stored eventstore.Event) (record, error) {
	value, err := s.registry.Decode(stored.Type, stored.SchemaVersion, stored.Codec, stored.Data)
	if err != nil {
		return record{}, fmt.Errorf("position %d: %w", stored.Position, err)
	}
	fact, ok := value.(cart.Event)
	if !ok {
		return record{}, fmt.Errorf("position %d: %q is not an event of a cart", stored.Position, stored.Type)
	}
	return record{Event: stored, fact: fact}, nil
}

// written returns the events that a commit wrote to a cart.
func (s *shop) written(ctx context.Context, id string, receipt eventstore.Receipt) ([]record, error) {
	if receipt.Last == 0 {
		return nil, nil // nothing: as options of a Read, 0 would mean everything
	}
	return s.records(ctx, id, eventstore.ReadOptions{From: receipt.First, To: receipt.Last})
}
