package projection_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// Seller is a row of the best-sellers view.
type Seller struct {
	SKU    string `json:"sku"`
	Pieces int    `json:"pieces"`
}

// BestSellers is a read model: its tables and indexes, and the projection that
// writes them.
type BestSellers struct {
	*projection.Projection
	Products *projection.Table[string, Seller]
	ByPieces *projection.Index[string, Seller, int]
}

func NewBestSellers(version uint32) BestSellers {
	p := projection.New("best-sellers", version)
	products := projection.NewTable[string, Seller](p, "by-product")
	byPieces := projection.NewIndex(products, "pieces", func(s Seller) (int, bool) {
		return s.Pieces, s.Pieces > 0 // a product in no cart is not listed
	})
	projection.On(p, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
		return products.In(tx).Update(e.Data.SKU, func(s Seller) Seller {
			return Seller{SKU: e.Data.SKU, Pieces: s.Pieces + e.Data.Quantity}
		})
	})
	projection.On(p, func(tx projection.Tx, e fold.Event[ItemRemoved]) error {
		return products.In(tx).Update(e.Data.SKU, func(s Seller) Seller {
			return Seller{SKU: e.Data.SKU, Pieces: s.Pieces - e.Data.Quantity}
		})
	})
	return BestSellers{p, products, byPieces}
}

// Top returns the best sellers.
func (b BestSellers) Top(ctx context.Context, r projection.Reader, n int) (top []Seller, err error) {
	for row, err := range b.ByPieces.Scan(ctx, r, projection.Range[int]{}.Backward().Limit(n)) {
		if err != nil {
			return nil, err
		}
		top = append(top, row.Value)
	}
	return top, nil
}

func carts() *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Register[ItemRemoved](b, "cart.item-removed", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	return registry
}

// newViews returns a host of projections.
func newViews(store eventstore.RowStore, registry *codec.Registry) *projection.Host {
	views, err := projection.NewHost(store, registry, nil)
	if err != nil {
		log.Fatal(err)
	}
	return views
}

func ExampleHost() {
	ctx, stop := context.WithCancel(context.Background())
	store, registry, sellers := memstore.New(nil), carts(), NewBestSellers(1)
	defer store.Close()
	views, err := projection.NewHost(store, registry, nil)
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- views.Run(ctx, sellers.Projection) }()

	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	put(ctx, store, registry, "cart-2", ItemAdded{SKU: "hanger", Quantity: 3})
	put(ctx, store, registry, "cart-2", ItemAdded{SKU: "lantern", Quantity: 2})
	put(ctx, store, registry, "cart-1", ItemRemoved{SKU: "lantern", Quantity: 6})

	// Read what was written: wait for the view.
	if err := views.Wait(ctx, 4, sellers.Projection); err != nil {
		log.Fatal(err)
	}
	row, found, err := sellers.Products.Get(ctx, store, "lantern")
	fmt.Println(row.Value, "at", row.At, found, err)
	row, found, err = sellers.Products.Get(ctx, store, "carpet")
	fmt.Println(row.Value, "at", row.At, found, err)
	fmt.Println(sellers.Top(ctx, store, 10))

	rows, err := sellers.Products.GetMany(ctx, store, "lantern", "hanger", "sofa")
	fmt.Println(rows.ByKey, "at", rows.At, err)

	stop()
	fmt.Println(<-ended)
	// Output:
	// {lantern 2} at 4 true <nil>
	// { 0} at 4 false <nil>
	// [{hanger 3} {lantern 2}] <nil>
	// map[hanger:{hanger 3} lantern:{lantern 2}] at 4 <nil>
	// context canceled
}

func ExampleHost_Attach() {
	ctx := context.Background()
	store, registry, sellers := memstore.New(nil), carts(), NewBestSellers(1)
	defer store.Close()
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	if err := newViews(store, registry).Attach(ctx, sellers.Projection); err != nil {
		log.Fatal(err)
	}
	// When Append returns, the view shows it.
	put(ctx, store, registry, "cart-2", ItemAdded{SKU: "lantern", Quantity: 1})
	fmt.Println(sellers.Top(ctx, store, 1))
	// Output: [{lantern 7}] <nil>
}

