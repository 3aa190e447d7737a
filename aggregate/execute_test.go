package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

func TestRepository_Execute(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	ctx := eventstore.WithActor(eventstore.WithCorrelationID(t.Context(), "c-1"), "ann")
	execute(t, r, ctx, "1", count{Name: "a", N: 1})
	result := execute(t, r, ctx, "1", count{Name: "b", N: 2, Times: 2})

	require.Equal(t, tally{Counts: map[string]int{"a": 1, "b": 4}}, result.State)
	require.Equal(t, eventstore.Version(3), result.Version)
	require.Equal(t, []event{counted{Name: "b", N: 2}, counted{Name: "b", N: 2}}, result.Events)
	require.Equal(t, eventstore.Position(2), result.Receipt.First)
	require.Equal(t, eventstore.Position(3), result.Receipt.Last)
	require.False(t, result.Receipt.Repeated)

	events := logged(t, store)
	require.Len(t, events, 3)
	for _, e := range events {
		require.Equal(t, eventstore.StreamID("tally-1"), e.Stream)
		require.Equal(t, "tally.counted", e.Type)
		require.Equal(t, uint32(1), e.SchemaVersion)
		require.Equal(t, codec.JSON, e.Codec)
		require.Equal(t, eventstore.Metadata{eventstore.CorrelationID: "c-1", eventstore.Actor: "ann"}, e.Metadata)
	}
	require.Equal(t, []eventstore.Tag{"name:b"}, events[1].Tags)
	require.JSONEq(t, `{"name":"b","n":2}`, string(events[1].Data))
}

func TestRepository_Execute_Rejection(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 3})
	result, err := r.Execute(t.Context(), "1", count{Name: "a", N: bound})
	tooMany, ok := err.(*tooManyError) //nolint:errorlint // it must be the very error, not one that wraps it
	require.True(t, ok)
	require.Equal(t, 3, tooMany.Have)
	require.Equal(t, aggregate.Result[tally, event]{State: tally{Counts: map[string]int{"a": 3}}, Version: 1, Refused: true}, result)

	execute(t, r, t.Context(), "1", closeTally{})
	result, err = r.Execute(t.Context(), "1", closeTally{})
	require.True(t, err == errClosed) //nolint:errorlint // as above
	require.True(t, result.State.Closed)
	require.Equal(t, eventstore.Version(2), result.Version)
	require.Len(t, logged(t, store), 2)
}

func TestRepository_Execute_NothingToDo(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	result := execute(t, r, eventstore.WithCommandID(t.Context(), "k"), "1", count{Name: "a"})
	require.Equal(t, aggregate.Result[tally, event]{State: initial()}, result)
	require.Empty(t, logged(t, store))

	result = execute(t, r, eventstore.WithCommandID(t.Context(), "k"), "1", count{Name: "a", N: 1})
	require.False(t, result.Receipt.Repeated, "a decision without events is not remembered")
}

func TestRepository_Execute_WithoutCommandIDUsesNoKey(t *testing.T) {
	store := &intercepted{Store: newStore(t)}
	store.lookup = func(context.Context, string) (eventstore.Receipt, bool, error) {
		return eventstore.Receipt{}, false, errors.New("looked up")
	}
	store.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		require.Empty(t, c.Key)
		return store.Store.Append(ctx, c)
	}
	r := newRepository(t, store, nil)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
	_, err := r.Execute(t.Context(), "1", count{Name: "a", N: bound})
	var tooMany *tooManyError
	require.ErrorAs(t, err, &tooMany)
}

// raced is a store in which another program counts in the stream just before
// each of the first n appends.
func raced(t *testing.T, n int) *intercepted {
	s := &intercepted{Store: newStore(t)}
	s.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		if n > 0 {
			n--
			appendRaw(t, s.Store, c.Events[0].Stream, eventstore.NewEvent{
				Type: "tally.counted", SchemaVersion: 1, Codec: codec.JSON, Data: []byte(`{"name":"other","n":1}`),
			})
		}
		return s.Store.Append(ctx, c)
	}
	return s
}

func TestRepository_Execute_RetriesOnConflict(t *testing.T) {
	for _, conflicts := range []int{1, 2, 9} {
		store := raced(t, conflicts)
		result := execute(t, newRepository(t, store, nil), t.Context(), "1", count{Name: "a", N: 1})
		want := tally{Counts: map[string]int{"a": 1, "other": conflicts}}
		require.Equal(t, want, result.State, "a failed attempt's events never reach the state")
		require.Equal(t, eventstore.Version(conflicts+1), result.Version)
		loaded, version, err := newRepository(t, store, nil).Load(t.Context(), "1")
		require.NoError(t, err)
		require.Equal(t, want, loaded)
		require.Equal(t, result.Version, version)
	}
}

