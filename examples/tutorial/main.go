package main

import (
	"context"
	"errors"
	"log"
	"os"
	"path/filepath"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// shop is what each step works with.
type shop struct {
	store    eventstore.Store
	registry *codec.Registry
	carts    *aggregate.Repository[Cart, Command, Event]
}

// steps are the steps of the program, in order.
var steps = []func(context.Context, *shop) error{
	fill,
	race,
	sendTwice,
	past,
	bestSellers,
	follow,
	dispatch,
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// run keeps the log in a directory that it removes, so that each run begins anew.
func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "tutorial-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, step := range steps {
		if err := runStep(ctx, filepath.Join(dir, "shop.yore"), step); err != nil {
			return err
		}
	}
	return nil
}

// runStep opens the log, runs the step, and closes the log.
func runStep(ctx context.Context, path string, step func(context.Context, *shop) error) (err error) {
	store, err := boltstore.Open(path, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	registry, err := newRegistry()
	if err != nil {
		return err
	}
	carts, err := aggregate.NewRepository(store, registry, decider, nil)
	if err != nil {
		return err
	}
	return step(ctx, &shop{store: store, registry: registry, carts: carts})
}
