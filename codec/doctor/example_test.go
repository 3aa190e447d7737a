package doctor_test

import (
	"context"
	"fmt"
	"log"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/codec/doctor"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

func Example() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	for _, name := range []string{"put", "added", "put", "looked-at"} {
		commit := eventstore.Commit{Events: []eventstore.NewEvent{{
			Type: name, SchemaVersion: 1, Codec: codec.JSON, Data: []byte(`{"sku":"23843"}`),
		}}}
		if _, err := store.Append(ctx, commit); err != nil {
			log.Fatal(err)
		}
	}

	b := codec.NewBuilder()
	codec.Register[added](b, "added", 1, codec.Tags(func(e added) []string { return []string{"sku:" + e.SKU} }))
	codec.Rename(b, "put", 1, "added", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	report, err := doctor.Examine(ctx, store, registry, &doctor.Options{Examples: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(report)
	// Output:
	//        4 events examined, through position 4
	//        1 of an unknown name or version
	//        0 undecodable
	//        2 read by upcasters only
	//        3 with other tags than today
	// of an unknown name or version: 1 of "looked-at" version 1
	//     position 4: unknown event type "looked-at" (version 1): the name is not registered
	// read by upcasters only: 2 of "put" version 1
	//     position 1: becomes "added" version 1
	// with other tags than today: 1 of "added" version 1
	//     position 2: lacks ["sku:23843"]
	// with other tags than today: 2 of "put" version 1
	//     position 1: lacks ["sku:23843"]
}
