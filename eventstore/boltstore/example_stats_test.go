package boltstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// A metrics endpoint would export these, each as a gauge or a counter.
func ExampleStore_Stats() {
	dir, err := os.MkdirTemp("", "yore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := boltstore.Open(filepath.Join(dir, "shop.yore"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	for range 3 {
		if _, err := eventstore.AppendTo(context.Background(), store, "cart-7", eventstore.Any, eventstore.NewEvent{Type: "cart.opened"}); err != nil {
			log.Fatal(err)
		}
	}

	stats := store.Stats()
	fmt.Println("head:", stats.Tail.Head)
	fmt.Println("commits:", stats.Writer.Appended, "in", stats.Writer.Transactions, "transactions")
	fmt.Println("waiting for the writer:", stats.Writer.Waiting)
	fmt.Println("index on disk through:", stats.Index.Through, "- usable:", !stats.Index.Down)
	fmt.Println("read transactions open:", stats.File.Reading)
	// Output:
	// head: 3
	// commits: 3 in 3 transactions
	// waiting for the writer: 0
	// index on disk through: 0 - usable: true
	// read transactions open: 0
}
