package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
)

func TestRepository_Execute_RepeatedCommand(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	ctx := eventstore.WithCommandID(t.Context(), "k-1")
	execute(t, r, t.Context(), "1", count{Name: "before", N: 1})
	first := execute(t, r, ctx, "1", count{Name: "a", N: 1, Times: 2})
	execute(t, r, t.Context(), "1", count{Name: "after", N: 1})
	execute(t, r, t.Context(), "1", closeTally{})

	again := execute(t, r, ctx, "1", count{Name: "a", N: 1, Times: 2}) // refused by now
	require.True(t, again.Receipt.Repeated)
	again.Receipt.Repeated = false
	require.Equal(t, first, again, "state, version and events as of then")
	require.Equal(t, map[string]int{"before": 1, "a": 2}, again.State.Counts)
	require.Len(t, logged(t, store), 5)
	require.Equal(t, "k-1", logged(t, store)[1].Metadata.CommandID())
}

func TestRepository_Execute_RejectionIsNotRemembered(t *testing.T) {
	r := newRepository(t, newStore(t), nil)
	ctx := eventstore.WithCommandID(t.Context(), "k")
	_, err := r.Execute(ctx, "1", count{Name: "a", N: bound + 1})
	require.Error(t, err)
	result := execute(t, r, ctx, "1", count{Name: "a", N: 1})
	require.False(t, result.Receipt.Repeated)
}

func TestRepository_Execute_OneCommandIDForTwoStreams(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	ctx := eventstore.WithCommandID(t.Context(), "k-1")
	execute(t, r, ctx, "1", count{Name: "a", N: 1})
	result, err := r.Execute(ctx, "2", count{Name: "a", N: 1})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	for _, part := range []string{`"k-1"`, `"tally-1"`, `"tally-2"`} {
		require.ErrorContains(t, err, part)
	}
	require.Zero(t, result)
	require.Len(t, logged(t, store), 1)
}

func TestRepository_Execute_CommandIDOfACommitWithoutStream(t *testing.T) {
	store := newStore(t)
	_, err := store.Append(t.Context(), eventstore.Commit{Key: "k", Events: []eventstore.NewEvent{{Type: "x"}}})
	require.NoError(t, err)
	_, err = newRepository(t, store, nil).Execute(eventstore.WithCommandID(t.Context(), "k"), "1", count{Name: "a", N: 1})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "wrote to no stream")
}

func TestRepository_Execute_CommandIDThatCannotBe(t *testing.T) {
	r := newRepository(t, newStore(t), nil)
	_, err := r.Execute(eventstore.WithCommandID(t.Context(), "a\x00"), "1", count{Name: "a", N: 1})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, err = r.Execute(eventstore.WithCommandID(t.Context(), strings.Repeat("x", 256)), "1", count{Name: "a", N: 1})
	require.ErrorIs(t, err, eventstore.ErrTooLarge)
}

// A commit that wrote more than this aggregate: the answer is this stream's part.
func TestRepository_Execute_RepeatOfACommitOfTwoStreams(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
	write := func(stream eventstore.StreamID, n int) eventstore.NewEvent {
		return eventstore.NewEvent{
			Stream: stream, Type: "tally.counted", SchemaVersion: 1, Codec: "json", Data: fmt.Appendf(nil, `{"name":"a","n":%d}`, n),
		}
	}
	_, err := store.Append(t.Context(), eventstore.Commit{
		Key:    "k",
		Events: []eventstore.NewEvent{write("tally-1", 2), write("tally-2", 3), write("tally-1", 4), write("tally-2", 5)},
		Expect: []eventstore.Expect{{Stream: "tally-1", At: eventstore.Any}, {Stream: "tally-2", At: eventstore.Any}},
	})
	require.NoError(t, err)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 100})

	result := execute(t, r, eventstore.WithCommandID(t.Context(), "k"), "1", count{Name: "a", N: 6})
	require.True(t, result.Receipt.Repeated)
	require.Equal(t, eventstore.Version(3), result.Version)
	require.Equal(t, 7, result.State.Counts["a"])
	require.Equal(t, []event{counted{Name: "a", N: 2}, counted{Name: "a", N: 4}}, result.Events)
}

// blind is a store whose first two lookups find nothing, as if another program
// carried out the command just after the second.
func blind(t *testing.T) (*intercepted, *atomic.Int32) {
	var lookups atomic.Int32
	s := &intercepted{Store: newStore(t)}
	s.lookup = func(ctx context.Context, key string) (eventstore.Receipt, bool, error) {
		if lookups.Add(1) <= 2 {
			return eventstore.Receipt{}, false, nil
		}
		return s.Store.Lookup(ctx, key)
	}
	return s, &lookups
}

