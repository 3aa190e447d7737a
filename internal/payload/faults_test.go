package payload_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/payload"
)

type (
	// degrees marshals by methods with pointer receivers.
	degrees float64
	// named has both methods by value.
	named struct{ name string }
	// colour only marshals, colourIn only unmarshals.
	colour   int
	colourIn int
	// money has a private part and only marshals.
	money struct{ cents int64 }
	// sorted only marshals, in a form that its kind reads.
	sorted struct{ Names []string }
	// older only unmarshals, also the form that its kind writes.
	older struct{ Name string }
	// tagged marshals with a prefix that its kind does not take off.
	prefixed string

	base    struct{ ID string }
	other   struct{ ID string }
	byteKey struct{ A byte }
	textKey struct{ A string }
	ptrKey  int
	ptrText string
)

func (d *degrees) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%g C", float64(*d)), nil }
func (d *degrees) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "%g C", (*float64)(d))
	return err
}

func (n named) MarshalJSON() ([]byte, error)     { return json.Marshal(n.name) }
func (n *named) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &n.name) }

func (c colour) MarshalText() ([]byte, error) { return []byte([]string{"red", "green"}[c]), nil }
func (c *colourIn) UnmarshalText([]byte) error {
	*c = 1
	return nil
}
func (m money) MarshalJSON() ([]byte, error)  { return json.Marshal(m.cents) }
func (s sorted) MarshalJSON() ([]byte, error) { return json.Marshal(map[string]any{"Names": s.Names}) }
func (o *older) UnmarshalJSON(data []byte) error {
	type plain older
	return json.Unmarshal(data, (*plain)(o))
}
func (p prefixed) MarshalText() ([]byte, error) { return []byte("id:" + p), nil }

func (k textKey) MarshalText() ([]byte, error)     { return []byte(k.A), nil }
func (k *textKey) UnmarshalText(text []byte) error { k.A = string(text); return nil }
func (k byteKey) MarshalText() ([]byte, error)     { return []byte{k.A}, nil }
func (k *ptrKey) MarshalText() ([]byte, error)     { return []byte("k"), nil }
func (k *ptrKey) UnmarshalText([]byte) error       { return errors.New("no key") }
func (k *ptrText) UnmarshalText(text []byte) error {
	*k = ptrText(strings.ToUpper(string(text)))
	return nil
}

// embedding has the methods of an embedded type; embeddingWhole declares its own.
type (
	embedding    struct{ time.Time }
	embeddingOne struct {
		time.Time
		Note string
	}
	embeddingPointer struct {
		*named
		Note string
	}
	embeddingNamed struct {
		time.Time `json:"at"`
		Note      string
	}
	embeddingWhole struct {
		named
		Note string
	}
	embeddingHalf struct {
		older
		Note string
	}
	embeddingTwo struct { // so that no method is promoted
		named //nolint:unused // its method is
		guarded
	}
	embeddingIgnored struct {
		time.Time
		Note string `json:"-"`
	}
	embeddingKey struct {
		textKey
		Part int
	}
	ring struct {
		Name string
		Next *ring
		All  map[string]ring
	}
)

func (e embeddingWhole) MarshalJSON() ([]byte, error) {
	return json.Marshal([]string{e.name, e.Note})
}

func (e *embeddingWhole) UnmarshalJSON(data []byte) error {
	var parts [2]string
	err := json.Unmarshal(data, &parts)
	e.name, e.Note = parts[0], parts[1]
	return err
}

// tags returns a struct of fields A, B and so on with these JSON names.
func tags(names ...string) reflect.Type {
	fields := make([]reflect.StructField, len(names))
	for i, name := range names {
		fields[i] = reflect.StructField{
			Name: string(rune('A' + i)), Type: reflect.TypeFor[int](), Tag: reflect.StructTag(fmt.Sprintf("json:%q", name)),
		}
	}
	return reflect.StructOf(fields)
}

