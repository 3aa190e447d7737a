package projection_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

func ExampleHost_Wait_late() {
	store, registry, sellers := memstore.New(nil), carts(), NewBestSellers(1)
	defer store.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	put(context.Background(), store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	err := newViews(store, registry).Wait(ctx, 1, sellers.Projection) // it is not run
	fmt.Println(errors.Is(err, projection.ErrLate))
	fmt.Println(err)
	// Output:
	// true
	// committed, view late: projection "best-sellers" version 1 is not live yet, waited for position 1: context deadline exceeded
}

// A command was carried out, and the view does not show it in time. What can the program
// tell its user, and its log?
func ExampleLateError() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	p, _ := newPieces("pieces", 1)
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 1})
	if err := newViews(store, registry).CatchUp(ctx, p); err != nil {
		log.Fatal(err)
	}
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 500})
	_ = newViews(store, registry).CatchUp(ctx, p) // by another program; cannot apply the event of 500 pieces
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 2})

	ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	err := newViews(store, registry).Wait(ctx, 3, p)
	var late *projection.LateError
	if errors.As(err, &late) {
		fmt.Println("Done. The list will show it later.")
		fmt.Println(late.Projection, "version", late.Version, "is", late.State, "at", late.Actual, "and not yet at", late.Wanted)
		fmt.Println(errors.Is(late.Err, context.DeadlineExceeded))
		if late.Failure != nil {
			fmt.Println("it stopped at position", late.Failure.Position, "with:", late.Failure.Reason)
		}
	}
	// Output:
	// Done. The list will show it later.
	// pieces version 1 is live at 1 and not yet at 3
	// true
	// it stopped at position 2 with: more than 100 pieces
}

// The handler of an attached projection takes too long. No event is lost, and its readers
// know that they would not see all.
func ExampleHost_Attach_late() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	p := projection.New("pieces", 1)
	pieces := projection.NewTable[string, int](p, "by-sku")
	p.Timeout = 100 * time.Millisecond
	release := make(chan struct{})
	projection.On(p, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
		<-release
		return pieces.In(tx).Put(e.Data.SKU, e.Data.Quantity)
	})
	views := newViews(store, registry)
	if err := views.Attach(ctx, p); err != nil {
		log.Fatal(err)
	}
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	_, _, err := pieces.Get(ctx, store, "lantern")
	fmt.Println("late:", errors.Is(err, projection.ErrLate))
	status, err := views.Status(ctx, p)
	fmt.Println("behind:", status.Behind, status.Late != nil, err)

	close(release)
	fmt.Println(views.Wait(ctx, 1, p)) // the store brings it up to the head by itself
	row, _, err := pieces.Get(ctx, store, "lantern")
	fmt.Println(row.Value, err)
	// Output:
	// late: true
	// behind: 1 true <nil>
	// <nil>
	// 6 <nil>
}