func TestRepository_Execute_LooksAgainBeforeRejecting(t *testing.T) {
	store, lookups := blind(t)
	r := newRepository(t, store, nil)
	ctx := eventstore.WithCommandID(t.Context(), "k")
	first := execute(t, r, ctx, "1", closeTally{})
	again := execute(t, r, ctx, "1", closeTally{}) // decided on a closed tally
	require.EqualValues(t, 3, lookups.Load())
	require.True(t, again.Receipt.Repeated)
	require.Equal(t, first.Receipt.First, again.Receipt.First)
	require.Equal(t, []event{closed{}}, again.Events)
}

func TestRepository_Execute_LooksAgainBeforeDoingNothing(t *testing.T) {
	store, _ := blind(t)
	r := newRepository(t, store, &aggregate.Options{Digest: aggregate.NoDigest})
	ctx := eventstore.WithCommandID(t.Context(), "k")
	execute(t, r, ctx, "1", count{Name: "a", N: 1})
	again := execute(t, r, ctx, "1", count{Name: "a"})
	require.True(t, again.Receipt.Repeated)
	require.Equal(t, eventstore.Version(1), again.Version)
}

func TestRepository_Execute_AppendSaysRepeated(t *testing.T) {
	store, _ := blind(t)
	r := newRepository(t, store, nil)
	ctx := eventstore.WithCommandID(t.Context(), "k")
	first := execute(t, r, ctx, "1", count{Name: "a", N: 1})
	execute(t, r, t.Context(), "1", count{Name: "a", N: 10})
	again := execute(t, r, ctx, "1", count{Name: "a", N: 1})
	require.True(t, again.Receipt.Repeated)
	again.Receipt.Repeated = false
	require.Equal(t, first, again, "not the state that the second attempt was decided on")

	store, _ = blind(t)
	r = newRepository(t, store, nil)
	execute(t, r, ctx, "1", count{Name: "a", N: 1})
	_, err := r.Execute(ctx, "2", count{Name: "a", N: 1})
	require.ErrorIs(t, err, eventstore.ErrInvalid, "also when it is the append that finds out")
}

func TestRepository_Execute_FailedLookupIsNoRejection(t *testing.T) {
	broken := errors.New("broken")
	store := &intercepted{Store: newStore(t)}
	lookups := 0
	store.lookup = func(context.Context, string) (eventstore.Receipt, bool, error) {
		if lookups++; lookups == 2 {
			return eventstore.Receipt{}, false, broken
		}
		return eventstore.Receipt{}, false, nil
	}
	_, err := newRepository(t, store, nil).Execute(eventstore.WithCommandID(t.Context(), "k"), "1", count{Name: "a", N: bound + 1})
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, `look up command id "k"`)
}

func TestRepository_Execute_LostAcknowledgement(t *testing.T) {
	store := &intercepted{Store: newStore(t)}
	lost := false
	store.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		receipt, err := store.Store.Append(ctx, c)
		if !lost {
			lost = true
			return eventstore.Receipt{}, eventstore.ErrUnknownOutcome
		}
		return receipt, err
	}
	r := newRepository(t, store, nil)
	ctx := eventstore.WithCommandID(t.Context(), "k")
	_, err := r.Execute(ctx, "1", count{Name: "a", N: 1})
	require.ErrorIs(t, err, eventstore.ErrUnknownOutcome)

	result := execute(t, r, ctx, "1", count{Name: "a", N: 1})
	require.True(t, result.Receipt.Repeated)
	require.Equal(t, 1, result.State.Counts["a"])
	require.Len(t, logged(t, store), 1)
}

func TestRepository_Execute_OneCommandSentByMany(t *testing.T) {
	const senders = 8
	store := newStore(t)
	r := newRepository(t, store, &aggregate.Options{MaxAttempts: 1_000})
	var fresh atomic.Int32
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for k := range 20 {
				ctx := eventstore.WithCommandID(t.Context(), fmt.Sprint("k-", k))
				result, err := r.Execute(ctx, "1", count{Name: "a", N: 1})
				if err != nil || len(result.Events) != 1 || result.State.Counts["a"] != int(result.Version) {
					t.Errorf("%v, %v", result, err)
					return
				}
				if !result.Receipt.Repeated {
					fresh.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 20, fresh.Load())
	require.Len(t, logged(t, store), 20)
}
