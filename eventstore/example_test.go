package eventstore_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// Append two events to a stream and read them back.
func Example() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()

	receipt, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream,
		eventstore.NewEvent{Type: "cart.opened", Data: []byte(`{}`)},
		eventstore.NewEvent{Type: "cart.item-added", Data: []byte(`{"sku":"apple"}`)},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("appended up to position", receipt.Last)

	for event, err := range store.Read(ctx, eventstore.Stream("cart-7"), eventstore.ReadOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(event.Version, event.Type, string(event.Data))
	}
	// Output:
	// appended up to position 2
	// 1 cart.opened {}
	// 2 cart.item-added {"sku":"apple"}
}

// A stream's name has a category, the kind of thing, and an id.
func ExampleStreamID() {
	stream := eventstore.StreamID("cart-7")
	fmt.Println(stream.Category(), stream.ID())
	// Output: cart 7
}

// A commit whose expectation does not hold is a conflict that says why.
func ExampleConflictError() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()

	opened := eventstore.NewEvent{Type: "cart.opened"}
	_, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, opened)
	fmt.Println(err)
	_, err = eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, opened)
	fmt.Println(errors.Is(err, eventstore.ErrConflict))

	var conflict *eventstore.ConflictError
	if errors.As(err, &conflict) {
		fmt.Println(conflict.Stream, "is at version", conflict.Actual)
	}
	// Output:
	// <nil>
	// true
	// cart-7 is at version 1
}

// A guard protects a decision until it is appended: a user name is registered only if no
// other registration of it was appended after the head that the decision was made at.
func ExampleGuard() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()

	name := eventstore.Match(eventstore.Item{
		Types: []string{"user.registered"},
		Tags:  []eventstore.Tag{"name:ada"},
	})
	head, err := store.Head(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	register := eventstore.Commit{
		Events: []eventstore.NewEvent{{Type: "user.registered", Tags: []eventstore.Tag{"name:ada"}}},
		Guards: []eventstore.Guard{{Query: name, After: head}},
	}
	for range 2 {
		_, err := store.Append(ctx, register)
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// conflict: guard 0 (type "user.registered", tags "name:ada", after position 0): position 1, type "user.registered" matches
}

// A commit with a key is appended once, however often it is sent.
func ExampleCommit_key() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()

	pay := eventstore.Commit{
		Key:    "payment-4711",
		Events: []eventstore.NewEvent{{Stream: "order-1", Type: "order.paid"}},
		Expect: []eventstore.Expect{{Stream: "order-1", At: eventstore.Any}},
	}
	for range 2 {
		receipt, err := store.Append(ctx, pay)
		fmt.Println(receipt.First, receipt.Repeated, err)
	}
	// Output:
	// 1 false <nil>
	// 1 true <nil>
}

// Follow yields the events of the log and then new ones. Through is the position to follow
// from after a restart.
func ExampleStore_follow() {
	ctx := context.Background()
	var store eventstore.Store = memstore.New(nil)
	defer store.Close()

	cart := eventstore.Category("cart")
	opened := eventstore.NewEvent{Type: "cart.opened"}
	if _, err := eventstore.AppendTo(ctx, store, "cart-1", eventstore.NoStream, opened); err != nil {
		fmt.Println(err)
		return
	}
	for batch, err := range store.Follow(ctx, cart, 0) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, event := range batch.Events {
			fmt.Println(event.Stream, event.Type)
		}
		fmt.Println("through", batch.Through, "live", batch.Live)
		if batch.Through == 2 {
			break
		}
		if _, err := eventstore.AppendTo(ctx, store, "cart-2", eventstore.NoStream, opened); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// cart-1 cart.opened
	// through 1 live true
	// cart-2 cart.opened
	// through 2 live true
}

// Metadata travels in the context; the layer that appends puts it on the event.
func ExampleWithActor() {
	ctx := eventstore.WithActor(context.Background(), "ada")
	ctx = eventstore.WithCorrelationID(ctx, "request-1")

	event := eventstore.NewEvent{Type: "cart.opened", Metadata: eventstore.MetadataFrom(ctx)}
	fmt.Println(event.Metadata.Actor(), event.Metadata.CorrelationID())
	// Output: ada request-1
}

// Read the events of a stream after a known version.
func ExampleVersionOf() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	if _, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, eventstore.NewEvent{Type: "cart.opened"}); err != nil {
		fmt.Println(err)
		return
	}
	known, err := eventstore.VersionOf(ctx, store, "cart-7")
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.At(known), eventstore.NewEvent{Type: "cart.closed"}); err != nil {
		fmt.Println(err)
		return
	}
	for event, err := range store.Read(ctx, eventstore.Stream("cart-7"), eventstore.ReadOptions{FromVersion: known + 1}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(event.Version, event.Type)
	}
	// Output: 2 cart.closed
}
