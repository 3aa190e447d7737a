package codec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
)

// build registers one type and returns Build's error.
func build[E any](name string, version uint32) error {
	b := codec.NewBuilder()
	codec.Register[E](b, name, version)
	_, err := b.Build()
	return err
}

func TestBuilder_Build_Names(t *testing.T) {
	for name, rule := range map[string]string{
		"":                       "the name is empty",
		strings.Repeat("x", 256): "the name has 256 bytes, at most 255",
		"a\x00b":                 "contains NUL",
		"a\xffb":                 "not UTF-8",
		"yore.x":                 `type "yore.x": names that begin with "yore." are the library's own`,
	} {
		require.ErrorContains(t, build[ItemAdded](name, 1), rule)
	}
	require.NoError(t, build[ItemAdded]("yore-x", 1), "that is another name")
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "a", 1)
	codec.Rename(b, "yore.x", 1, "a", 1)
	_, err := b.Build()
	require.ErrorContains(t, err, "are the library's own")
	require.ErrorContains(t, build[ItemAdded]("x", 0), "versions start at 1")
	require.NoError(t, build[ItemAdded](strings.Repeat("x", 255), 1))
	require.NoError(t, build[ItemAdded]("warenkorb.stück-hinzugefügt", 7))
}

type (
	hidden    struct{ sku string } //nolint:unused // Build must refuse the field
	embedded  struct{ SKU string }
	promoting struct{ embedded }
	pointing  struct{ *embedded }
	tagged    struct {
		cache int `json:"-"` //nolint:unused // tagged, so it may be unexported
		SKU   string
	}
	deep struct {
		Lines []map[string]*struct{ Notify chan int }
	}
	tree struct {
		Name string
		Kids []tree
	}
	callback  struct{ F func() }
	ratio     struct{ C complex128 }
	described struct{ Of fmt.Stringer }
	keyed     struct{ M map[float64]string }
	dynamic   struct{ V any }
	foreign   struct {
		When  time.Time
		ID    uuid.UUID
		Sum   *big.Int
		Raw   json.RawMessage
		Days  map[time.Weekday]int
		Names map[uuid.UUID]string
	}
)

func TestBuilder_Build_Types(t *testing.T) {
	require.ErrorContains(t, build[fmt.Stringer]("x", 1), "an interface cannot be registered")
	require.ErrorContains(t, build[any]("x", 1), "an interface cannot be registered")
	require.ErrorContains(t, build[*ItemAdded]("x", 1), "register codec_test.ItemAdded")
	require.ErrorContains(t, build[chan int]("x", 1), "JSON has no chan int")
	require.ErrorContains(t, build[callback]("x", 1), "JSON has no func() (codec_test.callback.F)")
	require.ErrorContains(t, build[ratio]("x", 1), "JSON has no complex128")
	require.ErrorContains(t, build[deep]("x", 1), "JSON has no chan int (codec_test.deep.Lines.Notify)")
	require.ErrorContains(t, build[described]("x", 1), "JSON cannot tell which fmt.Stringer")
	require.ErrorContains(t, build[keyed]("x", 1), "JSON has no maps with float64 keys")
	require.ErrorContains(t, build[hidden]("x", 1), "an unexported field is not stored")
	require.ErrorContains(t, build[pointing]("x", 1), "embedded pointer to an unexported type")

	require.NoError(t, build[promoting]("x", 1))
	require.NoError(t, build[tagged]("x", 1))
	require.NoError(t, build[tree]("x", 1))
	require.NoError(t, build[dynamic]("x", 1))
	require.NoError(t, build[foreign]("x", 1))
	require.NoError(t, build[string]("x", 1))
	require.NoError(t, build[map[string]int]("x", 1))
}

// oneWay is encoded as a string and cannot be decoded from one.
type oneWay int

func (o oneWay) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint("nr. ", int(o))) }

// drifting is decoded to another value than the one that was encoded.
type drifting struct{ N int }

func (d *drifting) UnmarshalJSON([]byte) error { d.N = 7; return nil }

// strict refuses to encode and to decode its zero value.
type strict string

func (s strict) MarshalText() ([]byte, error) {
	if s == "" {
		return nil, errors.New("no currency")
	}
	return []byte(s), nil
}

