package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
)

// The former shapes of ItemAdded, and an event that is split into two today.
type (
	itemAddedV1  struct{ Product string }
	itemAddedV2  struct{ SKU, Count string }
	itemReplaced struct{ Old, New string }
	ItemRemoved  struct {
		SKU string `json:"sku"`
	}
)

// history registers today's events and the upcasters of older ones:
//
//	cart.item-put 1 → cart.item-added 1 → 2 → 3, and cart.item-set 1 → cart.item-put 1
//	cart.item-replaced 1 → cart.item-removed 1, cart.item-added 3
//	cart.looked-at 1 is dropped
func history(b *codec.Builder) {
	codec.Register[ItemAdded](b, "cart.item-added", 3)
	codec.Register[ItemRemoved](b, "cart.item-removed", 1)
	codec.Rename(b, "cart.item-put", 1, "cart.item-added", 1)
	codec.Upcast(b, "cart.item-added", 1, func(old itemAddedV1) itemAddedV2 { return itemAddedV2{SKU: old.Product, Count: "1"} })
	codec.Upcast(b, "cart.item-added", 2, func(old itemAddedV2) ItemAdded {
		return ItemAdded{SKU: old.SKU, Quantity: len(old.Count)}
	})
	codec.UpcastJSON(b, "cart.item-set", 1, "cart.item-put", 1, func(data []byte) ([]byte, error) {
		if !json.Valid(data) {
			return nil, errors.New("that is not JSON")
		}
		changed := bytes.Replace(data, []byte(`"product_id"`), []byte(`"Product"`), 1)
		clear(data) // an upcaster may change its argument
		return changed, nil
	})
	codec.Split(b, "cart.item-replaced", 1, func(old itemReplaced) []any {
		if old.Old == "" {
			return nil
		}
		return []any{ItemRemoved{SKU: old.Old}, itemAddedV1{Product: old.New}}
	}, ItemRemoved{}, itemAddedV1{})
	codec.Drop(b, "cart.looked-at", 1)
}

func historyOf(t testing.TB) *codec.Registry {
	b := codec.NewBuilder()
	history(b)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

func TestRegistry_DecodeAll(t *testing.T) {
	registry := historyOf(t)
	for _, c := range []struct {
		name    string
		version uint32
		data    string
		want    []any
	}{
		{"cart.item-added", 3, `{"sku":"a","quantity":2}`, []any{ItemAdded{SKU: "a", Quantity: 2}}},
		{"cart.item-added", 2, `{"SKU":"a","Count":"two"}`, []any{ItemAdded{SKU: "a", Quantity: 3}}},
		{"cart.item-added", 1, `{"Product":"a"}`, []any{ItemAdded{SKU: "a", Quantity: 1}}},
		{"cart.item-put", 1, `{"Product":"a"}`, []any{ItemAdded{SKU: "a", Quantity: 1}}},
		{"cart.item-set", 1, `{"product_id":"a"}`, []any{ItemAdded{SKU: "a", Quantity: 1}}},
		{"cart.item-replaced", 1, `{"Old":"a","New":"b"}`, []any{ItemRemoved{SKU: "a"}, ItemAdded{SKU: "b", Quantity: 1}}},
		{"cart.item-replaced", 1, `{}`, nil},
		{"cart.looked-at", 1, `not even JSON`, nil},
	} {
		data := []byte(c.data)
		values, err := registry.DecodeAll(c.name, c.version, codec.JSON, data)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, values, c.name)
		require.Equal(t, c.data, string(data), "what is given is not changed")
	}
	encoded, err := registry.Encode(ItemAdded{SKU: "a"})
	require.NoError(t, err)
	require.Equal(t, "cart.item-added", encoded.Type)
	require.Equal(t, uint32(3), encoded.SchemaVersion, "what is written is what is registered")
}

