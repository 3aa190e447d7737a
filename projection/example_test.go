package projection_test

import (
	"context"
	"log"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

type ItemAdded struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

type ItemRemoved struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
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