// A view with a fault does not stop appends. It can be read again after it was rebuilt with
// a handler that can apply the event.
func ExampleHost_Rebuild_fault() {
	ctx := context.Background()
	store, registry := memstore.New(nil), carts()
	defer store.Close()
	define := func(most int) (*projection.Projection, *projection.Table[string, int]) {
		p := projection.New("pieces", 1)
		table := projection.NewTable[string, int](p, "by-product")
		projection.On(p, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
			if e.Data.Quantity > most {
				return fmt.Errorf("more than %d pieces", most)
			}
			return table.In(tx).Update(e.Data.SKU, func(n int) int { return n + e.Data.Quantity })
		})
		return p, table
	}
	views := newViews(store, registry)
	p, table := define(100)
	if err := views.Attach(ctx, p); err != nil {
		log.Fatal(err)
	}
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 1})
	put(ctx, store, registry, "cart-2", ItemAdded{SKU: "lantern", Quantity: 200})
	_, _, err := table.Get(ctx, store, "lantern")
	var faulted *eventstore.FaultedError
	fmt.Println(errors.As(err, &faulted), "through", faulted.Through)

	p, table = define(1000) // the program is put right and started again
	views = newViews(store, registry)
	fmt.Println(errors.Is(views.Attach(ctx, p), eventstore.ErrFaulted))
	fmt.Println(views.Rebuild(ctx, nil, p))
	put(ctx, store, registry, "cart-3", ItemAdded{SKU: "lantern", Quantity: 3}) // it is attached again
	row, found, err := table.Get(ctx, store, "lantern")
	fmt.Println(row.Value, found, err)
	// Output:
	// true through 1
	// true
	// <nil>
	// 204 true <nil>
}

// A new version is built beside the live one, and replaces it when it has reached the head.
func ExampleHost_Rebuild_version() {
	ctx := context.Background()
	store, registry := memstore.New(nil), carts()
	defer store.Close()
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	views, one, two := newViews(store, registry), NewBestSellers(1), NewBestSellers(2)
	if err := views.CatchUp(ctx, one.Projection); err != nil {
		log.Fatal(err)
	}
	_, err := two.Top(ctx, store, 1)
	fmt.Println(errors.Is(err, projection.ErrNeverRun))

	err = views.Rebuild(ctx, &projection.RebuildOptions{
		Progress: func(p eventstore.Progress) { fmt.Println("at", p.Done, "of", p.Total) },
	}, two.Projection)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(two.Top(ctx, store, 1))
	_, err = one.Top(ctx, store, 1)
	fmt.Println(err)
	// Output:
	// true
	// at 1 of 1
	// [{lantern 6}] <nil>
	// scan by index "pieces" of table "by-product" of projection "best-sellers": projection was replaced: "best-sellers" version 1, by version 2
}

// What did it show then? Build answers from the log, in memory: as of a position here, as
// of a time in the next example.
func ExampleBuild() {
	ctx := context.Background()
	store, registry, sellers := memstore.New(nil), carts(), NewBestSellers(1)
	defer store.Close()
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	put(ctx, store, registry, "cart-1", ItemRemoved{SKU: "lantern", Quantity: 5})
	for to := range eventstore.Position(2) {
		view, err := projection.Build(ctx, store, registry, sellers.Projection, &projection.BuildOptions{To: to + 1})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(sellers.Top(ctx, view, 1))
	}
	// Output:
	// [{lantern 6}] <nil>
	// [{lantern 1}] <nil>
}

// What did it show at the end of March?
func ExampleBuild_asOf() {
	now := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	store := memstore.New(&memstore.Options{Clock: func() time.Time { return now }})
	defer store.Close()
	ctx, registry, sellers := context.Background(), carts(), NewBestSellers(1)
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	now = now.AddDate(0, 0, 1)
	put(ctx, store, registry, "cart-1", ItemRemoved{SKU: "lantern", Quantity: 5})

	view, err := projection.Build(ctx, store, registry, sellers.Projection, &projection.BuildOptions{
		AsOf: time.Date(2026, 3, 31, 23, 59, 59, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sellers.Top(ctx, view, 1))
	// Output: [{lantern 6}] <nil>
}

// A projection that stops at an event does not stop the others.
func ExampleHost_Run() {
	ctx, stop := context.WithCancel(context.Background())
	store, registry, sellers := memstore.New(nil), carts(), NewBestSellers(1)
	defer store.Close()
	wrong := projection.New("wrong", 1)
	projection.On(wrong, func(projection.Tx, fold.Event[ItemAdded]) error { return errors.New("no such product") })

	views, err := projection.NewHost(store, registry, &projection.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	ended := make(chan error)
	go func() { ended <- views.Run(ctx, sellers.Projection, wrong) }()
	fmt.Println(views.Wait(ctx, 1, sellers.Projection))
	fmt.Println(views.Wait(ctx, 1, wrong))

	stop()
	fmt.Println(<-ended)
	// Output:
	// <nil>
	// committed, view late: projection "wrong" version 1 is not live yet, waited for position 1: run: projection "wrong" version 1: type "cart.item-added" at position 1: no such product
	// context canceled
	// run: projection "wrong" version 1: type "cart.item-added" at position 1: no such product
}