func TestRegistry_Decode_WantsOne(t *testing.T) {
	registry := historyOf(t)
	value, err := registry.Decode("cart.item-set", 1, codec.JSON, []byte(`{"product_id":"a"}`))
	require.NoError(t, err)
	require.Equal(t, ItemAdded{SKU: "a", Quantity: 1}, value)
	value, err = registry.Decode("cart.item-replaced", 1, codec.JSON, []byte(`{"Old":"a","New":"b"}`))
	require.EqualError(t, err, `decode "cart.item-replaced" version 1: the upcasters make 2 events of it, expected 1; use DecodeAll`)
	require.Nil(t, value)
	_, err = registry.Decode("cart.looked-at", 1, codec.JSON, nil)
	require.ErrorContains(t, err, "make 0 events")
}

func TestRegistry_DecodeAll_Errors(t *testing.T) {
	b := codec.NewBuilder()
	history(b)
	codec.Upcast(b, "explodes", 1, func(m map[string]any) ItemAdded { return ItemAdded{SKU: m["sku"].(string)} })
	codec.UpcastJSON(b, "explodes", 2, "cart.item-added", 3, func(data []byte) ([]byte, error) { return data[:99], nil })
	codec.Split(b, "undeclared", 1, func(bool) []any { return []any{ItemAdded{}, CartCheckedOut{}} }, ItemAdded{})
	codec.Split(b, "undeclared", 2, func(bool) []any { return []any{nil} }, ItemAdded{})
	registry, err := b.Build()
	require.NoError(t, err)
	for _, c := range []struct {
		name    string
		version uint32
		data    string
		want    string
	}{
		{"cart.item-set", 1, `{`, `decode "cart.item-set" version 1: upcast "cart.item-set" version 1: that is not JSON`},
		{"cart.item-set", 1, `{"product_id":7}`, `decode "cart.item-set" version 1: upcast "cart.item-added" version 1: decode into codec_test.itemAddedV1: json: `},
		{"cart.item-added", 1, `[]`, `decode "cart.item-added" version 1: upcast "cart.item-added" version 1: decode into codec_test.itemAddedV1: json: `},
		{"cart.item-replaced", 1, ``, `decode "cart.item-replaced" version 1: split "cart.item-replaced" version 1: decode into `},
		{"explodes", 1, `{}`, `decode "explodes" version 1: upcast "explodes" version 1: panic: interface conversion: `},
		{"explodes", 2, `{}`, `decode "explodes" version 2: upcast "explodes" version 2: panic: runtime error: slice bounds`},
		{"undeclared", 1, `true`, `split "undeclared" version 1: it made a codec_test.CartCheckedOut, which is not among the types that it names`},
		{"undeclared", 2, `true`, `split "undeclared" version 2: it made a <nil>, which is not among`},
	} {
		values, err := registry.DecodeAll(c.name, c.version, codec.JSON, []byte(c.data))
		require.ErrorContains(t, err, c.want)
		require.Nil(t, values)
	}
	_, err = registry.DecodeAll("cart.item-put", 1, "protobuf", nil)
	require.EqualError(t, err, `decode "cart.item-put" version 1: the codec is "protobuf", only "json" is known`)
	_, err = registry.DecodeAll("cart.item-added", 4, codec.JSON, nil)
	var unknown *codec.UnknownTypeError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, []uint32{1, 2, 3}, unknown.Known, "registered or upcast")
}

func TestRegistry_StoredNames(t *testing.T) {
	registry := historyOf(t)
	added := []string{"cart.item-added", "cart.item-put", "cart.item-set", "cart.item-replaced"}
	require.Equal(t, added, registry.StoredNames("cart.item-added"))
	require.Equal(t, []string{"cart.item-removed", "cart.item-replaced"}, registry.StoredNames("cart.item-removed"))
	require.Equal(t, []string{"cart.item-removed", "cart.item-added", "cart.item-replaced", "cart.item-put", "cart.item-set"},
		registry.StoredNames("cart.item-removed", "cart.item-added", "cart.item-removed"))
	require.Equal(t, []string{"unknown", "cart.item-put"}, registry.StoredNames("unknown", "cart.item-put"), "given, so returned")
	require.Empty(t, registry.StoredNames())
	for _, name := range added { // each of these names becomes an added event
		values, err := registry.DecodeAll(name, 1, codec.JSON, []byte(`{"Old":"a","New":"b"}`))
		require.NoError(t, err)
		require.Contains(t, fmt.Sprintf("%T", values), "interface")
		require.IsType(t, ItemAdded{}, values[len(values)-1])
	}
}

