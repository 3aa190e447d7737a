package codec_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/yore-es/yore/codec"
)

// show prints the values that a stored event is decoded to.
func show(b *codec.Builder, name, data string) {
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	values, err := registry.DecodeAll(name, 1, codec.JSON, []byte(data))
	if err != nil {
		log.Fatal(err)
	}
	for _, value := range values {
		fmt.Printf("%T%+v\n", value, value)
	}
	fmt.Println(len(values), "of", name, "version 1")
}

func ExampleRename() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Rename(b, "cart.item-put", 1, "cart.item-added", 1)
	show(b, "cart.item-put", `{"sku":"23843","quantity":2}`)
	// Output:
	// codec_test.ItemAdded{SKU:23843 Quantity:2}
	// 1 of cart.item-put version 1
}

func ExampleUpcast() {
	type itemAddedV1 struct { // the old shape: one piece at a time
		SKU string `json:"sku"`
	}
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 2)
	codec.Upcast(b, "cart.item-added", 1, func(old itemAddedV1) ItemAdded {
		return ItemAdded{SKU: old.SKU, Quantity: 1}
	})
	show(b, "cart.item-added", `{"sku":"23843"}`)
	// Output:
	// codec_test.ItemAdded{SKU:23843 Quantity:1}
	// 1 of cart.item-added version 1
}

func ExampleUpcastJSON() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 2)
	codec.UpcastJSON(b, "cart.item-added", 1, "cart.item-added", 2, func(data []byte) ([]byte, error) {
		return bytes.Replace(data, []byte(`"product"`), []byte(`"sku"`), 1), nil
	})
	show(b, "cart.item-added", `{"product":"23843","quantity":2}`)
	// Output:
	// codec_test.ItemAdded{SKU:23843 Quantity:2}
	// 1 of cart.item-added version 1
}

func ExampleSplit() {
	type itemReplaced struct{ Old, New string }
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Register[ItemRemoved](b, "cart.item-removed", 1)
	codec.Split(b, "cart.item-replaced", 1, func(old itemReplaced) []any {
		return []any{ItemRemoved{SKU: old.Old}, ItemAdded{SKU: old.New, Quantity: 1}}
	}, ItemRemoved{}, ItemAdded{})
	show(b, "cart.item-replaced", `{"Old":"23843","New":"22423"}`)
	// Output:
	// codec_test.ItemRemoved{SKU:23843}
	// codec_test.ItemAdded{SKU:22423 Quantity:1}
	// 2 of cart.item-replaced version 1
}

func ExampleDrop() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Drop(b, "cart.looked-at", 1)
	show(b, "cart.looked-at", `{"page":3}`)
	// Output:
	// 0 of cart.looked-at version 1
}

func ExampleRegistry_StoredNames() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Rename(b, "cart.item-put", 1, "cart.item-added", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(registry.StoredNames("cart.item-added"))
	fmt.Println(registry.FirstNames("cart.item-added"))
	// Output:
	// [cart.item-added cart.item-put]
	// [cart.item-put]
}
