// Package codec encodes an application's event values as bytes and decodes them, under
// stable names that the application chooses. It does not depend on a store.
//
// An application registers its events once. Each [Register] binds a stored name, the
// version of the payload's shape and a Go type, and with [Tags] a function that derives
// tags from a value. [Builder.Build] checks all registrations and returns an immutable
// [Registry], or all faults at once:
//
//	b := codec.NewBuilder()
//	codec.Register[ItemAdded](b, "cart.item-added", 1,
//		codec.Tags(func(e ItemAdded) []string { return []string{"sku:" + e.SKU} }))
//	codec.Register[CartCheckedOut](b, "cart.checked-out", 1)
//	registry, err := b.Build()
//
// The registry encodes and decodes:
//
//	encoded, err := registry.Encode(ItemAdded{SKU: "23843", Quantity: 2})
//	event, err := registry.Decode(encoded.Type, encoded.SchemaVersion, encoded.Codec, encoded.Data)
//
// # Names are permanent
//
// An event is stored with its name and version, never with the name of its Go type
// (I12), so Go types can be renamed and moved. A name and version that was ever stored
// must stay readable: it stays registered, or it has an upcaster.
//
// # Upcasters
//
// An upcaster converts the events of exactly one stored name and version to events that
// the program knows today. [Rename] gives them another name and version, [Upcast] decodes
// them into the old shape and converts that to the new one, [UpcastJSON] converts the
// bytes, [Split] makes several events of one, and [Drop] makes none:
//
//	codec.Register[ItemAdded](b, "cart.item-added", 2)
//	codec.Upcast(b, "cart.item-added", 1, func(old itemAddedV1) ItemAdded { … })
//	codec.Rename(b, "cart.item-put", 1, "cart.item-added", 1)
//
// One upcaster may take the events that another makes, so each change of an event is
// written once, in the release that makes it. Build composes the chains. It refuses
// upcasters without a target, cycles, and two upcasters for one name and version.
//
// Upcasters work on reading only. Encode writes the registered name and version. Stored
// events are never rewritten; their metadata and tags stay as stored.
//
// [Registry.DecodeAll] decodes every stored event, and [Registry.StoredNames] returns the
// names to query a store for. The repositories and projections of the packages above use
// both. A store itself does not expand the names of a query. Package codectest keeps
// samples of stored events as files, and package doctor examines a store.
//
// # JSON
//
// The codec is encoding/json; [Encoded].Codec is [JSON]. Fields can be added to a Go type,
// and stored fields that the Go type does not have are ignored. Numbers in an any are decoded
// as [encoding/json.Number], with all their digits. A payload that is null is an error.
//
// What cannot be read back as it was written is refused before it is written (I17). Build
// refuses a Go type that shows it:
//
//   - channels, functions, complex numbers and interfaces with methods;
//   - unexported fields without the tag json:"-";
//   - fields that JSON leaves out because another one has their name, also one of an
//     embedded struct;
//   - a struct with other fields that has its MarshalJSON, or the like, from an embedded
//     type, which stores only itself;
//   - a type with one of two methods that belong together, such as MarshalText without
//     UnmarshalText, if its values show a difference;
//   - elements and keys of maps whose MarshalJSON or MarshalText has a pointer receiver,
//     which JSON does not call there.
//
// Encode refuses a value that shows it: one that its own UnmarshalJSON does not accept, and, as
// a [*ChangedError], text that is not UTF-8, a time in a zone whose offset has seconds, or
// anything else that would be read as another value. Values of a type with a MarshalJSON or
// MarshalText of its own are the same if they are equal or if their JSON is: what such a method
// leaves out is the type's own affair. Fields with the tag json:"-" are not stored. Package
// aggtest reports both.
//
// # Errors
//
// Encode returns an [*UnregisteredTypeError] for a Go type that is not registered.
// DecodeAll returns an [*UnknownTypeError] for a name or version that is neither
// registered nor upcast. No data makes DecodeAll panic (I9). A panic in a MarshalJSON, an
// UnmarshalJSON, a tags function or an upcaster is returned as an error that names the
// registration or the upcaster.
package codec