func TestRegistry_FirstNames(t *testing.T) {
	registry := historyOf(t)
	require.Equal(t, []string{"cart.item-replaced", "cart.item-set"}, registry.FirstNames("cart.item-added"))
	require.Equal(t, []string{"unknown"}, registry.FirstNames("unknown", "unknown"))

	first := func(fill func(b *codec.Builder)) []string {
		b := codec.NewBuilder()
		fill(b)
		registry, err := b.Build()
		require.NoError(t, err)
		return registry.FirstNames("now")
	}
	require.Equal(t, []string{"then"}, first(func(b *codec.Builder) {
		codec.Register[ItemAdded](b, "now", 1)
		codec.Rename(b, "then", 1, "now", 1)
	}), "a name that is only new")
	require.Equal(t, []string{"now", "then"}, first(func(b *codec.Builder) {
		codec.Register[ItemAdded](b, "now", 2)
		codec.Rename(b, "then", 1, "now", 2)
		codec.Rename(b, "now", 1, "now", 2)
	}), "events of another kind are made into these")
	require.Equal(t, []string{"now"}, first(func(b *codec.Builder) {
		codec.Register[ItemAdded](b, "now", 2)
		codec.Rename(b, "now", 1, "then", 1)
		codec.Rename(b, "then", 1, "now", 2)
	}), "there and back")
}

func TestBuilder_Build_UpcasterFaults(t *testing.T) {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "added", 2)
	codec.Rename(b, "added", 2, "added", 3)
	codec.Drop(b, "twice", 1)
	codec.Rename(b, "twice", 1, "added", 2)
	codec.Drop(b, "", 0)
	codec.Rename(b, "a", 1, "b", 1)
	codec.Rename(b, "b", 1, "a", 1)
	codec.Rename(b, "self", 1, "self", 1)
	codec.Rename(b, "misses", 1, "removed", 1)
	codec.Upcast(b, "misses", 2, func(itemAddedV1) itemAddedV2 { return itemAddedV2{} })
	codec.Upcast(b, "misses", 3, func(itemAddedV1) itemAddedV1 { return itemAddedV1{} })
	codec.Upcast(b, "misses", 4, func(itemReplaced) itemAddedV1 { return itemAddedV1{} })
	codec.Upcast(b, "misses", 5, func(itemReplaced) fmt.Stringer { return nil })
	codec.Upcast(b, "misses", 6, func(itemReplaced) *ItemRemoved { return nil })
	codec.Upcast[callback, ItemAdded](b, "takes", 1, nil)
	codec.Upcast(b, "takes", 2, func(*ItemAdded) ItemAdded { return ItemAdded{} })
	codec.UpcastJSON(b, "nil", 1, "added", 2, nil)
	codec.Split[bool](b, "nil", 2, nil)
	codec.Split(b, "nil", 3, func(bool) []any { return nil }, nil, ItemAdded{})
	registry, err := b.Build()
	require.Nil(t, registry)
	require.Equal(t, []string{
		`rename "added" version 2: this name and version are registered, for codec_test.ItemAdded`,
		`rename "twice" version 1: there is another upcaster for it (drop)`,
		`drop "" version 0: the name is empty`,
		`drop "" version 0: versions start at 1`,
		`upcast "takes" version 1: JSON has no func() (codec_test.callback.F)`,
		`upcast "takes" version 1: its function is nil`,
		`upcast "takes" version 2: it takes a *codec_test.ItemAdded; take a value, not a pointer`,
		`upcast "nil" version 1: its function is nil`,
		`split "nil" version 2: its function is nil`,
		`split "nil" version 2: it names no type that it makes`,
		`split "nil" version 3: it names nil among the types that it makes`,
		`rename "added" version 2: its target "added" version 3 is neither registered nor the input of an upcaster`,
		`rename "misses" version 1: its target "removed" version 1 is neither registered nor the input of an upcaster`,
		`upcast "misses" version 2: it makes a codec_test.itemAddedV2, which is neither registered nor taken by another upcaster`,
		`upcast "misses" version 4: it makes a codec_test.itemAddedV1, which is not registered, and several upcasters take one: "misses" version 2, "misses" version 3`,
		`upcast "misses" version 5: it makes a fmt.Stringer, an interface; make one of the types that implement it, or split`,
		`upcast "misses" version 6: it makes a *codec_test.ItemRemoved, which is neither registered nor taken by another upcaster`,
		`rename "a" version 1: a cycle: "a" version 1 → "b" version 1 → "a" version 1`,
		`rename "self" version 1: a cycle: "self" version 1 → "self" version 1`,
	}, strings.Split(err.Error(), "\n"))
}

