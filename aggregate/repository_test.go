package aggregate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

func TestNewRepository_AllFaultsAtOnce(t *testing.T) {
	_, err := aggregate.NewRepository(nil, nil, aggregate.Decider[tally, command, event]{}, &aggregate.Options{MaxAttempts: -1})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	for _, fault := range []string{
		"store is nil", "registry is nil", "Decide is nil", "Evolve is nil", "Category is empty", "MaxAttempts is negative",
	} {
		require.ErrorContains(t, err, fault)
	}
}

// A variable of the store's type that was never set is no store, though the interface
// that it is passed as is not nil.
func TestNew_NilPointerAsStore(t *testing.T) {
	var store *memstore.Store
	_, err := aggregate.NewRepository(store, newRegistry(t), decider(), &aggregate.Options{Snapshots: &aggregate.Snapshots{Fingerprint: "1"}})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "the store is a nil *memstore.Store")
	_, err = aggregate.NewDecisions(store, newRegistry(t), nil)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "the store is a nil *memstore.Store")
}

func TestNewRepository_Category(t *testing.T) {
	for category, fault := range map[string]string{
		"":                       "is empty",
		"a-b":                    "contains a dash",
		"a\x00":                  "contains NUL",
		"\xff":                   "is not UTF-8",
		strings.Repeat("x", 254): "has 254 bytes, at most 253",
	} {
		d := decider()
		d.Category = category
		_, err := aggregate.NewRepository(newStore(t), newRegistry(t), d, nil)
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, "Category "+fault)
	}
	d := decider()
	d.Category = strings.Repeat("x", 253)
	r, err := aggregate.NewRepository(newStore(t), newRegistry(t), d, nil)
	require.NoError(t, err)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
}

type pointerEvent struct{}

func (*pointerEvent) tallyEvent() {}

func TestNewRepository_NoEventsRegistered(t *testing.T) {
	b := codec.NewBuilder()
	codec.Register[foreign](b, "foreign", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	_, err = aggregate.NewRepository(newStore(t), registry, decider(), nil)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "the event type aggregate_test.event: no registered type implements it")

	codec.Register[pointerEvent](b, "pointer", 1)
	registry, err = b.Build()
	require.NoError(t, err)
	_, err = aggregate.NewRepository(newStore(t), registry, decider(), nil)
	require.ErrorContains(t, err, "aggregate_test.pointerEvent does as a pointer only")

	concrete := aggregate.Decider[int, int, counted]{
		Category: "n",
		Decide:   func(int, int) ([]counted, error) { return nil, nil },
		Evolve:   func(n int, _ counted) int { return n },
	}
	_, err = aggregate.NewRepository(newStore(t), registry, concrete, nil)
	require.ErrorContains(t, err, "the event type aggregate_test.counted: Go type aggregate_test.counted is not registered")
	_, err = aggregate.NewRepository(newStore(t), newRegistry(t), concrete, nil)
	require.NoError(t, err)
}

func TestRepository_Stream(t *testing.T) {
	r := newRepository(t, newStore(t), nil)
	require.Equal(t, eventstore.StreamID("tally-7"), r.Stream("7"))
	require.Equal(t, eventstore.StreamID("tally-a-b"), r.Stream("a-b"))
	require.Equal(t, "tally", r.Stream("a-b").Category())
}

func TestRepository_EmptyID(t *testing.T) {
	r := newRepository(t, newStore(t), nil)
	_, err := r.Execute(t.Context(), "", count{Name: "a", N: 1})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, _, err = r.Load(t.Context(), "")
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, err = r.LoadAt(t.Context(), "", 0)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

func TestRepository_IDsThatCannotBe(t *testing.T) {
	r := newRepository(t, newStore(t), nil)
	_, err := r.Execute(t.Context(), "a\x00", count{Name: "a", N: 1})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, err = r.Execute(t.Context(), strings.Repeat("x", 256), count{Name: "a", N: 1})
	require.ErrorIs(t, err, eventstore.ErrTooLarge)
}
