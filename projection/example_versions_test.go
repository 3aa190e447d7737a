package projection_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// Can a version be read while it is built? Not before it has reached the head. The error
// says how far the build is, and which event it stopped at. Readers of the version before
// it notice nothing.
func ExampleRebuildingError() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	views := newViews(store, registry)
	one, piecesOfOne := newPieces("pieces", 1)
	two, piecesOfTwo := newPieces("pieces", 2)
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	if err := views.CatchUp(ctx, one); err != nil {
		log.Fatal(err)
	}
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 500})
	_ = views.CatchUp(ctx, two) // cannot apply the event of 500 pieces

	_, _, err := piecesOfTwo.Get(ctx, store, "lantern")
	var building *projection.RebuildingError
	if errors.As(err, &building) {
		fmt.Println(building.Projection, "version", building.Version, "is at", building.Done, "of", building.Total)
		if failure := building.Failure; failure != nil {
			fmt.Println("it stopped at position", failure.Position, "with:", failure.Reason)
		}
	}
	fmt.Println(errors.Is(err, projection.ErrRebuilding))
	row, _, err := piecesOfOne.Get(ctx, store, "lantern")
	fmt.Println(row.Value, err)
	// Output:
	// pieces version 2 is at 1 of 2
	// it stopped at position 2 with: more than 100 pieces
	// true
	// 6 <nil>
}

// A new release has built version 2 and made it live. What does a program of the old
// release get, which still has version 1?
func ExampleReplacedError() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	one, two := NewBestSellers(1), NewBestSellers(2)
	views := newViews(store, registry)
	if err := views.CatchUp(ctx, one.Projection); err != nil {
		log.Fatal(err)
	}
	if err := views.Rebuild(ctx, nil, two.Projection); err != nil {
		log.Fatal(err)
	}
	for _, err := range []error{
		views.CatchUp(ctx, one.Projection),
		views.Ready(ctx, one.Projection),
	} {
		var replaced *projection.ReplacedError
		if errors.As(err, &replaced) {
			fmt.Println(replaced.Projection, "version", replaced.Version, "was replaced by version", replaced.By)
		}
	}
	_, err := one.Top(ctx, store, 1)
	fmt.Println(errors.Is(err, projection.ErrReplaced))
	// Output:
	// best-sellers version 1 was replaced by version 2
	// best-sellers version 1 was replaced by version 2
	// true
}

// A build has stopped, and its handler was wrong about the events before, too. Rebuild
// would go on after them; with Restart it begins again from the start of the log.
func ExampleRebuildOptions() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	define := func(count func(ItemAdded) (int, error)) (*projection.Projection, *projection.Table[string, int]) {
		p := projection.New("pieces", 1)
		pieces := projection.NewTable[string, int](p, "by-product")
		projection.On(p, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
			more, err := count(e.Data)
			if err != nil {
				return err
			}
			return pieces.In(tx).Update(e.Data.SKU, func(n int) int { return n + more })
		})
		return p, pieces
	}
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 500})
	views := newViews(store, registry)
	p, _ := define(func(e ItemAdded) (int, error) {
		if e.Quantity > 100 {
			return 0, errTooMany
		}
		return 1, nil // which is wrong
	})
	fmt.Println(views.CatchUp(ctx, p))

	p, pieces := define(func(e ItemAdded) (int, error) { return e.Quantity, nil })
	if err := views.Rebuild(ctx, &projection.RebuildOptions{Restart: true}, p); err != nil {
		log.Fatal(err)
	}
	row, _, err := pieces.Get(ctx, store, "lantern")
	fmt.Println(row.Value, err)
	// Output:
	// run: projection "pieces" version 1: type "cart.item-added" at position 2: more than 100 pieces
	// 506 <nil>
}
