package doctor_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/codec/doctor"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

type (
	added struct {
		SKU string `json:"sku"`
	}
	removed struct{}
)

func newRegistry(t testing.TB) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[added](b, "added", 2,
		codec.Tags(func(e added) []string { return []string{"sku:" + e.SKU, "item:" + e.SKU[:1]} }))
	codec.Register[removed](b, "removed", 1)
	codec.Rename(b, "put", 1, "added", 2)
	codec.Upcast(b, "added", 1, func(m map[string]any) added { return added{SKU: m["product"].(string)} })
	codec.Split(b, "replaced", 1, func(e added) []any { return []any{removed{}, e} }, removed{}, added{})
	codec.Drop(b, "seen", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

// newStore returns a store with these events, each "name version data tag…".
func newStore(t testing.TB, events ...string) *memstore.Store {
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	for _, e := range events {
		fields := strings.Fields(e)
		event := eventstore.NewEvent{Type: fields[0], Codec: codec.JSON, Data: []byte(fields[2])}
		_, err := fmt.Sscan(fields[1], &event.SchemaVersion)
		require.NoError(t, err)
		for _, tag := range fields[3:] {
			event.Tags = append(event.Tags, eventstore.Tag(tag))
		}
		_, err = store.Append(t.Context(), eventstore.Commit{Events: []eventstore.NewEvent{event}})
		require.NoError(t, err)
	}
	return store
}

func mixed(t testing.TB) *memstore.Store {
	return newStore(t,
		`added 2 {"sku":"a1"} item:a sku:a1`,
		`added 2 {"sku":7} sku:a1`,
		`put 1 {"sku":"a1"} sku:a1`,
		`put 1 {"sku":"b1"} sku:b1 item:b`,
		`added 1 {"product":"c1"} other`,
		`added 1 {}`,
		`seen 1 x`,
		`replaced 1 {"sku":"d1"} sku:d1 item:d extra`,
		`gone 3 {}`,
		`gone 3 {}`,
		`added 9 {}`,
		`added 2 {"sku":""}`)
}

func TestExamine(t *testing.T) {
	report, err := doctor.Examine(t.Context(), mixed(t), newRegistry(t), &doctor.Options{Examples: 1})
	require.NoError(t, err)
	at := func(p eventstore.Position, reason string) []doctor.Example {
		return []doctor.Example{{Position: p, Reason: reason}}
	}
	undecodable := report.Undecodable
	report.Undecodable = nil
	require.Equal(t, doctor.Report{
		Through: 12, Events: 12,
		Unknown: []doctor.Finding{
			{"added", 9, 1, at(11, `unknown version 9 of event type "added": known are [1 2]`)},
			{"gone", 3, 2, at(9, `unknown event type "gone" (version 3): the name is not registered`)},
		},
		Upcast: []doctor.Finding{
			{"added", 1, 1, at(5, `becomes "added" version 2`)},
			{"put", 1, 2, at(3, `becomes "added" version 2`)},
			{"replaced", 1, 1, at(8, `becomes "removed" version 1, "added" version 2`)},
			{"seen", 1, 1, at(7, "is dropped")},
		},
		Retagged: []doctor.Finding{
			{"added", 1, 1, at(5, `has ["other"], would have ["item:c" "sku:c1"]`)},
			{"added", 2, 1, at(12, `encode doctor_test.added as "added" version 2: panic: runtime error: slice bounds out of range [:1] with length 0`)},
			{"put", 1, 1, at(3, `lacks ["item:a"]`)},
			{"replaced", 1, 1, at(8, `has ["extra"], would not`)},
		},
	}, report)
	require.Len(t, undecodable, 2)
	require.Equal(t, uint32(1), undecodable[0].Version)
	require.Equal(t, eventstore.Position(6), undecodable[0].Examples[0].Position)
	require.Contains(t, undecodable[0].Examples[0].Reason, `upcast "added" version 1: panic: `)
	require.Equal(t, eventstore.Position(2), undecodable[1].Examples[0].Position)
	require.Contains(t, undecodable[1].Examples[0].Reason, "cannot unmarshal number")
}

func TestExamine_BoundedExamples(t *testing.T) {
	var events []string
	for range 20 {
		events = append(events, `gone 1 {}`)
	}
	store := newStore(t, events...)
	for examples, want := range map[int]int{0: 5, 3: 3, 100: 20} {
		report, err := doctor.Examine(t.Context(), store, newRegistry(t), &doctor.Options{Examples: examples})
		require.NoError(t, err)
		require.Len(t, report.Unknown, 1)
		require.Equal(t, uint64(20), report.Unknown[0].Events)
		require.Len(t, report.Unknown[0].Examples, want)
		require.Equal(t, eventstore.Position(1), report.Unknown[0].Examples[0].Position, "the first ones")
	}
}

func TestExamine_Query(t *testing.T) {
	report, err := doctor.Examine(t.Context(), mixed(t), newRegistry(t), &doctor.Options{
		Query: eventstore.Match(eventstore.Item{Types: []string{"put"}}),
	})
	require.NoError(t, err)
	require.Equal(t, uint64(2), report.Events)
	require.Equal(t, eventstore.Position(12), report.Through)

	report, err = doctor.Examine(t.Context(), newStore(t), newRegistry(t), nil)
	require.NoError(t, err)
	require.Zero(t, report, "an empty log")
}

func TestExamine_Faults(t *testing.T) {
	_, err := doctor.Examine(t.Context(), nil, nil, &doctor.Options{Query: eventstore.Match(), Examples: -1})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	for _, fault := range []string{"the store is nil", "the registry is nil", "-1 examples are negative", "zero Query"} {
		require.ErrorContains(t, err, fault)
	}
	var none *memstore.Store
	_, err = doctor.Examine(t.Context(), none, newRegistry(t), nil)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "the store is a nil *memstore.Store")
	store := newStore(t)
	require.NoError(t, store.Close())
	_, err = doctor.Examine(t.Context(), store, newRegistry(t), nil)
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

// damaged ends every Read after two events.
type damaged struct{ eventstore.Store }

func (d damaged) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		n := 0
		for e, err := range d.Store.Read(ctx, q, opts) {
			if n++; n > 2 {
				yield(eventstore.Event{}, &eventstore.CorruptError{Position: e.Position, Reason: "checksum"})
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func TestExamine_ErrorOfReading(t *testing.T) {
	report, err := doctor.Examine(t.Context(), damaged{mixed(t)}, newRegistry(t), nil)
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.ErrorContains(t, err, "after position 2")
	require.Equal(t, uint64(2), report.Events)
	require.Equal(t, eventstore.Position(2), report.Through)
	require.Len(t, report.Undecodable, 1)
}
