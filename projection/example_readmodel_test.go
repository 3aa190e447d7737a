package projection_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"reflect"
	"sync"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// The program of docs/how-to/build-a-read-model.md.

// serve keeps the read models up to date while the server listens. The server begins to
// listen when the read models can be read. When ctx ends, the server ends before they do.
func serve(ctx context.Context, views *projection.Host, listen func(context.Context) error, ps ...*projection.Projection) error {
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	listening, stop := context.WithCancelCause(ctx)
	var group sync.WaitGroup
	group.Go(func() { stop(views.Run(running, ps...)) }) // no server without its read models
	defer group.Wait()
	defer end()
	if err := views.Ready(listening, ps...); err != nil {
		return err
	}
	return listen(listening)
}

// attach attaches the read model, and rebuilds it if it has a fault.
func attach(ctx context.Context, views *projection.Host, p *projection.Projection) error {
	err := views.Attach(ctx, p)
	if errors.Is(err, eventstore.ErrFaulted) {
		err = views.Rebuild(ctx, nil, p)
	}
	return err
}

// slow returns the products with at least one piece, and at most most pieces, in carts.
func (b BestSellers) slow(ctx context.Context, r projection.Reader, most int) (skus []string, err error) {
	for row, err := range b.ByPieces.Scan(ctx, r, projection.AtMost(most)) {
		if err != nil {
			return nil, err
		}
		skus = append(skus, row.Key)
	}
	return skus, nil
}

// page returns n of the most wanted products, after the cursor of the page before, and
// the cursor for the next page.
func (b BestSellers) page(ctx context.Context, r projection.Reader, n int, after projection.Cursor) (top []Seller, next projection.Cursor, err error) {
	page, err := b.ByPieces.Page(ctx, r, projection.Range[int]{}.Backward().Limit(n).After(after))
	if err != nil {
		return nil, "", err // ErrInvalid if the cursor is damaged
	}
	for _, row := range page.Rows {
		top = append(top, row.Value)
	}
	return top, page.Next, nil
}

// letters is the view that holds the position of notify. It has no rows.
const letters eventstore.ViewID = "letters"

// beginLetters sets the position after which the letters begin.
func beginLetters(ctx context.Context, store eventstore.RowStore, after eventstore.Position) error {
	return store.CommitRows(ctx, eventstore.RowCommit{
		View: letters, Checkpoint: eventstore.Checkpoint{Position: after, Data: []byte("begun")},
	})
}

var errNotBegun = errors.New("the letters have no position: say where they begin")

// namesOf returns the names under which events that are an E today may be stored.
func namesOf[E any](registry *codec.Registry) []string {
	for known := range registry.All() {
		if known.Type == reflect.TypeFor[E]() {
			return registry.StoredNames(known.Name)
		}
	}
	return nil
}

// notify sends a letter for each event that adds to a cart. If the program is killed while
// it sends a letter, it sends that letter again.
func notify(
	ctx context.Context, store eventstore.RowStore, registry *codec.Registry, send func(eventstore.Event, ItemAdded) error,
) error {
	set, err := store.GetRows(ctx, letters)
	if err != nil {
		return err
	}
	at := set.Checkpoint
	if at.IsZero() {
		return errNotBegun
	}
	query := eventstore.Match(eventstore.Item{Types: namesOf[ItemAdded](registry)})
	for batch, err := range store.Follow(ctx, query, at.Position) {
		if err != nil {
			return err
		}
		for _, e := range batch.Events {
			values, err := registry.DecodeAll(e.Type, e.SchemaVersion, e.Codec, e.Data)
			if err != nil {
				return err
			}
			for _, value := range values {
				if added, ok := value.(ItemAdded); ok {
					if err := send(e, added); err != nil {
						return err
					}
				}
			}
			sent := eventstore.Checkpoint{Position: e.Position}
			if err := store.CommitRows(ctx, eventstore.RowCommit{View: letters, Expected: at, Checkpoint: sent}); err != nil {
				return err
			}
			at = sent
		}
	}
	return nil
}

