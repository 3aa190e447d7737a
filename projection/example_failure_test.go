package projection_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

var errTooMany = errors.New("more than 100 pieces")

// newPieces returns a read model of the pieces of each product. Its handler cannot
// apply an event of more than 100 pieces.
func newPieces(name string, version uint32) (*projection.Projection, *projection.Table[string, int]) {
	p := projection.New(name, version)
	pieces := projection.NewTable[string, int](p, "by-product")
	projection.On(p, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
		if e.Data.Quantity > 100 {
			return errTooMany
		}
		return pieces.In(tx).Update(e.Data.SKU, func(n int) int { return n + e.Data.Quantity })
	})
	return p, pieces
}

// What becomes of an event that a handler cannot apply? With Stop, the default, the
// projection stops before the event. With Skip it goes on after it, and lists it in its
// Status.
func ExampleFailurePolicy() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	for _, quantity := range []int{1, 500, 2} {
		put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: quantity})
	}
	strict, _ := newPieces("strict", 1)
	strict.OnFailure = projection.Stop
	lenient, _ := newPieces("lenient", 1)
	lenient.OnFailure = projection.Skip

	views := newViews(store, registry)
	fmt.Println(views.CatchUp(ctx, strict, lenient))
	for _, p := range []*projection.Projection{strict, lenient} {
		status, err := views.Status(ctx, p)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(p.Name(), "is at", status.Position, "of", status.Head, "and has skipped", status.SkippedCount)
	}
	// Output:
	// run: projection "strict" version 1: type "cart.item-added" at position 2: more than 100 pieces
	// strict is at 1 of 3 and has skipped 0
	// lenient is at 3 of 3 and has skipped 1
}

// A handler asks another service, which may be down for a while. With Retry the same
// event is tried again until it can be applied. The context of the Tx ends with the
// run.
func ExampleFailurePolicy_retry() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	tries := 0
	price := func(ctx context.Context, sku string) (int, error) {
		if tries++; tries < 3 {
			return 0, fmt.Errorf("price of %s: the price list is down", sku)
		}
		return 1200, ctx.Err()
	}
	p := projection.New("values", 1)
	p.OnFailure = projection.Retry
	values := projection.NewTable[string, int](p, "by-product")
	projection.On(p, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
		cents, err := price(tx.Context(), e.Data.SKU)
		if err != nil {
			return err
		}
		return values.In(tx).Update(e.Data.SKU, func(sum int) int { return sum + e.Data.Quantity*cents })
	})
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	views, err := projection.NewHost(store, registry, &projection.Options{MinBackoff: time.Millisecond, MaxBackoff: time.Second})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(views.CatchUp(ctx, p), "after", tries, "tries")
	row, _, err := values.Get(ctx, store, "lantern")
	fmt.Println(row.Value, err)
	// Output:
	// <nil> after 3 tries
	// 7200 <nil>
}

// Which event did a projection stop at, and why?
func ExampleHandlerError() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 500})
	p, _ := newPieces("pieces", 1)
	err := newViews(store, registry).CatchUp(ctx, p)
	var failed *projection.HandlerError
	if errors.As(err, &failed) {
		fmt.Println(failed.Projection, "version", failed.Version, "stopped at", failed.Type, "at position", failed.Position)
		fmt.Println(errors.Is(failed.Err, errTooMany))
	}
	// Output:
	// pieces version 1 stopped at cart.item-added at position 1
	// true
}

// Where did a handler panic? The stack says it, and Run logs it.
func ExamplePanicError() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 0})
	p := projection.New("shares", 1)
	projection.On(p, func(_ projection.Tx, e fold.Event[ItemAdded]) error {
		_ = 100 / e.Data.Quantity
		return nil
	})
	err := newViews(store, registry).CatchUp(ctx, p)
	var panicked *projection.PanicError
	if errors.As(err, &panicked) {
		fmt.Println(panicked.Value)
		fmt.Println(bytes.Contains(panicked.Stack, []byte("example_failure_test.go")))
	}
	// Output:
	// runtime error: integer divide by zero
	// true
}
