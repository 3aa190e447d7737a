package eventstore_test

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// An event matches a query if all fields of at least one item hold.
func ExampleMatch() {
	ctx := context.Background()
	store := newLibrary(ctx)
	defer store.Close()

	annLent := eventstore.Match(eventstore.Item{
		Categories: []string{"book"},
		Types:      []string{"lent"},
		Tags:       []eventstore.Tag{"reader:ann"},
	})
	twoStreams := eventstore.Match(eventstore.Item{Streams: []eventstore.StreamID{"book-2", "reader-bob"}})
	either := eventstore.Union(annLent, twoStreams)
	for _, q := range []eventstore.Query{annLent, twoStreams, either} {
		show(ctx, q.String(), store, q, eventstore.ReadOptions{})
	}
	// Output:
	// category "book", type "lent", tags "reader:ann": 1 book-1 lent 2 book-2 lent
	// stream "book-2"|"reader-bob": 2 book-2 lent 5 reader-bob warned
	// category "book", type "lent", tags "reader:ann" or stream "book-2"|"reader-bob": 1 book-1 lent 2 book-2 lent 5 reader-bob warned
}

// Matches needs no store. A cache, for instance, can ask whether an event concerns it.
func ExampleQuery_Matches() {
	lent := eventstore.Match(eventstore.Item{Types: []string{"lent"}, Tags: []eventstore.Tag{"reader:ann"}})
	for _, event := range []eventstore.Event{
		{Stream: "book-1", Type: "lent", Tags: []eventstore.Tag{"reader:ann", "shelf:7"}},
		{Stream: "book-1", Type: "lent", Tags: []eventstore.Tag{"reader:bob"}},
		{Stream: "book-1", Type: "returned", Tags: []eventstore.Tag{"reader:ann"}},
	} {
		fmt.Println(lent.Matches(event.Stream, event.Type, event.Tags))
	}
	// Output:
	// true
	// false
	// false
}

// IsAll, OneStream and Items take a query apart: here, for the title of a screen.
func ExampleQuery_Items() {
	title := func(q eventstore.Query) string {
		if q.IsAll() {
			return "everything"
		}
		if stream, ok := q.OneStream(); ok {
			return "the " + stream.Category() + " with the number " + stream.ID()
		}
		return fmt.Sprint(len(q.Items()), " kinds of events")
	}
	fmt.Println(title(eventstore.All()))
	fmt.Println(title(eventstore.Stream("book-7")))
	fmt.Println(title(eventstore.Union(eventstore.Category("book"), eventstore.Category("reader"))))
	// Output:
	// everything
	// the book with the number 7
	// 2 kinds of events
}
