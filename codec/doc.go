// Package codec turns an application's event values into stored bytes and back,
// under names that the application chooses and keeps. It knows nothing of
// stores.
//
// An application lists its events once. Each [Register] binds together the
// stored name, the version of the payload's shape, the Go type, and, with [Tags],
// the function that derives tags from a value. [Builder.Build] checks them all
// and returns an immutable [Registry], or every fault at once:
//
//	b := codec.NewBuilder()
//	codec.Register[ItemAdded](b, "cart.item-added", 1,
//		codec.Tags(func(e ItemAdded) []string { return []string{"sku:" + e.SKU} }))
//	codec.Register[CartCheckedOut](b, "cart.checked-out", 1)
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
// Go types can be renamed and moved freely. What was stored once under a name and
// version must be readable as long as the log is: it stays registered, or an
// upcaster says what it is today.
//
// # Upcasters
//
// An upcaster takes what was stored under exactly one name and version, and makes
// of it what the program knows today. [Rename] gives it another name and version;
// [Upcast] decodes it into the old shape and changes that into the new one;
// [UpcastJSON] does so with the bytes; [Split] makes several events of one, and
// [Drop] none:
//
//	codec.Register[ItemAdded](b, "cart.item-added", 2)
//	codec.Upcast(b, "cart.item-added", 1, func(old itemAddedV1) ItemAdded { … })
//	codec.Rename(b, "cart.item-put", 1, "cart.item-added", 1)
//
// What one upcaster makes another may take, so each change is said once, when it
// is made; Build composes the chains and refuses steps that lead nowhere, cycles,
// and what is said twice. Encode knows nothing of all this: it writes the
// registered name and version. What is stored is never rewritten, and metadata
// and tags stay as they were stored.
//
// [Registry.DecodeAll] decodes whatever was stored, and [Registry.StoredNames]
// says under which names to look for it. The repositories and projections of the
// packages above do both; a query that an application gives to a store itself is
// taken as it is. Package codectest keeps samples of what was stored, and package
// doctor examines a store.
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
// DecodeAll of a name or version that is neither registered nor upcast is an
// [*UnknownTypeError]. No data makes DecodeAll panic, and a panic in the
// application's own MarshalJSON, UnmarshalJSON, tags function or upcaster is
// returned as an error that names the registration or upcaster.
package codec
