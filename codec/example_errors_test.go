package codec_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/codec"
)

// UnknownTypeError tells an event of a newer program from one with an unknown name.
func ExampleRegistry_DecodeAll_unknown() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 2)
	codec.Upcast(b, "cart.item-added", 1, func(old struct{ Product string }) ItemAdded { return ItemAdded{SKU: old.Product} })
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	for _, stored := range []struct {
		name    string
		version uint32
	}{{"cart.item-added", 3}, {"cart.looked-at", 1}} {
		_, err := registry.DecodeAll(stored.name, stored.version, codec.JSON, []byte(`{}`))
		var unknown *codec.UnknownTypeError
		switch {
		case !errors.As(err, &unknown):
			fmt.Println(err)
		case len(unknown.Known) > 0:
			fmt.Println(unknown.Name, "version", unknown.Version, "is of a newer program; this one knows", unknown.Known)
		default:
			fmt.Println(unknown.Name, "is not registered")
		}
	}
	// Output:
	// cart.item-added version 3 is of a newer program; this one knows [1 2]
	// cart.looked-at is not registered
}

// Pointer of an UnregisteredTypeError is true for a pointer to a registered type.
func ExampleUnregisteredTypeError() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	for _, value := range []any{&ItemAdded{}, CartCheckedOut{}} {
		_, err := registry.Encode(value)
		var unregistered *codec.UnregisteredTypeError
		if errors.As(err, &unregistered) {
			fmt.Println(unregistered.Type, "is a pointer to a registered type:", unregistered.Pointer)
		}
	}
	// Output:
	// *codec_test.ItemAdded is a pointer to a registered type: true
	// codec_test.CartCheckedOut is a pointer to a registered type: false
}

// Text from outside may be anything. What would be read back as something else is not stored.
func ExampleChangedError() {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	_, err = registry.Encode(ItemAdded{SKU: "caf\xe9"})
	var changed *codec.ChangedError
	if errors.As(err, &changed) {
		fmt.Println(changed.Name, changed.Part)
	}
	// Output:
	// cart.item-added .SKU
}
