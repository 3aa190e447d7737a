package memstore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// A view stops at an event that it cannot take. The append succeeds all the same, so the store
// says so in its log.
func ExampleOptions_logger() {
	ctx := context.Background()
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	store := memstore.New(&memstore.Options{Logger: slog.New(handler)})
	defer store.Close()
	err := store.Attach(ctx, eventstore.InlineView{
		View: "prices", Query: eventstore.All(),
		Apply: func(context.Context, eventstore.RowTx, []eventstore.Event) error { return errors.New("no price") },
	})
	fmt.Println(err)
	_, err = eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, eventstore.NewEvent{Type: "paid"})
	fmt.Println(err)
	// Output:
	// <nil>
	// level=ERROR msg="a view stopped at a fault and is detached" view=prices position=1 type=paid error="no price"
	// <nil>
}

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