func TestRepository_Execute_RetryCanBeRejected(t *testing.T) {
	store := newStore(t)
	racing := &intercepted{Store: store}
	racing.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		appendRaw(t, store, "tally-1", eventstore.NewEvent{Type: "tally.closed", SchemaVersion: 2, Codec: codec.JSON, Data: []byte(`{}`)})
		return store.Append(ctx, c)
	}
	result, err := newRepository(t, racing, nil).Execute(t.Context(), "1", count{Name: "a", N: 1})
	require.ErrorIs(t, err, errClosed)
	require.Equal(t, tally{Counts: map[string]int{}, Closed: true}, result.State)
	require.Equal(t, eventstore.Version(1), result.Version)
}

func TestRepository_Execute_GivesUp(t *testing.T) {
	for attempts, opts := range map[int]*aggregate.Options{
		10: nil,
		1:  {MaxAttempts: 1},
		3:  {MaxAttempts: 3},
	} {
		result, err := newRepository(t, raced(t, math.MaxInt), opts).Execute(t.Context(), "1", count{Name: "a", N: 1})
		require.ErrorIs(t, err, eventstore.ErrConflict)
		var conflict *eventstore.ConflictError
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, eventstore.Version(attempts), conflict.Actual)
		require.ErrorContains(t, err, `execute aggregate_test.count on stream "tally-1": gave up after `+fmt.Sprint(attempts)+" attempts: ")
		require.Zero(t, result)
	}
}

func TestRepository_Execute_WaitsBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		execute(t, newRepository(t, raced(t, 1), nil), t.Context(), "1", count{Name: "a", N: 1})
		require.Zero(t, time.Since(begin), "the first retry is immediate")

		execute(t, newRepository(t, raced(t, 100), &aggregate.Options{MaxAttempts: 101}), t.Context(), "1", count{Name: "a", N: 1})
		require.Positive(t, time.Since(begin))
		require.Less(t, time.Since(begin), 100*128*time.Millisecond)
	})
}

func TestRepository_Execute_ContextEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		begin := time.Now()
		store := raced(t, math.MaxInt)
		_, err := newRepository(t, store, &aggregate.Options{MaxAttempts: math.MaxInt}).Execute(ctx, "1", count{Name: "a", N: 1})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, eventstore.ErrConflict, "one condition, one predicate")
		require.Equal(t, 50*time.Millisecond, time.Since(begin))
		for _, e := range logged(t, store.Store) {
			require.JSONEq(t, `{"name":"other","n":1}`, string(e.Data))
		}
	})
}

func TestRepository_Execute_ContextEndedBefore(t *testing.T) {
	store := newStore(t)
	ctx, cancel := context.WithCancel(eventstore.WithCommandID(t.Context(), "k"))
	cancel()
	_, err := newRepository(t, store, nil).Execute(ctx, "1", count{Name: "a", N: 1})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, logged(t, store))
}

func TestRepository_Execute_OtherErrorsAreWrapped(t *testing.T) {
	broken := errors.New("disk full")
	store := &intercepted{Store: newStore(t)}
	store.append = func(context.Context, eventstore.Commit) (eventstore.Receipt, error) {
		return eventstore.Receipt{}, broken
	}
	result, err := newRepository(t, store, nil).Execute(t.Context(), "1", count{Name: "a", N: 1})
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, `execute aggregate_test.count on stream "tally-1": disk full`)
	require.Zero(t, result)
}

type unregistered struct{}

func (unregistered) tallyEvent() {}

func TestRepository_Execute_UnregisteredEvent(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	for _, e := range []event{unregistered{}, &counted{}, nil} {
		_, err := r.Execute(t.Context(), "1", misbehave{Event: e})
		var unregistered *codec.UnregisteredTypeError
		require.ErrorAs(t, err, &unregistered)
	}
	require.Empty(t, logged(t, store))
}

func TestRepository_Execute_PanicReachesTheCaller(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	require.Panics(t, func() { _, _ = r.Execute(t.Context(), "1", nil) })
	require.Empty(t, logged(t, store))
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
}

func TestRepository_Execute_NoLostUpdate(t *testing.T) {
	const writers, each = 8, 25
	store := newStore(t)
	r := newRepository(t, store, &aggregate.Options{MaxAttempts: 10_000})
	versions := make([][]eventstore.Version, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range each {
				result, err := r.Execute(t.Context(), "1", count{Name: "a", N: 1})
				if err != nil {
					t.Error(err)
					return
				}
				if result.State.Counts["a"] != int(result.Version) {
					t.Errorf("state %v at version %d", result.State, result.Version)
				}
				versions[w] = append(versions[w], result.Version)
			}
		})
	}
	wg.Wait()
	state, version, err := r.Load(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, writers*each, state.Counts["a"])
	require.Equal(t, eventstore.Version(writers*each), version)
	seen := make(map[eventstore.Version]bool)
	for _, vs := range versions {
		for _, v := range vs {
			require.False(t, seen[v], "version %d was given to two commands", v)
			seen[v] = true
		}
	}
}
