package eventstore_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// put commits rows of a view with a new checkpoint at a position, if the view's
// checkpoint is still the expected one.
func put(ctx context.Context, store eventstore.RowStore, seen eventstore.Checkpoint, through eventstore.Position, keys ...string) error {
	commit := eventstore.RowCommit{View: "books", Expected: seen, Checkpoint: eventstore.Checkpoint{Position: through}}
	for _, key := range keys {
		commit.Rows = append(commit.Rows, eventstore.Row{
			RowKey: eventstore.RowKey{Table: "by-title", Key: []byte(key)}, Value: []byte("1"),
		})
	}
	return store.CommitRows(ctx, commit)
}

// scan prints the keys of the rows that a scan yields.
func scan(ctx context.Context, store eventstore.RowStore, scan eventstore.RowScan) {
	for page, err := range store.ScanRows(ctx, "books", scan) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, row := range page.Rows {
			fmt.Printf("%s ", row.Key)
		}
		fmt.Println("as of", page.Checkpoint)
	}
}

// A RowStore keeps rows beside the log. Package projection adds typed tables.
func ExampleRowStore() {
	ctx := context.Background()
	store := newLibrary(ctx)
	defer store.Close()

	fmt.Println(put(ctx, store, eventstore.Checkpoint{}, 2, "anna", "emma", "emil", "faust"))
	scan(ctx, store, eventstore.RowScan{Table: "by-title", From: []byte("b"), To: []byte("f")})
	scan(ctx, store, eventstore.RowScan{Table: "by-title", Backward: true, Limit: 1})
	scan(ctx, store, eventstore.PrefixScan("by-title", []byte("em")))

	// A second writer has seen the view before the first one wrote.
	err := put(ctx, store, eventstore.Checkpoint{}, 3, "zorba")
	var moved *eventstore.CheckpointError
	if errors.As(err, &moved) && errors.Is(err, eventstore.ErrConflict) {
		fmt.Println(moved.View, "was at", moved.Expected, "and is at", moved.Actual, moved.Actual.Equal(moved.Expected))
	}

	views, err := store.Checkpoints(ctx)
	fmt.Println(views, err)
	for more := true; more && err == nil; {
		more, err = store.DropRows(ctx, "books", 3) // at most three rows at a time
		fmt.Println("more to drop:", more)
	}
	// Output:
	// <nil>
	// emil emma as of position 2
	// faust as of position 2
	// emil emma as of position 2
	// books was at none and is at position 2 false
	// map[books:position 2] <nil>
	// more to drop: true
	// more to drop: false
}

// An inline view stops at an event that it cannot apply, with a fault in its checkpoint.
func ExampleFaultedError() {
	ctx := context.Background()
	var store eventstore.RowStore = memstore.New(nil)
	defer store.Close()

	lent := eventstore.InlineView{
		View: "lent", Query: eventstore.All(),
		Timeout: 2 * eventstore.DefaultTimeout,
		Apply: func(_ context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			for _, event := range events {
				if event.Type == "burnt" {
					return errors.New("a book was burnt")
				}
				key := eventstore.RowKey{Table: "books", Key: []byte(event.Stream)}
				if err := tx.Put(eventstore.Row{RowKey: key, Value: []byte(event.Type)}); err != nil {
					return err
				}
			}
			for row, err := range tx.Scan(eventstore.RowScan{Table: "books"}) {
				if err != nil {
					return err
				}
				fmt.Printf("%s is %s\n", row.Key, row.Value)
			}
			return nil
		},
	}
	fmt.Println(store.Attach(ctx, lent))
	for _, name := range []string{"lent", "burnt", "returned"} {
		if _, err := eventstore.AppendTo(ctx, store, "book-1", eventstore.Any, eventstore.NewEvent{Type: name}); err != nil {
			fmt.Println(err) // nil: a fault of a view does not fail an append
		}
	}

	set, err := store.GetRows(ctx, "lent")
	fault := set.Checkpoint.Fault
	fmt.Println(err, "position", set.Checkpoint.Position, "fault at", fault.Position, fault.Type, fault.Reason)
	err = store.Attach(ctx, lent)
	var faulted *eventstore.FaultedError
	if errors.As(err, &faulted) && errors.Is(err, eventstore.ErrFaulted) {
		fmt.Println(faulted.View, "is good through position", faulted.Through)
	}
	// Output:
	// <nil>
	// book-1 is lent
	// <nil> position 1 fault at 2 burnt a book was burnt
	// lent is good through position 1
}
