// Package codec turns an application's event values into stored bytes and back,
// under names that the application chooses and keeps. It knows nothing of
// stores.
//
// An application lists its events once. Each [Register] binds together the
// stored name, the version of the payload's shape, the Go type, and the
// function that derives tags from a value. [Builder.Build] checks them all and
// returns an immutable [Registry], or every fault at once:
//
//	b := codec.NewBuilder()
//	codec.Register(b, "cart.item-added", 1, func(e ItemAdded) []string { return []string{"sku:" + e.SKU} })
//	codec.Register[CartCheckedOut](b, "cart.checked-out", 1, nil)
//	registry, err := b.Build()
//
// From then on the registry goes both ways:
//
//	encoded, err := registry.Encode(ItemAdded{SKU: "23843", Quantity: 2})
//	event, err := registry.Decode(encoded.Type, encoded.SchemaVersion, encoded.Codec, encoded.Data)
//
// # Names are for ever
//
// What is stored is the name and the version, never the name of the Go type, so
// Go types can be renamed and moved freely. A payload whose shape changes in a
// way that the old Go type cannot read gets a new version and a new Go type;
// the old registration stays as long as the log does.
//
// # JSON
//
// Payloads are encoded with encoding/json; [Encoded].Codec is [JSON]. Its rules
// hold: fields can be added, and fields that the Go type no longer has are
// passed over. Text must be UTF-8; other bytes in a string come back as U+FFFD.
// Build refuses the types of which encoding/json cannot give back what it was
// given: channels, functions and complex numbers, interfaces with methods, and
// unexported fields, unless they are tagged json:"-" or the type has its own
// MarshalJSON and the like. What only a value can show, such as a field left
// out by its tag, package aggtest shows.
//
// # Errors
//
// Encode of a Go type that is not registered is an [*UnregisteredTypeError];
// Decode of a name or version that is not is an [*UnknownTypeError]. No data
// makes Decode panic, and a panic in the application's own MarshalJSON,
// UnmarshalJSON or tags function is returned as an error that names the
// registration.
package codec
