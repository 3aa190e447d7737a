package memstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/eventstore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Config{
		Open: func(testing.TB) eventstore.Store { return memstore.New(nil) },
		Reopen: func(tb testing.TB, closed eventstore.Store) eventstore.Store {
			s, err := closed.(*memstore.Store).Reopen()
			require.NoError(tb, err)
			return s
		},
		OpenSecond: func(_ testing.TB, open eventstore.Store) (eventstore.Store, error) {
			return open.(*memstore.Store).Reopen()
		},
	})
}

func Example() {
	ctx := context.Background()
	store := memstore.New(&memstore.Options{
		Clock: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	})
	defer store.Close()

	receipt, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream,
		eventstore.NewEvent{Type: "cart.opened"})
	fmt.Println(receipt.First, receipt.Recorded.Format(time.DateTime), err)
	// Output: 1 2026-01-02 03:04:05 <nil>
}

// After a restart the log and the rows are there, and the program attaches its inline
// views again.
func ExampleStore_Reopen() {
	ctx := context.Background()
	total := eventstore.RowKey{Table: "totals", Key: []byte("all")}
	count := eventstore.InlineView{
		View: "count", Query: eventstore.All(),
		Apply: func(_ context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			rows, err := tx.Get(total)
			if err != nil {
				return err
			}
			for _, e := range events {
				rows[0].Value = append(rows[0].Value, e.Type[0])
			}
			return tx.Put(rows...)
		},
	}
	store := memstore.New(nil)
	fmt.Println(store.Attach(ctx, count))
	_, _ = eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, eventstore.NewEvent{Type: "opened"})
	_ = store.Close()

	store, err := store.Reopen()
	fmt.Println(err)
	defer store.Close()
	_, _ = eventstore.AppendTo(ctx, store, "cart-7", eventstore.At(1), eventstore.NewEvent{Type: "paid"})
	set, _ := store.GetRows(ctx, "count", total)
	fmt.Printf("%s, %v\n", set.Rows[0].Value, set.Checkpoint)
	fmt.Println(store.Attach(ctx, count))
	set, _ = store.GetRows(ctx, "count", total)
	fmt.Printf("%s, %v\n", set.Rows[0].Value, set.Checkpoint)
	// Output:
	// <nil>
	// <nil>
	// o, position 1
	// <nil>
	// op, position 2
}

func TestStore_ErrorsNameTheCall(t *testing.T) {
	s := memstore.New(nil)
	require.NoError(t, s.Close())
	_, err := eventstore.AppendTo(t.Context(), s, "s", eventstore.Any, eventstore.NewEvent{Type: "t"})
	require.ErrorIs(t, err, eventstore.ErrClosed)
	require.EqualError(t, err, "append: store is closed")
	_, err = s.DropRows(t.Context(), "v", 1)
	require.EqualError(t, err, "drop rows: store is closed")
}
