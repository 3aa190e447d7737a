package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func Example() {
	dir, err := os.MkdirTemp("", "yore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "shop.yore")
	ctx := context.Background()

	// One process has the file open for writing.
	store, err := boltstore.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = boltstore.Open(path, &boltstore.Options{LockTimeout: 1})
	fmt.Println("a second opener:", errors.Is(err, eventstore.ErrLocked))

	// When Append returns, the events are on disk.
	receipt, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream,
		eventstore.NewEvent{Type: "cart.opened"},
		eventstore.NewEvent{Type: "cart.item-added", Tags: []eventstore.Tag{"sku:mug"}})
	fmt.Println("appended through position", receipt.Last, err)
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	// Any number of processes can have it open for reading.
	store, err = boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	mugs := eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"sku:mug"}})
	for event, err := range store.Read(ctx, mugs, eventstore.ReadOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Position, event.Stream, event.Version, event.Type)
	}
	// Output:
	// a second opener: true
	// appended through position 2 <nil>
	// 2 cart-7 2 cart.item-added
}
