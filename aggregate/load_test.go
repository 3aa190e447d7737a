package aggregate_test

import (
	"context"
	"iter"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

func TestRepository_Load(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	state, version, err := r.Load(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, initial(), state, "an unknown aggregate has the initial state")
	require.Zero(t, version)

	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 2})
	execute(t, r, t.Context(), "10", count{Name: "a", N: 100})
	execute(t, r, t.Context(), "1", count{Name: "b", N: 5})
	state, version, err = r.Load(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, tally{Counts: map[string]int{"a": 2, "b": 5}}, state)
	require.Equal(t, eventstore.Version(3), version)
}

func TestRepository_LoadAt(t *testing.T) {
	r := newRepository(t, newStore(t), nil)
	for range 3 {
		execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
		execute(t, r, t.Context(), "2", count{Name: "a", N: 1})
	}
	for version := range eventstore.Version(4) {
		state, err := r.LoadAt(t.Context(), "1", version)
		require.NoError(t, err)
		require.Equal(t, int(version), state.Counts["a"])
	}
	for _, version := range []eventstore.Version{4, math.MaxUint64} {
		_, err := r.LoadAt(t.Context(), "1", version)
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, `load stream "tally-1" at version `)
		require.ErrorContains(t, err, "the stream is at version 3")
	}
	_, err := r.LoadAt(t.Context(), "unknown", 1)
	require.ErrorContains(t, err, "the stream is at version 0")
}

func TestRepository_LoadAsOf(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	begin := now
	store := memstore.New(&memstore.Options{Clock: func() time.Time { return now }})
	r := newRepository(t, store, nil)
	for range 3 {
		now = now.Add(time.Hour)
		execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
	}
	for after, want := range map[time.Duration]int{
		0:                           0,
		time.Hour - time.Nanosecond: 0,
		time.Hour:                   1,
		2 * time.Hour:               2,
		72 * time.Hour:              3,
	} {
		state, version, err := r.LoadAsOf(t.Context(), "1", begin.Add(after))
		require.NoError(t, err)
		require.Equal(t, want, state.Counts["a"], after)
		require.Equal(t, eventstore.Version(want), version)
	}
	_, _, err := r.LoadAsOf(t.Context(), "1", time.Time{})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

func TestRepository_Load_UnknownEventType(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
	appendRaw(t, store, "tally-1", eventstore.NewEvent{Type: "tally.counted", SchemaVersion: 9, Codec: codec.JSON, Data: []byte(`{}`)})

	_, _, err := r.Load(t.Context(), "1")
	var unknown *codec.UnknownTypeError
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, `load stream "tally-1": position 2: `)
	_, err = r.Execute(t.Context(), "1", count{Name: "a", N: 1})
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, `execute aggregate_test.count on stream "tally-1": position 2: `)
	_, err = r.LoadAt(t.Context(), "1", 1)
	require.NoError(t, err, "what came before can be loaded")
}

func TestRepository_Load_EventThatIsNotOne(t *testing.T) {
	store := newStore(t)
	appendRaw(t, store, "tally-1", eventstore.NewEvent{Type: "foreign", SchemaVersion: 1, Codec: codec.JSON, Data: []byte(`{}`)})
	_, _, err := newRepository(t, store, nil).Load(t.Context(), "1")
	require.EqualError(t, err, `load stream "tally-1": position 1: event type "foreign" version 1 is aggregate_test.foreign, `+
		`which is not a aggregate_test.event`)
}

func TestRepository_Load_BadData(t *testing.T) {
	store := newStore(t)
	appendRaw(t, store, "tally-1", eventstore.NewEvent{Type: "tally.counted", SchemaVersion: 1, Codec: codec.JSON, Data: []byte(`{"n":`)})
	_, _, err := newRepository(t, store, nil).Load(t.Context(), "1")
	require.ErrorContains(t, err, `load stream "tally-1": position 1: decode `)
}

// gappy leaves the second event of each read out.
type gappy struct{ eventstore.Store }

func (s gappy) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		n := 0
		for e, err := range s.Store.Read(ctx, q, opts) {
			if n++; n != 2 && !yield(e, err) {
				return
			}
		}
	}
}

func TestRepository_Load_VersionsAreDense(t *testing.T) {
	store := newStore(t)
	execute(t, newRepository(t, store, nil), t.Context(), "1", count{Name: "a", N: 1, Times: 3})
	_, _, err := newRepository(t, gappy{store}, nil).Load(t.Context(), "1")
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, eventstore.Position(3), corrupt.Position)
	require.ErrorContains(t, err, `load stream "tally-1"`)
}

func TestRepository_Load_ContextAndClose(t *testing.T) {
	store := memstore.New(nil)
	r := newRepository(t, store, nil)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := r.Load(ctx, "1")
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, store.Close())
	_, _, err = r.Load(t.Context(), "1")
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

func TestRepository_History(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	happened := time.Date(2011, 12, 9, 12, 50, 0, 0, time.UTC)
	ctx := eventstore.WithActor(eventstore.WithTime(t.Context(), happened), "ann")
	execute(t, r, ctx, "1", count{Name: "a", N: 1, Times: 2})
	execute(t, r, t.Context(), "2", count{Name: "b", N: 1})
	execute(t, r, t.Context(), "1", closeTally{})

	history := r.History(t.Context(), "1")
	for range 2 {
		var data []event
		for e, err := range history {
			require.NoError(t, err)
			data = append(data, e.Data)
			require.EqualValues(t, len(data), e.Version)
			require.Equal(t, e.Version < 3, e.Time.Equal(happened), "the time that the context carried")
			require.Equal(t, e.Version < 3, e.Metadata.Actor() == "ann")
		}
		require.Equal(t, []event{counted{Name: "a", N: 1}, counted{Name: "a", N: 1}, closed{}}, data)
	}
	for e, err := range r.History(t.Context(), "unknown") {
		t.Fatalf("an aggregate that has no events has %v (%v)", e, err)
	}
	for _, err := range r.History(t.Context(), "") {
		require.ErrorIs(t, err, eventstore.ErrInvalid)
	}
	appendRaw(t, store, "tally-1", eventstore.NewEvent{Type: "unheard of"})
	var last error
	for e, err := range r.History(t.Context(), "1") {
		if last = err; err != nil {
			require.Zero(t, e)
		}
	}
	require.ErrorContains(t, last, `history of stream "tally-1": position 5`)
}