// faulty are types by a fault that they have.
var faulty = map[string][]reflect.Type{
	"has MarshalText with a pointer receiver, which JSON does not call for the elements of a map": {
		reflect.TypeFor[map[string]degrees](), reflect.TypeFor[map[string][2]degrees](),
		reflect.TypeFor[struct{ M map[int]struct{ D degrees } }](),
	},
	"big.Int has MarshalJSON with a pointer receiver":                             {reflect.TypeFor[map[string]big.Int]()},
	"has MarshalText with a pointer receiver, which JSON does not call for the k": {reflect.TypeFor[map[ptrKey]int]()},
	"as the key of a map no UnmarshalText":                                        {reflect.TypeFor[map[byteKey]int](), reflect.TypeFor[map[colour]int]()},
	"as the key of a map no MarshalText":                                          {reflect.TypeFor[map[colourIn]int]()},
	"has no UnmarshalText, and JSON cannot decode the":                            {reflect.TypeFor[colour](), reflect.TypeFor[[]colour](), reflect.TypeFor[map[string]*colour]()},
	"has no MarshalText, and JSON cannot decode the":                              {reflect.TypeFor[colourIn](), reflect.TypeFor[struct{ C []colourIn }]()},
	"has no UnmarshalText, and the \"id:":                                         {reflect.TypeFor[[]prefixed]()},
	"has no UnmarshalJSON, and JSON cannot decode the":                            {reflect.TypeFor[[]money]()},
	"several fields have the JSON name \"a\", so that none is stored": {
		tags("a", "a"),
	},
	"several fields have the JSON name \"ID\", so that none is stored (": {
		reflect.TypeFor[struct {
			base
			other
		}](),
		reflect.TypeFor[[]struct {
			Name string
			*EmbeddedTwice
		}](),
	},
	"a field is not stored, because": {
		reflect.TypeFor[struct {
			base
			ID string
		}](),
		reflect.MapOf(reflect.TypeFor[string](), tags("", "A")),
	},
	"has MarshalJSON from the embedded time.Time, which does not store the other fields": {reflect.TypeFor[embeddingOne](), reflect.TypeFor[[]*embeddingNamed]()},
	"has MarshalJSON from the embedded *payload_test.named":                              {reflect.TypeFor[embeddingPointer]()},
	"has UnmarshalJSON from the embedded payload_test.older":                             {reflect.TypeFor[embeddingHalf]()},
	"has MarshalText from the embedded payload_test.textKey, which does not store":       {reflect.TypeFor[map[embeddingKey]int]()},
	"an unexported field is not stored; export it or tag it json:\"-\"": {
		reflect.TypeFor[struct{ n int }](), reflect.TypeFor[embeddingTwo](), reflect.TypeFor[url.URL](),
		reflect.TypeFor[struct{ sync.Mutex }](), reflect.TypeFor[map[string][]struct{ a int }](),
	},
	"JSON cannot tell which error to decode":       {reflect.TypeFor[struct{ Err error }]()},
	"JSON has no maps with payload_test.base keys": {reflect.TypeFor[map[base]int]()},
	"JSON has no func()":                           {reflect.TypeFor[[]func()]()},
	"embedded pointer to an unexported type":       {reflect.TypeFor[struct{ *base }]()},
}

// sound are types without a fault.
var sound = []reflect.Type{
	reflect.TypeFor[panicking](), reflect.TypeFor[[]notNull](), reflect.TypeFor[notNullIn](),
	reflect.TypeFor[degrees](), reflect.TypeFor[[]degrees](), reflect.TypeFor[map[string]*degrees](), reflect.TypeFor[map[string][]degrees](),
	reflect.TypeFor[*big.Int](), reflect.TypeFor[map[string]named](), reflect.TypeFor[map[textKey]int](), reflect.TypeFor[map[ptrText]int](),
	reflect.TypeFor[map[time.Time]int](), reflect.TypeFor[map[netip.Addr]string](), reflect.TypeFor[sorted](), reflect.TypeFor[[]older](),
	reflect.TypeFor[embedding](), reflect.TypeFor[embeddingWhole](), reflect.TypeFor[embeddingIgnored](),
	reflect.TypeFor[ring](), reflect.TypeFor[json.RawMessage](), reflect.TypeFor[map[string]json.Number](), reflect.TypeFor[any](),
	tags("a", "A"), // JSON prefers the name as it is written
	reflect.TypeFor[struct {
		base
		ID string `json:"-"`
	}](),
}

func TestFaults(t *testing.T) {
	for fault, types := range faulty {
		for _, of := range types {
			require.Contains(t, strings.Join(payload.Faults(of), "\n"), fault, "%v", of)
		}
	}
	require.Len(t, payload.Faults(reflect.TypeFor[struct{ C []colour }]()), 1, "each fault once")
	for _, of := range sound {
		require.Empty(t, payload.Faults(of), "%v", of)
	}
}

type (
	EmbeddedTwice struct {
		base
		other
	}
	panicking struct{ Lines []int }
)

// notNull and notNullIn write an empty list for nil.
type (
	notNull   []string
	notNullIn struct{ Items []string }
)

func (n notNull) MarshalJSON() ([]byte, error) {
	if n == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]string(n))
}

func (n notNullIn) MarshalJSON() ([]byte, error) {
	type plain notNullIn
	if n.Items == nil {
		n.Items = []string{}
	}
	return json.Marshal(plain(n))
}

func (p panicking) MarshalJSON() ([]byte, error) { return json.Marshal(p.Lines[0]) }
func (p *panicking) UnmarshalJSON([]byte) error  { return nil }

func TestDecodeFaults(t *testing.T) {
	require.Empty(t, payload.DecodeFaults(reflect.TypeFor[colourIn]()), "it is only read")
	require.Empty(t, payload.DecodeFaults(reflect.TypeFor[map[string]degrees]()))
	for fault, of := range map[string]reflect.Type{
		"an unexported field":        reflect.TypeFor[struct{ n int }](),
		"several fields have":        reflect.TypeFor[EmbeddedTwice](),
		"has UnmarshalJSON from the": reflect.TypeFor[embeddingOne](),
		"JSON has no maps with":      reflect.TypeFor[map[byteKey]int](),
		"JSON cannot tell which":     reflect.TypeFor[[]error](),
	} {
		require.Contains(t, strings.Join(payload.DecodeFaults(of), "\n"), fault)
	}
}
