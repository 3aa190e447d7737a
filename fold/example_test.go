package fold_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
)

type Event interface{ isEvent() }

type ItemAdded struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

type ItemRemoved struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

func (ItemAdded) isEvent()   {}
func (ItemRemoved) isEvent() {}

func Example() {
	store, registry := carts()
	defer store.Close()
	ctx := context.Background()

	f := fold.New(
		fold.On(func(pieces int, e ItemAdded) int { return pieces + e.Quantity }),
		fold.On(func(pieces int, e ItemRemoved) int { return pieces - e.Quantity }),
	)
	pieces, at, err := f.Run(ctx, store, registry, nil)
	fmt.Println(pieces, at, err)

	pieces, at, err = f.Run(ctx, store, registry, &fold.Options{To: 3})
	fmt.Println(pieces, at, err)

	pieces, at, err = f.Run(ctx, store, registry, &fold.Options{Query: eventstore.Stream("cart-2")})
	fmt.Println(pieces, at, err)
	// Output:
	// 3 4 <nil>
	// 9 3 <nil>
	// 3 4 <nil>
}

// Pieces is the number of pieces in carts, by SKU.
type Pieces map[string]int

// The handlers write to the map, so Initial makes it.
var pieces = fold.Fold[Pieces]{
	Initial: func() Pieces { return Pieces{} },
	Evolve: []fold.Handler[Pieces]{
		fold.On(func(p Pieces, e ItemAdded) Pieces {
			p[e.SKU] += e.Quantity
			return p
		}),
		fold.On(func(p Pieces, e ItemRemoved) Pieces {
			p[e.SKU] -= e.Quantity
			return p
		}),
	},
}

func ExampleFold() {
	store, registry := carts()
	defer store.Close()
	fmt.Println(pieces.Run(context.Background(), store, registry, nil))
	// Output: map[hanger:1 lantern:2] 4 <nil>
}

// What was the answer at noon?
func ExampleOptions() {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := noon.Add(-time.Hour)
	store := memstore.New(&memstore.Options{Clock: func() time.Time { return now }})
	defer store.Close()
	ctx, registry := context.Background(), cartEvents()
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	now = noon.Add(time.Hour)
	put(ctx, store, registry, "cart-1", ItemRemoved{SKU: "lantern", Quantity: 2})

	fmt.Println(pieces.Run(ctx, store, registry, &fold.Options{AsOf: noon}))
	fmt.Println(pieces.Run(ctx, store, registry, nil))
	// Output:
	// map[lantern:6] 1 <nil>
	// map[lantern:4] 2 <nil>
}

// An interface stands for all registered types that implement it.
func ExampleOnEvent_interface() {
	store, registry := carts()
	defer store.Close()
	f := fold.New(fold.OnEvent(func(lines []string, e fold.Event[Event]) []string {
		switch event := e.Data.(type) {
		case ItemAdded:
			return append(lines, fmt.Sprintf("%d: %s gets %d of %s", e.Position, e.Stream, event.Quantity, event.SKU))
		default:
			return append(lines, fmt.Sprintf("%d: %s changes", e.Position, e.Stream))
		}
	}))
	lines, _, err := f.Run(context.Background(), store, registry, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range lines {
		fmt.Println(line)
	}
	// Output:
	// 1: cart-1 gets 6 of lantern
	// 2: cart-2 gets 2 of lantern
	// 3: cart-2 gets 1 of hanger
	// 4: cart-1 changes
}

// A handler can be tried without a store.
func ExampleHandler_Apply() {
	added := fold.On(func(pieces int, e ItemAdded) int { return pieces + e.Quantity })
	fmt.Println(added.Type(), added.Apply(5, fold.Event[any]{Data: ItemAdded{SKU: "lantern", Quantity: 2}}))
	// Output: fold_test.ItemAdded 7
}

func cartEvents() *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Register[ItemRemoved](b, "cart.item-removed", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	return registry
}

// carts returns a log of two carts.
func carts() (*memstore.Store, *codec.Registry) {
	registry := cartEvents()
	ctx, store := context.Background(), memstore.New(nil)
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	put(ctx, store, registry, "cart-2", ItemAdded{SKU: "lantern", Quantity: 2})
	put(ctx, store, registry, "cart-2", ItemAdded{SKU: "hanger", Quantity: 1})
	put(ctx, store, registry, "cart-1", ItemRemoved{SKU: "lantern", Quantity: 6})
	return store, registry
}

// put appends one event, as a repository would.
func put(ctx context.Context, store eventstore.Store, registry *codec.Registry, stream eventstore.StreamID, event any) {
	encoded, err := registry.Encode(event)
	if err != nil {
		log.Fatal(err)
	}
	_, err = eventstore.AppendTo(ctx, store, stream, eventstore.Any, eventstore.NewEvent{
		Type: encoded.Type, SchemaVersion: encoded.SchemaVersion, Codec: encoded.Codec, Data: encoded.Data,
	})
	if err != nil {
		log.Fatal(err)
	}
}
