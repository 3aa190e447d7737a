package eventstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// After a crash, Lookup tells by the key whether a commit was appended.
func ExampleStore_lookup() {
	ctx := context.Background()
	var store eventstore.Store = memstore.New(nil)
	defer store.Close()
	if _, err := store.Append(ctx, eventstore.Commit{
		Key:    "payment-4711",
		Events: []eventstore.NewEvent{{Stream: "order-1", Type: "order.paid"}, {Stream: "till-1", Type: "till.filled"}},
		Expect: []eventstore.Expect{{Stream: "order-1", At: eventstore.NoStream}, {Stream: "till-1", At: eventstore.Any}},
	}); err != nil {
		fmt.Println(err)
		return
	}

	for _, key := range []string{"payment-4711", "payment-4712"} {
		receipt, found, err := store.Lookup(ctx, key)
		fmt.Println(key, found, err)
		for _, head := range receipt.Heads {
			fmt.Println(" ", head.Stream, "came to version", head.Version)
		}
		if version, wrote := receipt.Head("order-1"); wrote {
			fmt.Println("  the order is at version", version)
		}
	}
	// Output:
	// payment-4711 true <nil>
	//   order-1 came to version 1
	//   till-1 came to version 1
	//   the order is at version 1
	// payment-4712 false <nil>
}

// A digest tells a repeat of a commit from another commit that was given the same key.
func ExampleCommit_digest() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	pay := func(amount string) {
		digest := sha256.Sum256([]byte("pay " + amount))
		receipt, err := store.Append(ctx, eventstore.Commit{
			Key: "payment-4711", Digest: digest[:],
			Events: []eventstore.NewEvent{{Type: "order.paid", Data: []byte(amount)}},
		})
		switch {
		case err != nil:
			fmt.Println(err)
		case !bytes.Equal(receipt.Digest, digest[:]):
			fmt.Println(amount, "refused: the key is that of another payment")
		default:
			fmt.Println(amount, "paid, repeated:", receipt.Repeated)
		}
	}
	pay("100")
	pay("100")
	pay("250")
	// Output:
	// 100 paid, repeated: false
	// 100 paid, repeated: true
	// 250 refused: the key is that of another payment
}

// A commit without a key is safe to send again if the sender sets the ids of its events
// and it has a condition that its own events break.
func ExampleNewEvent_ID() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()

	opened := eventstore.NewEvent{
		ID:   uuid.MustParse("0197c0de-0000-7000-8000-000000000001"),
		Type: "cart.opened",
		Time: time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC), // when it happened, which may be long ago
	}
	for range 2 {
		receipt, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, opened)
		fmt.Println(receipt.First, receipt.Repeated, err)
	}
	for event, err := range store.Read(ctx, eventstore.Stream("cart-7"), eventstore.ReadOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(event.ID, event.Time)
	}
	// Output:
	// 1 false <nil>
	// 1 true <nil>
	// 0197c0de-0000-7000-8000-000000000001 2026-01-01 08:00:00 +0000 UTC
}