func TestBuilder_Build_CycleOfTypes(t *testing.T) {
	b := codec.NewBuilder()
	codec.Upcast(b, "x", 1, func(itemAddedV1) itemAddedV2 { return itemAddedV2{} })
	codec.Split(b, "x", 2, func(itemAddedV2) []any { return nil }, itemAddedV1{})
	_, err := b.Build()
	require.EqualError(t, err, `upcast "x" version 1: a cycle: "x" version 1 → "x" version 2 → "x" version 1`)
}

// TestUpcast_ShapeThatIsRegistered uses a registered Go type as the old shape of other
// events, and a registered version beside an upcast one.
func TestUpcast_ShapeThatIsRegistered(t *testing.T) {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "added", 3)
	codec.Register[ItemRemoved](b, "added", 2)
	codec.Upcast(b, "added", 1, func(old ItemAdded) ItemAdded { return ItemAdded{SKU: old.SKU, Quantity: max(1, old.Quantity)} })
	registry, err := b.Build()
	require.NoError(t, err)
	for version, want := range map[uint32]any{1: ItemAdded{SKU: "a", Quantity: 1}, 2: ItemRemoved{SKU: "a"}, 3: ItemAdded{SKU: "a"}} {
		values, err := registry.DecodeAll("added", version, codec.JSON, []byte(`{"sku":"a"}`))
		require.NoError(t, err)
		require.Equal(t, []any{want}, values)
	}
}

// TestUpcast_OfRawData has json.RawMessage and any as old shapes.
func TestUpcast_OfRawData(t *testing.T) {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "added", 1)
	codec.Split(b, "batch", 1, func(old json.RawMessage) []any {
		var skus []string
		if err := json.Unmarshal(old, &skus); err != nil {
			panic(err)
		}
		var events []any
		for _, sku := range skus {
			events = append(events, ItemAdded{SKU: sku, Quantity: 1})
		}
		return events
	}, ItemAdded{})
	codec.Upcast(b, "any", 1, func(old any) ItemAdded { return ItemAdded{SKU: fmt.Sprint(old)} })
	registry, err := b.Build()
	require.NoError(t, err)
	values, err := registry.DecodeAll("batch", 1, codec.JSON, []byte(`["c","a","b"]`))
	require.NoError(t, err)
	require.Equal(t, []any{ItemAdded{"c", 1}, ItemAdded{"a", 1}, ItemAdded{"b", 1}}, values, "in order")
	_, err = registry.DecodeAll("batch", 1, codec.JSON, []byte(`{}`))
	var mismatch *json.UnmarshalTypeError
	require.ErrorAs(t, err, &mismatch, "what it panicked with is wrapped")
	values, err = registry.DecodeAll("any", 1, codec.JSON, []byte(`null`))
	require.NoError(t, err)
	require.Equal(t, []any{ItemAdded{SKU: "<nil>"}}, values)
}
