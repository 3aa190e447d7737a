package aggregate_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// asked returns a repository and a counter of the calls of its Decide.
func asked(t *testing.T, store eventstore.Store) (*tallies, *atomic.Int32) {
	var n atomic.Int32
	d := decider()
	d.Decide = func(s tally, c command) ([]event, error) {
		n.Add(1)
		return decide(s, c)
	}
	r, err := aggregate.NewRepository(store, newRegistry(t), d, nil)
	require.NoError(t, err)
	return r, &n
}

func TestRepository_Execute_If(t *testing.T) {
	store := newStore(t)
	r, decisions := asked(t, store)
	result, err := r.Execute(t.Context(), "1", count{Name: "a", N: 1, Times: 3}, aggregate.If(0))
	require.NoError(t, err)
	require.Equal(t, eventstore.Version(3), result.Version)
	result, err = r.Execute(t.Context(), "1", count{Name: "a", N: 1}, aggregate.If(result.Version))
	require.NoError(t, err)
	require.Equal(t, eventstore.Version(4), result.Version)

	decisions.Store(0)
	for v, want := range map[eventstore.Version]eventstore.ConflictError{
		0:              {Position: 1, Type: "tally.counted"},
		3:              {Position: 4, Type: "tally.counted"},
		5:              {},
		math.MaxUint64: {},
	} {
		result, err := r.Execute(t.Context(), "1", count{Name: "a", N: 1}, aggregate.If(v))
		require.ErrorIs(t, err, eventstore.ErrConflict)
		require.ErrorIs(t, err, aggregate.ErrCondition)
		var conflict *eventstore.ConflictError
		require.ErrorAs(t, err, &conflict)
		want.Stream, want.Expected, want.Actual = "tally-1", eventstore.At(v), 4
		require.Equal(t, want, *conflict)
		require.Zero(t, result)
	}
	_, err = r.Execute(t.Context(), "2", count{Name: "a", N: 1}, aggregate.If(1))
	require.EqualError(t, err, `execute aggregate_test.count on stream "tally-2": the condition does not hold: conflict: stream "tally-2": expected version 1, has no events`)
	_, err = r.Execute(t.Context(), "1", count{Name: "a", N: 1}, aggregate.If(4), aggregate.If(3))
	require.ErrorIs(t, err, eventstore.ErrConflict, "all must hold")
	_, err = r.Execute(t.Context(), "1", count{Name: "a", N: 1}, aggregate.Condition{})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "condition 0 is the zero Condition: use aggregate.If")
	require.Zero(t, decisions.Load(), "nothing was decided")
	require.Len(t, logged(t, store), 4)

	result, err = r.Execute(t.Context(), "1", count{Name: "a", N: bound}, aggregate.If(4))
	require.Error(t, err)
	require.NotErrorIs(t, err, eventstore.ErrConflict)
	require.Equal(t, eventstore.Version(4), result.Version, "a refusal is one, at the version that it was judged by")
}

// An event that another program appends between the load and the append does not make the
// repository decide again.
func TestRepository_Execute_IfOvertaken(t *testing.T) {
	store := raced(t, 1)
	r, decisions := asked(t, store)
	_, err := r.Execute(t.Context(), "1", count{Name: "a", N: 1}, aggregate.If(0))
	require.EqualError(t, err, `execute aggregate_test.count on stream "tally-1": conflict: stream "tally-1": `+
		`expected no stream, is at version 1 (first conflicting event: position 1, type "tally.counted")`)
	require.EqualValues(t, 1, decisions.Load())
	require.Len(t, logged(t, store), 1)
}

func TestRepository_Execute_IfOfARepeatedCommand(t *testing.T) {
	ctx := eventstore.WithCommandID(t.Context(), "k")
	store := newStore(t)
	r, _ := asked(t, store)
	first, err := r.Execute(ctx, "1", count{Name: "a", N: 1}, aggregate.If(0))
	require.NoError(t, err)
	execute(t, r, t.Context(), "1", count{Name: "b", N: 1})
	again, err := r.Execute(ctx, "1", count{Name: "a", N: 1}, aggregate.If(0))
	require.NoError(t, err)
	require.True(t, again.Receipt.Repeated)
	again.Receipt.Repeated = false
	require.Equal(t, first, again)

	// Carried out by another program after it was looked up here: before the load, and
	// before the append.
	late, _ := blind(t)
	r, decisions := asked(t, late)
	_, err = r.Execute(ctx, "1", count{Name: "a", N: 1}, aggregate.If(0))
	require.NoError(t, err)
	again, err = r.Execute(ctx, "1", count{Name: "a", N: 1}, aggregate.If(0))
	require.NoError(t, err)
	require.True(t, again.Receipt.Repeated)
	require.EqualValues(t, 1, decisions.Load())

	racing := &intercepted{Store: newStore(t)}
	r, _ = asked(t, racing)
	racing.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		_, err := racing.Store.Append(ctx, c)
		require.NoError(t, err)
		return racing.Store.Append(ctx, c)
	}
	again, err = r.Execute(ctx, "1", count{Name: "a", N: 1}, aggregate.If(0))
	require.NoError(t, err)
	require.True(t, again.Receipt.Repeated)
}

