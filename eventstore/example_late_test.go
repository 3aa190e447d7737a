package eventstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// An attached view runs out of time once. Its readers are told, and the store brings it up
// to the head by itself.
func ExampleLate() {
	ctx, store := context.Background(), memstore.New(nil)
	defer store.Close()
	changed, busy := make(chan struct{}), true
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	must(store.Attach(ctx, eventstore.InlineView{
		View: "books", Query: eventstore.All(), Timeout: 100 * time.Millisecond,
		Changed: func() { changed <- struct{}{} },
		Apply: func(ctx context.Context, _ eventstore.RowTx, _ []eventstore.Event) error {
			if busy {
				busy = false
				<-ctx.Done() // as if the machine were paused
			}
			return ctx.Err()
		},
	}))
	_, err := eventstore.AppendTo(ctx, store, "book-1", eventstore.NoStream, eventstore.NewEvent{Type: "bought", Data: []byte("{}")})
	must(err)
	<-changed
	look := func() {
		set, err := store.GetRows(ctx, "books")
		must(err)
		if late := set.Late; late != nil {
			fmt.Println("late:", !late.Since.IsZero(), late.Reason != "", set.Checkpoint)
			return
		}
		fmt.Println("attached:", set.Checkpoint)
	}
	look()
	<-changed
	look()
	// Output:
	// late: true true none
	// attached: position 1
}