func (s *strict) UnmarshalText(text []byte) error {
	*s = strict(text)
	return nil
}

// explosive panics when its zero value is encoded.
type explosive struct{ Lines []int }

func (e explosive) MarshalJSON() ([]byte, error) { return json.Marshal(e.Lines[0]) }

func TestBuilder_Build_RoundTripsTheZeroValue(t *testing.T) {
	require.ErrorContains(t, build[struct{ O oneWay }]("x", 1), "JSON cannot decode the")
	require.ErrorContains(t, build[drifting]("x", 1), `{"N":0} comes back as {"N":7}`)
	require.NoError(t, build[explosive]("x", 1), "a type may panic on its zero value")
	require.NoError(t, build[struct{ C strict }]("x", 1), "or refuse it")
}

func TestBuilder_Build_AllFaultsAtOnce(t *testing.T) {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "a", 1)
	codec.Register[ItemAdded](b, "b", 1)
	codec.Register[CartCheckedOut](b, "a", 1)
	codec.Register[tree](b, "", 0)
	registry, err := b.Build()
	require.Nil(t, registry)
	require.Equal(t, []string{
		`register codec_test.ItemAdded as "b" version 1: this Go type is registered already, as "a" version 1`,
		`register codec_test.CartCheckedOut as "a" version 1: this name and version are registered already, for codec_test.ItemAdded`,
		`register codec_test.tree as "" version 0: the name is empty`,
		`register codec_test.tree as "" version 0: versions start at 1`,
	}, strings.Split(err.Error(), "\n"))
}

func TestBuilder_Build_Tags(t *testing.T) {
	sku := func(e ItemAdded) []string { return []string{e.SKU} }
	b := codec.NewBuilder()
	codec.Register[CartCheckedOut](b, "a", 1, codec.Tags(sku))
	codec.Register[tree](b, "b", 1, codec.Tags[tree](nil))
	codec.Register[ItemAdded](b, "c", 1, codec.Tags(sku), codec.RegisterOption{}, codec.Tags(sku))
	_, err := b.Build()
	require.Error(t, err)
	require.Equal(t, []string{
		`register codec_test.CartCheckedOut as "a" version 1: its Tags take a codec_test.ItemAdded`,
		`register codec_test.tree as "b" version 1: its Tags have no function`,
		`register codec_test.ItemAdded as "c" version 1: it has two Tags`,
	}, strings.Split(err.Error(), "\n"))
}

func TestBuilder_Build_ManyVersionsOfAName(t *testing.T) {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "a", 1)
	codec.Register[CartCheckedOut](b, "a", 2)
	registry, err := b.Build()
	require.NoError(t, err)
	event, err := registry.Decode("a", 2, codec.JSON, []byte(`{}`))
	require.NoError(t, err)
	require.Equal(t, CartCheckedOut{}, event)
}

func TestBuilder_Build_IsNotChangedByLaterRegistrations(t *testing.T) {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "a", 1)
	first, err := b.Build()
	require.NoError(t, err)
	codec.Register[CartCheckedOut](b, "b", 1)
	second, err := b.Build()
	require.NoError(t, err)

	_, err = first.Encode(CartCheckedOut{})
	require.Error(t, err)
	_, err = second.Encode(CartCheckedOut{})
	require.NoError(t, err)
}

func TestBuilder_Build_LongNamesAreCut(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, long, 1)
	codec.Register[ItemAdded](b, "a", 1)
	codec.Rename(b, long, 2, long, 3)
	_, err := b.Build()
	require.ErrorContains(t, err, `as "xxx`)
	require.ErrorContains(t, err, `rename "xxx`)
	require.Less(t, len(err.Error()), 4_000)

	registry := newRegistry(t)
	_, err = registry.DecodeAll(long, 1, codec.JSON, nil)
	require.ErrorContains(t, err, "xxx…")
	require.Less(t, len(err.Error()), 1_000)
	_, err = registry.DecodeAll("cart.item-added", 1, long, nil)
	require.ErrorContains(t, err, "xxx…")
	require.Less(t, len(err.Error()), 1_000)
}
