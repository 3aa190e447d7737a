package aggregate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

// upcastRegistry reads what was stored before there was a counted: pairs that
// were counted together, single ones, and looks, which count nothing.
func upcastRegistry(t testing.TB) *codec.Registry {
	type pair struct{ A, B string }
	b := codec.NewBuilder()
	codec.Register[counted](b, "tally.counted", 2)
	codec.Register[closed](b, "tally.closed", 2)
	codec.Register[foreign](b, "foreign", 1)
	codec.Rename(b, "tally.ticked", 1, "tally.counted", 1)
	codec.Upcast(b, "tally.counted", 1, func(old struct{ Name string }) counted { return counted{Name: old.Name, N: 1} })
	codec.Split(b, "tally.paired", 1, func(old pair) []any {
		return []any{counted{Name: old.A, N: 1}, counted{Name: old.B, N: 2}}
	}, counted{})
	codec.Drop(b, "tally.seen", 1)
	codec.Upcast(b, "tally.strange", 1, func(map[string]any) foreign { return foreign{} })
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

// stored returns an event as it was written in the past, in version 1.
func stored(name, data string) eventstore.NewEvent {
	return eventstore.NewEvent{Type: name, SchemaVersion: 1, Codec: codec.JSON, Data: []byte(data)}
}

// upcastTallies returns tallies over a store in which tally 1 has six events. Two of them
// are split, and two are dropped.
func upcastTallies(t testing.TB) (*tallies, eventstore.Store) {
	store := newStore(t)
	appendRaw(t, store, "tally-1",
		stored("tally.ticked", `{"name":"a"}`),
		stored("tally.seen", `{}`),
		stored("tally.paired", `{"a":"b","b":"c"}`),
		stored("tally.counted", `{"name":"a"}`),
		stored("tally.paired", `{"a":"a","b":"d"}`),
		stored("tally.seen", `{}`))
	r, err := aggregate.NewRepository(store, upcastRegistry(t), decider(), nil)
	require.NoError(t, err)
	return r, store
}

func TestRepository_Load_Upcasts(t *testing.T) {
	r, _ := upcastTallies(t)
	state, version, err := r.Load(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, tally{Counts: map[string]int{"a": 3, "b": 1, "c": 2, "d": 2}}, state)
	require.Equal(t, eventstore.Version(6), version, "of what is stored: the last event is dropped, and counts")

	for version, want := range []map[string]int{{}, {"a": 1}, {"a": 1}, {"a": 1, "b": 1, "c": 2}} {
		state, err := r.LoadAt(t.Context(), "1", eventstore.Version(version))
		require.NoError(t, err)
		require.Equal(t, want, state.Counts)
	}
}

func TestRepository_History_Upcasts(t *testing.T) {
	r, _ := upcastTallies(t)
	type seen struct {
		Version eventstore.Version
		Type    string
		Data    event
	}
	var all []seen
	for e, err := range r.History(t.Context(), "1") {
		require.NoError(t, err)
		all = append(all, seen{e.Version, e.Type, e.Data})
	}
	require.Equal(t, []seen{
		{1, "tally.ticked", counted{"a", 1}},
		{3, "tally.paired", counted{"b", 1}},
		{3, "tally.paired", counted{"c", 2}},
		{4, "tally.counted", counted{"a", 1}},
		{5, "tally.paired", counted{"a", 1}},
		{5, "tally.paired", counted{"d", 2}},
	}, all)
	for e, err := range r.History(t.Context(), "1") {
		require.NoError(t, err)
		if e.Version == 3 {
			break // after the first of its parts
		}
	}
}

// TestRepository_Execute_Upcasts: the expected version counts the stored events, not the
// events that they are decoded to.
func TestRepository_Execute_Upcasts(t *testing.T) {
	r, store := upcastTallies(t)
	ctx := eventstore.WithCommandID(t.Context(), "count-1")
	for _, repeated := range []bool{false, true} {
		result, err := r.Execute(ctx, "1", count{Name: "a", N: 5})
		require.NoError(t, err)
		require.Equal(t, repeated, result.Receipt.Repeated)
		require.Equal(t, eventstore.Version(7), result.Version)
		require.Equal(t, []event{counted{"a", 5}}, result.Events)
		require.Equal(t, 8, result.State.Counts["a"])
	}
	log := logged(t, store)
	require.Len(t, log, 7)
	require.Equal(t, "tally.counted", log[6].Type)
	require.Equal(t, uint32(2), log[6].SchemaVersion)
}

// TestRepository_Execute_RepeatedOverAnUpcastCommit: a command that was carried
// out before its events were renamed, split or dropped is answered as of then.
func TestRepository_Execute_RepeatedOverAnUpcastCommit(t *testing.T) {
	r, store := upcastTallies(t)
	commit := eventstore.Commit{
		Key:    "old",
		Events: []eventstore.NewEvent{stored("tally.seen", `{}`), stored("tally.paired", `{"a":"x","b":"y"}`)},
		Expect: []eventstore.Expect{{Stream: "tally-1", At: eventstore.At(6)}},
	}
	for i := range commit.Events {
		commit.Events[i].Stream = "tally-1"
	}
	_, err := store.Append(t.Context(), commit)
	require.NoError(t, err)
	execute(t, r, t.Context(), "1", count{Name: "x", N: 9})
	result, err := r.Execute(eventstore.WithCommandID(t.Context(), "old"), "1", count{Name: "x", N: 7})
	require.NoError(t, err)
	require.True(t, result.Receipt.Repeated)
	require.Equal(t, []event{counted{"x", 1}, counted{"y", 2}}, result.Events)
	require.Equal(t, eventstore.Version(8), result.Version)
	require.Equal(t, 1, result.State.Counts["x"])
}

func TestRepository_Load_UpcastToWhatIsNoEvent(t *testing.T) {
	r, store := upcastTallies(t)
	appendRaw(t, store, "tally-2", stored("tally.strange", `{}`))
	_, _, err := r.Load(t.Context(), "2")
	require.ErrorContains(t, err, `load stream "tally-2": position 7: event type "tally.strange" version 1 is aggregate_test.foreign, which is not a aggregate_test.event`)
	appendRaw(t, store, "tally-3", stored("tally.paired", `[]`))
	_, _, err = r.Load(t.Context(), "3")
	require.ErrorContains(t, err, `position 8: decode "tally.paired" version 1: split "tally.paired" version 1: decode into `)
}
