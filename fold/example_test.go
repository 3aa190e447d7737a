package fold_test

import (
	"context"
	"fmt"
	"log"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
)

type ItemAdded struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

type ItemRemoved struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

type Pieces map[string]int

var pieces = fold.NewFold(
	func() Pieces { return Pieces{} },
	fold.When(func(p Pieces, e fold.Event[ItemAdded]) Pieces {
		p[e.Data.SKU] += e.Data.Quantity
		return p
	}),
	fold.When(func(p Pieces, e fold.Event[ItemRemoved]) Pieces {
		p[e.Data.SKU] -= e.Data.Quantity
		return p
	}),
)

func Example() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Register[ItemRemoved](b, "cart.item-removed", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	put(ctx, store, registry, "cart-1", ItemAdded{SKU: "lantern", Quantity: 6})
	put(ctx, store, registry, "cart-2", ItemAdded{SKU: "lantern", Quantity: 2})
	put(ctx, store, registry, "cart-2", ItemAdded{SKU: "hanger", Quantity: 1})
	put(ctx, store, registry, "cart-1", ItemRemoved{SKU: "lantern", Quantity: 6})

	p, through, err := pieces.Run(ctx, store, registry, nil)
	fmt.Println(p, through, err)

	p, through, err = pieces.Run(ctx, store, registry, &fold.FoldOptions{To: 3})
	fmt.Println(p, through, err)

	p, through, err = pieces.Run(ctx, store, registry, &fold.FoldOptions{Query: eventstore.Stream("cart-2")})
	fmt.Println(p, through, err)
	// Output:
	// map[hanger:1 lantern:2] 4 <nil>
	// map[hanger:1 lantern:8] 3 <nil>
	// map[hanger:1 lantern:2] 4 <nil>
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
