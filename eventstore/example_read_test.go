package eventstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// newLibrary returns a log about two books that are lent and returned, with one event an
// hour from eight o'clock on.
func newLibrary(ctx context.Context) *memstore.Store {
	now := time.Date(2026, 1, 1, 7, 0, 0, 0, time.UTC)
	store := memstore.New(&memstore.Options{Clock: func() time.Time {
		now = now.Add(time.Hour)
		return now
	}})
	for _, event := range []eventstore.NewEvent{
		{Stream: "book-1", Type: "lent", Tags: []eventstore.Tag{"reader:ann"}},
		{Stream: "book-2", Type: "lent", Tags: []eventstore.Tag{"reader:ann"}},
		{Stream: "book-1", Type: "returned", Tags: []eventstore.Tag{"reader:ann"}},
		{Stream: "book-1", Type: "lent", Tags: []eventstore.Tag{"reader:bob"}},
		{Stream: "reader-bob", Type: "warned"},
	} {
		if _, err := eventstore.AppendTo(ctx, store, event.Stream, eventstore.Any, event); err != nil {
			log.Fatal(err)
		}
	}
	return store
}

// show prints the events that a read yields.
func show(ctx context.Context, what string, store eventstore.Store, q eventstore.Query, opts eventstore.ReadOptions) {
	fmt.Print(what, ":")
	for event, err := range store.Read(ctx, q, opts) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf(" %d %s %s", event.Position, event.Stream, event.Type)
	}
	fmt.Println()
}

// ReadOptions select a part of the log: by position, by version, by time, or a number of
// events.
func ExampleReadOptions() {
	ctx := context.Background()
	store := newLibrary(ctx)
	defer store.Close()
	all, book := eventstore.All(), eventstore.Stream("book-1")

	show(ctx, "from position 4 on", store, all, eventstore.ReadOptions{From: 4})
	show(ctx, "the positions 2 and 3", store, all, eventstore.ReadOptions{From: 2, To: 3})
	show(ctx, "the last two", store, all, eventstore.ReadOptions{Backward: true, Limit: 2})
	show(ctx, "what was known at nine", store, all, eventstore.ReadOptions{
		AsOf: time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC),
	})
	show(ctx, "the versions 2 and 3", store, book, eventstore.ReadOptions{FromVersion: 2, ToVersion: 3})
	show(ctx, "up to version 1", store, book, eventstore.ReadOptions{ToVersion: 1})
	// Output:
	// from position 4 on: 4 book-1 lent 5 reader-bob warned
	// the positions 2 and 3: 2 book-2 lent 3 book-1 returned
	// the last two: 5 reader-bob warned 4 book-1 lent
	// what was known at nine: 1 book-1 lent 2 book-2 lent
	// the versions 2 and 3: 3 book-1 returned 4 book-1 lent
	// up to version 1: 1 book-1 lent
}