func Example_readModel() {
	ctx, store, registry, sellers := context.Background(), memstore.New(nil), carts(), NewBestSellers(1)
	defer store.Close()
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "hanger", Quantity: 1})

	views, err := projection.NewHost(store, registry, nil)
	if err != nil {
		log.Fatal(err)
	}
	err = serve(ctx, views, func(ctx context.Context) error {
		seller, found, err := sellers.Products.Get(ctx, store, "lantern")
		fmt.Println(seller.Value.Pieces, "at", seller.At, found, err)
		fmt.Println(sellers.Top(ctx, store, 10))
		fmt.Println(sellers.slow(ctx, store, 1))
		top, next, err := sellers.page(ctx, store, 1, "")
		fmt.Println(top, err)
		fmt.Println(sellers.page(ctx, store, 1, next))
		return errors.New("the server was shut down")
	}, sellers.Projection)
	fmt.Println(err)

	next := NewBestSellers(2)
	if err := views.Rebuild(ctx, nil, next.Projection); err != nil {
		log.Fatal(err)
	}
	_, _, err = sellers.Products.Get(ctx, store, "lantern")
	fmt.Println(errors.Is(err, projection.ErrReplaced))
	status, err := views.Status(ctx, next.Projection)
	fmt.Println(status.State, status.Behind, err)
	fmt.Println(serve(ctx, views, nil, sellers.Projection))
	// Output:
	// 6 at 2 true <nil>
	// [{lantern 6} {hanger 1}] <nil>
	// [hanger] <nil>
	// [{lantern 6}] <nil>
	// [{hanger 1}]  <nil>
	// the server was shut down
	// true
	// live 0 <nil>
	// wait for projection "best-sellers": projection was replaced: "best-sellers" version 1, by version 2
}

func Example_readModelFault() {
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
			return table.In(tx).Put(e.Data.SKU, e.Data.Quantity)
		})
		return p, table
	}
	views := newViews(store, registry)
	p, table := define(5)
	fmt.Println(attach(ctx, views, p))
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6}) // is appended all the same
	_, _, err := table.Get(ctx, store, "lantern")
	fmt.Println(err)

	p, table = define(10) // the program is put right and started again
	fmt.Println(attach(ctx, views, p))
	row, found, err := table.Get(ctx, store, "lantern")
	fmt.Println(row.Value, found, err)
	// Output:
	// <nil>
	// get rows of table "by-product" of projection "pieces": view has a fault: view "pieces@1.1" at position 0, on type "cart.item-added" at position 1: more than 5 pieces
	// <nil>
	// 6 true <nil>
}

func Example_letters() {
	ctx, store, registry := context.Background(), memstore.New(nil), carts()
	defer store.Close()
	for _, sku := range []string{"lantern", "hanger", "sofa"} {
		put(ctx, store, registry, "cart-1", ItemAdded{SKU: sku, Quantity: 1})
	}
	stamps := 1
	send := func(e eventstore.Event, added ItemAdded) error {
		if stamps == 0 {
			return errors.New("no stamps left")
		}
		stamps--
		fmt.Println("letter about", added.SKU, "at", e.Position)
		return nil
	}
	fmt.Println(notify(ctx, store, registry, send))
	fmt.Println(beginLetters(ctx, store, 1))
	fmt.Println(notify(ctx, store, registry, send))
	stamps = 1
	put(ctx, store, registry, "cart-1", ItemRemoved{SKU: "sofa", Quantity: 1})
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "sofa", Quantity: 1})
	fmt.Println(notify(ctx, store, registry, send))
	// Output:
	// the letters have no position: say where they begin
	// <nil>
	// letter about hanger at 2
	// no stamps left
	// letter about sofa at 3
	// no stamps left
}

// The event gets another name, and letters go out as before: for those of the old
// name, and for those of the new one.
func Example_lettersAfterRename() {
	ctx, store := context.Background(), memstore.New(nil)
	defer store.Close()
	put(ctx, store, carts(), "cart-1", ItemAdded{SKU: "lantern", Quantity: 1})

	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-put-in", 1)
	codec.Rename(b, "cart.item-added", 1, "cart.item-put-in", 1)
	renamed, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	put(ctx, store, renamed, "cart-1", ItemAdded{SKU: "hanger", Quantity: 1})

	ctx, stop := context.WithCancel(ctx)
	if err := store.CommitRows(ctx, eventstore.RowCommit{View: letters, Checkpoint: eventstore.Checkpoint{Data: []byte("begun")}}); err != nil {
		log.Fatal(err)
	}
	err = notify(ctx, store, renamed, func(e eventstore.Event, added ItemAdded) error {
		fmt.Println(e.Type, added.SKU)
		if e.Position == 2 {
			stop()
		}
		return nil
	})
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// cart.item-added lantern
	// cart.item-put-in hanger
	// true
}
