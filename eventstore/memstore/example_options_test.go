package memstore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// A test that sets the clock and the ids has the same log in every run.
func ExampleOptions() {
	ctx := context.Background()
	var n uint64
	store := memstore.New(&memstore.Options{
		Clock: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		NewID: func() (id uuid.UUID, err error) {
			n++
			binary.BigEndian.PutUint64(id[8:], n)
			return id, nil
		},
	})
	defer store.Close()

	opened, paid := eventstore.NewEvent{Type: "opened"}, eventstore.NewEvent{Type: "paid"}
	if _, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, opened, paid); err != nil {
		fmt.Println(err)
		return
	}
	for event, err := range store.Read(ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(event.ID, event.Recorded.Format(time.DateTime), event.Type)
	}
	// Output:
	// 00000000-0000-0000-0000-000000000001 2026-01-02 03:04:05 opened
	// 00000000-0000-0000-0000-000000000002 2026-01-02 03:04:05 paid
}
