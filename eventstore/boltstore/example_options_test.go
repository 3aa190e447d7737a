package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// How a server opens its log.
func ExampleOptions() {
	defer inShop()()
	store, err := boltstore.Open("orders.yore", &boltstore.Options{
		LockTimeout: 10 * time.Second, // the previous process may still be closing the log
		FileMode:    0o640,            // a new log can be read by the group
		IndexMemory: 64 << 20,         // bytes; the index is written to disk in larger parts
		Logger:      toOutput(),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	sell(context.Background(), store, "mug")
	stats := store.Stats()
	fmt.Println("index on disk through:", stats.Index.Through, "- in memory:", stats.Index.Memory > 0)
	// Output:
	// index on disk through: 0 - in memory: true
}

// How a test gets the same times and ids in each run.
func ExampleOptions_repeatable() {
	defer inShop()()
	now := time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC)
	var ids byte
	store, err := boltstore.Open("test.yore", &boltstore.Options{
		Clock: func() time.Time {
			now = now.Add(time.Minute)
			return now
		},
		NewID: func() (uuid.UUID, error) {
			ids++
			return uuid.UUID{15: ids}, nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	ctx := context.Background()
	sell(ctx, store, "mug", "plate")
	for event, err := range store.Read(ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.ID, event.Recorded.Format(time.DateTime))
	}
	// Output:
	// 00000000-0000-0000-0000-000000000001 2026-01-02 09:01:00
	// 00000000-0000-0000-0000-000000000002 2026-01-02 09:02:00
}

// How programs share a log: any number of them can read while none writes.
func ExampleOptions_readOnly() {
	defer inShop("mug")()
	readOnly := &boltstore.Options{ReadOnly: true, LockTimeout: time.Millisecond}
	first, err := boltstore.Open("shop.yore", readOnly)
	if err != nil {
		log.Fatal(err)
	}
	defer first.Close()
	second, err := boltstore.Open("shop.yore", readOnly)
	if err != nil {
		log.Fatal(err)
	}
	defer second.Close()

	_, err = boltstore.Open("shop.yore", &boltstore.Options{LockTimeout: time.Millisecond})
	fmt.Println("a writer beside readers:", errors.Is(err, eventstore.ErrLocked))
	_, err = eventstore.AppendTo(context.Background(), second, "till-1", eventstore.Any, eventstore.NewEvent{Type: "shop.sold"})
	fmt.Println("an append to a reader:", errors.Is(err, eventstore.ErrReadOnly))
	// Output:
	// a writer beside readers: true
	// an append to a reader: true
}

// What the logger gets: here, that one of the two pages that describe the file is damaged, and
// that the other one was used.
func ExampleOptions_logger() {
	defer inShop("mug", "plate")()
	overwritePageAt(0)
	store, err := boltstore.Open("shop.yore", &boltstore.Options{Logger: toOutput()})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	fmt.Println("warnings in Info:", len(store.Info().Warnings))
	// Output:
	// level=WARN msg="the first meta page has no mark of bbolt" file=shop.yore
	// warnings in Info: 1
}