// If the store cannot return the event that breaks the condition, the command ends with the
// store's error.
func TestRepository_Execute_IfUnreadable(t *testing.T) {
	store := newStore(t)
	execute(t, newRepository(t, store, nil), t.Context(), "1", count{Name: "a", N: 1})
	broken := errors.New("broken")
	r := newRepository(t, &unreadable{Store: store, err: broken}, nil)
	_, err := r.Execute(t.Context(), "1", count{Name: "a", N: 1}, aggregate.If(0))
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, eventstore.ErrConflict)
}

// unreadable is a store that fails where a version is asked for.
type unreadable struct {
	eventstore.Store
	err error
}

func (s *unreadable) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	if opts.FromVersion > 0 {
		return func(yield func(eventstore.Event, error) bool) { yield(eventstore.Event{}, s.err) }
	}
	return s.Store.Read(ctx, q, opts)
}

func TestRepository_Execute_IfOneOfManyWins(t *testing.T) {
	const callers, rounds = 8, 20
	store, err := boltstore.Open(filepath.Join(t.TempDir(), "log.yore"), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	for _, r := range []*tallies{newRepository(t, store, nil), newRepository(t, newStore(t), &aggregate.Options{MaxAttempts: 1})} {
		for v := range eventstore.Version(rounds) {
			var won, lost atomic.Int32
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					switch result, err := r.Execute(t.Context(), "1", count{Name: "a", N: 1}, aggregate.If(v)); {
					case err == nil && result.Version == v+1:
						won.Add(1)
					case errors.Is(err, eventstore.ErrConflict):
						lost.Add(1)
					default:
						t.Errorf("version %d, error %v", result.Version, err)
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, 1, won.Load())
			require.EqualValues(t, callers-1, lost.Load())
		}
	}
}

func TestExecuteAll_If(t *testing.T) {
	store := newStore(t)
	r, decisions := asked(t, store)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
	var one, two result
	_, err := aggregate.ExecuteAll(t.Context(),
		r.Part(t.Context(), "1", count{Name: "a", N: 1, Times: 2}, &one, aggregate.If(1)),
		r.Part(t.Context(), "2", count{Name: "b", N: 1}, &two, aggregate.If(0)),
		r.Part(t.Context(), "1", count{Name: "c", N: 1}, nil, aggregate.If(1)))
	require.NoError(t, err)
	require.Equal(t, eventstore.Version(4), one.Version)
	require.Equal(t, eventstore.Version(1), two.Version)

	decisions.Store(0)
	_, err = aggregate.ExecuteAll(t.Context(),
		r.Part(t.Context(), "2", count{Name: "b", N: 1}, nil),
		r.Part(t.Context(), "1", count{Name: "a", N: 1}, nil, aggregate.If(3)))
	var blamed *aggregate.BatchError
	require.ErrorAs(t, err, &blamed)
	require.Equal(t, 1, blamed.Index)
	var conflict *eventstore.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, eventstore.ConflictError{
		Stream: "tally-1", Expected: eventstore.At(3), Actual: 4, Position: 5, Type: "tally.counted",
	}, *conflict)
	require.EqualValues(t, 1, decisions.Load(), "the part before it only, and once")
	require.Len(t, logged(t, store), 5)

	_, err = aggregate.ExecuteAll(t.Context(), r.Part(t.Context(), "1", closeTally{}, nil, aggregate.Condition{}))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorAs(t, err, &blamed)
}

func TestExecuteAll_IfOvertakenAndRepeated(t *testing.T) {
	store := raced(t, 1)
	r := newRepository(t, store, nil)
	_, err := aggregate.ExecuteAll(t.Context(), r.Part(t.Context(), "1", count{Name: "a", N: 1}, nil, aggregate.If(0)))
	var blamed *aggregate.BatchError
	require.ErrorAs(t, err, &blamed)
	require.ErrorIs(t, err, eventstore.ErrConflict)
	require.Len(t, logged(t, store), 1)

	ctx := eventstore.WithCommandID(t.Context(), "k")
	for range 2 {
		_, err := aggregate.ExecuteAll(ctx, r.Part(ctx, "1", count{Name: "a", N: 1}, nil, aggregate.If(1)))
		require.NoError(t, err)
	}
	require.Len(t, logged(t, store), 2)
}
