package codec_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
)

type measured struct{ Value float64 }

// fragile panics when it encodes or decodes unexpected values.
type fragile struct{ Parts []string }

func (f *fragile) UnmarshalJSON(data []byte) error {
	var parts []string
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	f.Parts = parts[:1]
	return nil
}

func (f fragile) MarshalJSON() ([]byte, error) {
	if f.Parts == nil {
		return []byte(`["none"]`), nil
	}
	return json.Marshal(f.Parts[:1])
}

// pointed has a MarshalJSON with a pointer receiver.
type pointed struct{ N int }

func (p *pointed) MarshalJSON() ([]byte, error)    { return json.Marshal([]int{p.N}) }
func (p *pointed) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &[]*int{&p.N}) }

func newRegistry(t testing.TB) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1,
		codec.Tags(func(e ItemAdded) []string { return []string{"sku:" + e.SKU, e.SKU[:2]} }))
	codec.Register[CartCheckedOut](b, "cart.checked-out", 3)
	codec.Register[measured](b, "measured", 1)
	codec.Register[fragile](b, "fragile", 1)
	codec.Register[pointed](b, "pointed", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

func TestRegistry_Encode(t *testing.T) {
	registry := newRegistry(t)
	encoded, err := registry.Encode(ItemAdded{SKU: "23843", Quantity: 2})
	require.NoError(t, err)
	require.Equal(t, codec.Encoded{
		Type: "cart.item-added", SchemaVersion: 1, Codec: "json",
		Data: []byte(`{"sku":"23843","quantity":2}`), Tags: []string{"sku:23843", "23"},
		Value: ItemAdded{SKU: "23843", Quantity: 2},
	}, encoded)

	encoded, err = registry.Encode(CartCheckedOut{})
	require.NoError(t, err)
	require.Equal(t, codec.Encoded{Type: "cart.checked-out", SchemaVersion: 3, Codec: "json", Data: []byte(`{}`), Value: CartCheckedOut{}}, encoded)

	encoded, err = registry.Encode(pointed{N: 4})
	require.NoError(t, err)
	require.JSONEq(t, `[4]`, string(encoded.Data), "a MarshalJSON with a pointer receiver is used")
}

func TestRegistry_Encode_UnregisteredType(t *testing.T) {
	registry := newRegistry(t)
	for value, want := range map[any]codec.UnregisteredTypeError{
		struct{ X int }{}: {Type: reflect.TypeFor[struct{ X int }]()},
		&ItemAdded{}:      {Type: reflect.TypeFor[*ItemAdded](), Pointer: true},
		new(int):          {Type: reflect.TypeFor[*int]()},
		nil:               {},
	} {
		_, err := registry.Encode(value)
		var unregistered *codec.UnregisteredTypeError
		require.ErrorAs(t, err, &unregistered)
		require.Equal(t, want, *unregistered)
		if want.Type != nil {
			require.ErrorContains(t, err, want.Type.String())
		}
	}
}

func TestRegistry_Encode_ValueThatJSONCannotHold(t *testing.T) {
	_, err := newRegistry(t).Encode(measured{Value: math.NaN()})
	var unsupported *json.UnsupportedValueError
	require.ErrorAs(t, err, &unsupported)
	require.ErrorContains(t, err, `encode codec_test.measured as "measured" version 1: `)
}

func TestRegistry_Encode_PanicIsAnError(t *testing.T) {
	registry := newRegistry(t)
	encoded, err := registry.Encode(ItemAdded{SKU: "1"}) // the tags function wants two letters
	require.ErrorContains(t, err, `encode codec_test.ItemAdded as "cart.item-added" version 1: panic: `)
	require.Zero(t, encoded)
	_, err = registry.Encode(fragile{Parts: []string{}})
	require.ErrorContains(t, err, "panic")
}

func TestRegistry_Decode(t *testing.T) {
	registry := newRegistry(t)
	event, err := registry.Decode("cart.item-added", 1, "json", []byte(`{"quantity":2,"sku":"23843","since":"2031"}`))
	require.NoError(t, err)
	require.Equal(t, ItemAdded{SKU: "23843", Quantity: 2}, event, "unknown fields are passed over")
}

func TestRegistry_Decode_UnknownType(t *testing.T) {
	registry := newRegistry(t)
	for _, c := range []codec.UnknownTypeError{
		{Name: "cart.item-added", Version: 2, Known: []uint32{1}},
		{Name: "cart.item-added", Version: 0, Known: []uint32{1}},
		{Name: "cart.checked-out", Version: 1, Known: []uint32{3}},
		{Name: "cart.renamed", Version: 1},
		{Name: "", Version: 1},
	} {
		_, err := registry.Decode(c.Name, c.Version, "json", []byte(`{}`))
		var unknown *codec.UnknownTypeError
		require.ErrorAs(t, err, &unknown)
		require.Equal(t, c, *unknown)
		require.ErrorContains(t, err, c.Name)
	}
}

func TestRegistry_Decode_UnknownCodec(t *testing.T) {
	registry := newRegistry(t)
	for _, name := range []string{"", "JSON", "protobuf"} {
		_, err := registry.Decode("cart.item-added", 1, name, []byte(`{}`))
		require.ErrorContains(t, err, `decode codec_test.ItemAdded as "cart.item-added" version 1: the codec is `)
	}
}

func TestRegistry_Decode_BadData(t *testing.T) {
	registry := newRegistry(t)
	for _, data := range []string{
		``, ` `, `{`, `{}{}`, `{} x`, `[]`, `"text"`, `{"sku":1}`, `{"quantity":"2"}`, `{"quantity":1e99}`, "\xff", `{}` + "\x00",
	} {
		value, err := registry.Decode("cart.item-added", 1, "json", []byte(data))
		require.ErrorContains(t, err, `"cart.item-added" version 1`, "%q", data)
		require.Nil(t, value)
	}
	_, err := registry.Decode("cart.item-added", 1, "json", []byte(`{"sku":1}`))
	var mismatch *json.UnmarshalTypeError
	require.ErrorAs(t, err, &mismatch)
}

func TestRegistry_Decode_PanicIsAnError(t *testing.T) {
	value, err := newRegistry(t).Decode("fragile", 1, "json", []byte(`[]`))
	require.ErrorContains(t, err, `decode codec_test.fragile as "fragile" version 1: panic: `)
	require.Nil(t, value)
	var cause interface{ RuntimeError() }
	require.True(t, errors.As(err, &cause), "the panic's error is wrapped")
}

func TestRegistry_Decode_KeepsNoData(t *testing.T) {
	b := codec.NewBuilder()
	codec.Register[struct{ Raw json.RawMessage }](b, "raw", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	data := []byte(`{"Raw":[1]}`)
	value, err := registry.Decode("raw", 1, "json", data)
	require.NoError(t, err)
	copy(data, "xxxxxxxxxxx")
	require.Equal(t, struct{ Raw json.RawMessage }{json.RawMessage(`[1]`)}, value)
}

func TestRegistry_ConcurrentUse(t *testing.T) {
	registry := newRegistry(t)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 100 {
				want := ItemAdded{SKU: "sku", Quantity: n}
				encoded, err := registry.Encode(want)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := registry.Decode(encoded.Type, encoded.SchemaVersion, encoded.Codec, encoded.Data)
				if err != nil || got != any(want) {
					t.Errorf("got %v, %v, want %v", got, err, want)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzRegistry_DecodeAll(f *testing.F) {
	b := codec.NewBuilder()
	codec.Register[CartCheckedOut](b, "checked-out", 1)
	codec.Register[tree](b, "tree", 1)
	codec.Register[foreign](b, "foreign", 1)
	codec.Register[fragile](b, "fragile", 1)
	history(b)
	registry, err := b.Build()
	require.NoError(f, err)
	for name, data := range map[string]string{
		"cart.item-added":    `{"Product":"a"}`,
		"cart.item-set":      `{"product_id":"a"}`,
		"cart.item-replaced": `{"Old":"a","New":"b"}`,
		"cart.looked-at":     `{}`,
		"checked-out":        `{}`,
		"tree":               `{"Name":"a","Kids":[{"Name":"b","Kids":null}]}`,
		"foreign":            `{"When":"2026-01-02T03:04:05Z","Sum":12,"Days":{"1":2}}`,
		"fragile":            `["a"]`,
	} {
		f.Add(name, uint32(1), "json", []byte(data))
		f.Add(name, uint32(1), "json", []byte(data+"x"))
		f.Add(name, uint32(2), "", []byte(data))
	}
	f.Fuzz(func(t *testing.T, name string, version uint32, codecName string, data []byte) {
		values, err := registry.DecodeAll(name, version, codecName, data)
		if err != nil && values != nil {
			t.Fatalf("values %v with error %v", values, err)
		}
		for _, value := range values {
			requireFixedPoint(t, registry, value)
		}
	})
}

// requireFixedPoint encodes a value, decodes it and encodes it again, and requires the same
// data. It skips values that JSON cannot encode.
func requireFixedPoint(t *testing.T, registry *codec.Registry, value any) {
	first, err := registry.Encode(value)
	if err != nil {
		t.Skip(err) // such as a time with a year above 9999
	}
	again, err := registry.Decode(first.Type, first.SchemaVersion, first.Codec, first.Data)
	if err != nil {
		t.Fatalf("%s: %v", first.Data, err)
	}
	second, err := registry.Encode(again)
	if err != nil || string(first.Data) != string(second.Data) {
		t.Fatalf("%s became %s: %v", first.Data, second.Data, err)
	}
}
