package fold_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
)

// notePair is a shape of the past.
type notePair struct{ First, Second string }

// newNames is the registry of a program that has renamed note.written, takes a
// note.pair for several events, and drops note.seen.
func newNames(t testing.TB) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[noted](b, "noted", 1, untagged[noted]())
	codec.Register[erased](b, "erased", 1)
	codec.Register[stray](b, "stray", 1)
	codec.Rename(b, "note.written", 1, "noted", 1)
	codec.Split(b, "note.pair", 1, func(old notePair) []any {
		return []any{noted{old.First}, stray{}, erased{}, noted{old.Second}}
	}, noted{}, erased{}, stray{})
	codec.Drop(b, "note.seen", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

// oldNotes is a log of old events, with a new one at its end.
func oldNotes(t testing.TB) *memstore.Store {
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	add(t, store, "x-1", "note.written", 1, `{"Text":"a"}`)
	add(t, store, "x-1", "note.seen", 1, `{}`)
	add(t, store, "x-1", "note.pair", 1, `{"First":"b","Second":"c"}`)
	add(t, store, "x-1", "note.written", 1, `{"Text":"d"}`, "red")
	add(t, store, "x-2", "noted", 1, `{"Text":"e"}`)
	return store
}

// TestFold_Run_QueryInNamesOfToday: a query names types as they are registered today. It is
// matched against the decoded event, not the stored one.
func TestFold_Run_QueryInNamesOfToday(t *testing.T) {
	type item = eventstore.Item
	store, registry := oldNotes(t), newNames(t)
	for name, c := range map[string]struct {
		query eventstore.Query
		want  journal
	}{
		"a renamed type":      {eventstore.Match(item{Types: []string{"noted"}}), journal{"1 a", "3 b", "3 c", "4 d", "5 e"}},
		"one part of a split": {eventstore.Match(item{Types: []string{"erased"}}), journal{"3 erased"}},
		"tags, as stored":     {eventstore.Match(item{Types: []string{"noted"}, Tags: []eventstore.Tag{"red"}}), journal{"4 d"}},
		"a stream":            {eventstore.Stream("x-2"), journal{"5 e"}},
		"a type in a stream, another everywhere": {eventstore.Match(
			item{Types: []string{"noted"}, Streams: []eventstore.StreamID{"x-2"}}, item{Types: []string{"erased"}}), journal{"3 erased", "5 e"}},
	} {
		j, through, err := newJournal().Run(t.Context(), store, registry, &fold.Options{Query: c.query})
		require.NoError(t, err, name)
		require.Equal(t, c.want, j, name)
		require.Equal(t, eventstore.Position(5), through)
	}
	_, _, err := newJournal().Run(t.Context(), store, registry,
		&fold.Options{Query: eventstore.Match(item{Types: []string{"noted", "note.written"}})})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, `the query names "note.written", which upcasters make into "noted": use that name`)
}
