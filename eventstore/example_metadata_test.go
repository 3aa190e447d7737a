package eventstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// The context carries metadata and the time at which something happened. The repositories
// of package aggregate put them on events; a caller without a repository does this.
func ExampleWithMetadata() {
	store := memstore.New(nil)
	defer store.Close()

	ctx := eventstore.WithMetadata(context.Background(), eventstore.Metadata{
		"tenant":                 "north",
		eventstore.Actor:         "ann",
		eventstore.CorrelationID: "request-1",
		eventstore.CommandID:     "command-1",
	})
	ctx = eventstore.WithCausationID(ctx, "order-placed-7")
	ctx = eventstore.WithTraceparent(ctx, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	ctx = eventstore.WithTime(ctx, time.Date(2025, 12, 24, 18, 0, 0, 0, time.UTC))

	if _, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, eventstore.NewEvent{
		Type: "cart.opened", Metadata: eventstore.MetadataFrom(ctx), Time: eventstore.TimeFrom(ctx),
	}); err != nil {
		fmt.Println(err)
		return
	}
	for event, err := range store.Read(ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		m := event.Metadata
		fmt.Println(m.Actor(), m.CorrelationID(), m.CommandID(), m["tenant"])
		fmt.Println(m.CausationID() == m[eventstore.CausationID], m.Traceparent() == m[eventstore.Traceparent])
		fmt.Println(event.Time.Format(time.DateOnly), event.Recorded.After(event.Time))
	}
	// Output:
	// ann request-1 command-1 north
	// true true
	// 2025-12-24 true
}
