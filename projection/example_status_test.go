package projection_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/projection"
)

// health returns a line about a read model for the page of its operators. A read model
// is late when it shows the log as it was more than a minute ago.
func health(s projection.Status) string {
	text := fmt.Sprintf("%s version %d: %v", s.Projection, s.Version, s.State)
	switch {
	case s.State == projection.NeverRun || s.State == projection.Replaced:
		return text
	case s.Fault != nil: // of an attached projection
		return fmt.Sprintf("%s, stopped at position %d: %s", text, s.Fault.Position, s.Fault.Reason)
	case s.Failure != nil: // of one that is run
		return fmt.Sprintf("%s, stopped at position %d for %v: %s",
			text, s.Failure.Position, time.Since(s.Failure.Time).Truncate(time.Minute), s.Failure.Reason)
	case s.State == projection.Rebuilding:
		return fmt.Sprintf("%s, at position %d of %d", text, s.Position, s.Head)
	case s.Lag > time.Minute:
		return fmt.Sprintf("%s, %v late, events to go: %d, last progress: %v ago",
			text, s.Lag, s.Behind, time.Since(s.Progress).Truncate(time.Minute))
	default:
		return text
	}
}

// Is each read model up to date? A health check reads their Status, which is in the store,
// whatever host runs them.
func ExampleHost_Status() {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	store := memstore.New(&memstore.Options{Clock: func() time.Time { return now }})
	defer store.Close()
	ctx, registry := context.Background(), carts()
	views := newViews(store, registry)
	one, _ := newPieces("pieces", 1)
	two, _ := newPieces("pieces", 2)
	show := func() {
		for _, p := range []*projection.Projection{one, two} {
			status, err := views.Status(ctx, p)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(health(status))
		}
	}

	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 1})
	if err := views.CatchUp(ctx, one); err != nil {
		log.Fatal(err)
	}
	now = now.Add(time.Hour)
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 500})
	show()

	_ = views.CatchUp(ctx, two) // cannot apply the event of 500 pieces
	show()

	two.OnFailure = projection.Skip
	if err := views.CatchUp(ctx, two); err != nil {
		log.Fatal(err)
	}
	show()
	// Output:
	// pieces version 1: live, 1h0m0s late, events to go: 1, last progress: 0s ago
	// pieces version 2: never run
	// pieces version 1: live, 1h0m0s late, events to go: 1, last progress: 0s ago
	// pieces version 2: rebuilding, stopped at position 2 for 0s: more than 100 pieces
	// pieces version 1: replaced
	// pieces version 2: live
}

// Which events has a projection skipped?
func ExampleHost_Status_skipped() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 500})
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 5})
	p, _ := newPieces("pieces", 1)
	p.OnFailure = projection.Skip
	views := newViews(store, registry)
	if err := views.CatchUp(ctx, p); err != nil {
		log.Fatal(err)
	}
	status, err := views.Status(ctx, p)
	if err != nil {
		log.Fatal(err)
	}
	for _, skipped := range status.Skipped {
		fmt.Println(skipped.Type, "at position", skipped.Position, "was skipped:", skipped.Reason)
	}
	// Output: cart.item-added at position 1 was skipped: more than 100 pieces
}
