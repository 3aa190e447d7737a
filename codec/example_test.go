package codec_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/codec"
)

type ItemAdded struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

type CartCheckedOut struct{}

func Example() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1,
		codec.Tags(func(e ItemAdded) []string { return []string{"sku:" + e.SKU} }))
	codec.Register[CartCheckedOut](b, "cart.checked-out", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}

	encoded, err := registry.Encode(ItemAdded{SKU: "23843", Quantity: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(encoded.Type, encoded.SchemaVersion, encoded.Codec, string(encoded.Data), encoded.Tags)

	event, err := registry.Decode(encoded.Type, encoded.SchemaVersion, encoded.Codec, encoded.Data)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%+v, as was told: %t\n", event, event == encoded.Value)
	for r := range registry.All() {
		fmt.Println(r.Name, "has tags:", r.Tagged)
	}
	// Output:
	// cart.item-added 1 json {"sku":"23843","quantity":2} [sku:23843]
	// {SKU:23843 Quantity:2}, as was told: true
	// cart.item-added has tags: true
	// cart.checked-out has tags: false
}

func ExampleBuilder_Build_faults() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Register[*CartCheckedOut](b, "cart.checked-out", 0)
	codec.Register[CartCheckedOut](b, "cart.item-added", 1)
	_, err := b.Build()
	fmt.Println(err)
	// Output:
	// register *codec_test.CartCheckedOut as "cart.checked-out" version 0: versions start at 1
	// register *codec_test.CartCheckedOut as "cart.checked-out" version 0: a pointer cannot be registered; register codec_test.CartCheckedOut
	// register codec_test.CartCheckedOut as "cart.item-added" version 1: this name and version are registered already, for codec_test.ItemAdded
}

func ExampleRegistry_All() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Register[CartCheckedOut](b, "cart.checked-out", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	for registration := range registry.All() {
		fmt.Println(registration.Name, registration.Version, registration.Type)
	}
	// Output:
	// cart.item-added 1 codec_test.ItemAdded
	// cart.checked-out 1 codec_test.CartCheckedOut
}

func ExampleUnknownTypeError() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}

	_, err = registry.Decode("cart.item-added", 2, codec.JSON, []byte(`{}`))
	var unknown *codec.UnknownTypeError
	fmt.Println(errors.As(err, &unknown), err)

	_, err = registry.Encode(&ItemAdded{})
	fmt.Println(err)
	// Output:
	// true unknown version 2 of event type "cart.item-added": known are [1]
	// Go type *codec_test.ItemAdded is not registered, but codec_test.ItemAdded is: pass the value, not a pointer
}
