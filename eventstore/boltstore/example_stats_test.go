package boltstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// How busy the writer is. A metrics endpoint would export Waiting and WaitingBytes as gauges,
// and the other figures as counters.
func ExampleStore_Stats() {
	defer inShop()()
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	sell(context.Background(), store, "mug", "plate", "spoon")

	w := store.Stats().Writer
	fmt.Println("commits:", w.Appended, "events:", w.Events, "failed transactions:", w.Failed)
	// The more commits share a transaction, the less each of them costs.
	fmt.Println("commits a transaction:", float64(w.Appended)/float64(w.Transactions))
	fmt.Println("a transaction takes time:", w.Syncing/time.Duration(w.Transactions) > 0)
	fmt.Println("an event has more bytes than its payload:", w.Bytes/w.Events > 15)
	// Calls wait when they come faster than the disk writes.
	fmt.Println("waiting:", w.Waiting, "calls of", w.WaitingBytes, "bytes")
	// Output:
	// commits: 3 events: 3 failed transactions: 0
	// commits a transaction: 1
	// a transaction takes time: true
	// an event has more bytes than its payload: true
	// waiting: 0 calls of 0 bytes
}

// How much memory a store holds, and how many events Open would read again after a crash.
func ExampleStore_Stats_memory() {
	defer inShop("mug", "plate", "spoon")()
	ctx := context.Background()
	if _, err := boltstore.Compact(ctx, "shop.yore", nil); err != nil { // that writes the index to disk
		log.Fatal(err)
	}
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	sell(ctx, store, "fork")

	stats := store.Stats()
	index, tail := stats.Index, stats.Tail
	fmt.Println("events to read again after a crash:", tail.Head-index.Through)
	fmt.Println("entries on disk:", index.Postings, "in parts:", index.Parts)
	fmt.Println("memory is held:", index.Memory > 0, index.Filters > 0, tail.Bytes > 0)
	fmt.Println("events for followers:", tail.Events)
	fmt.Println("queries read the log instead:", index.Down)
	// Output:
	// events to read again after a crash: 1
	// entries on disk: 9 in parts: 1
	// memory is held: true true true
	// events for followers: 1
	// queries read the log instead: false
}

// When to compact a file: when much of it is free.
func ExampleStore_Stats_file() {
	defer inShop("mug", "plate")()
	ctx := context.Background()
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	worthIt := func() bool {
		file := store.Stats().File
		return file.Free > file.Size/3
	}

	keepView(ctx, store, "pictures", 1<<20, "mug", "plate", "spoon", "fork")
	fmt.Println("with the view:", worthIt())
	dropView(ctx, store, "pictures")
	fmt.Println("without it:", worthIt())
	fmt.Println("read transactions that keep pages from being free:", store.Stats().File.Reading)
	// Output:
	// with the view: false
	// without it: true
	// read transactions that keep pages from being free: 0
}
