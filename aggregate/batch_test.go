package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

type result = aggregate.Result[tally, event]

func TestExecuteAll_OneCommit(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 10})
	then := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	ctx := eventstore.WithTime(eventstore.WithActor(t.Context(), "ann"), then)
	var one, two, again result
	receipt, err := aggregate.ExecuteAll(t.Context(),
		r.Part(ctx, "1", count{Name: "a", N: 1, Times: 2}, &one),
		r.Part(t.Context(), "2", count{Name: "b", N: 2}, &two),
		r.Part(t.Context(), "1", closeTally{}, &again))
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(2), receipt.First)
	require.Equal(t, eventstore.Position(5), receipt.Last)
	require.Equal(t, result{
		State: tally{Counts: map[string]int{"a": 12}, Closed: true}, Version: 4,
		Events: []event{counted{"a", 1}, counted{"a", 1}, closed{}}, Receipt: receipt,
	}, again)
	require.Equal(t, again, one, "the results of one stream are the same")
	require.Equal(t, result{
		State: tally{Counts: map[string]int{"b": 2}}, Version: 1, Events: []event{counted{"b", 2}}, Receipt: receipt,
	}, two)
	events := logged(t, store)
	require.Equal(t, "ann", events[1].Metadata.Actor())
	require.Equal(t, then, events[2].Time)
	require.Empty(t, events[3].Metadata)
	require.Equal(t, []eventstore.Tag{"name:b"}, events[3].Tags)
}

func TestExecuteAll_SecondIsRefusedByWhatTheFirstDid(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	_, err := aggregate.ExecuteAll(t.Context(), r.Part(t.Context(), "1", closeTally{}, nil), r.Part(t.Context(), "1", closeTally{}, nil))
	require.ErrorIs(t, err, errClosed)
	var refused *aggregate.BatchError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 1, refused.Index)
	require.EqualError(t, err, "command 1 (aggregate_test.closeTally) on stream \"tally-1\": the tally is closed")
	require.Empty(t, logged(t, store))
}

func TestExecuteAll_Faults(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	fails := func(says string, parts ...aggregate.Part) {
		t.Helper()
		_, err := aggregate.ExecuteAll(t.Context(), parts...)
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, says)
	}
	one := r.Part(t.Context(), "1", count{Name: "a", N: 1}, nil)
	fails("there are no commands")
	fails("part 1 is the zero Part", one, aggregate.Part{})
	fails("command 1 (aggregate_test.count): invalid: the id of the aggregate is empty", one, r.Part(t.Context(), "", count{}, nil))
	fails("another store", one, newRepository(t, newStore(t), nil).Part(t.Context(), "2", count{Name: "a", N: 1}, nil))
	fails(`stream "tally-1" belongs to two repositories`, one, newRepository(t, store, nil).Part(t.Context(), "1", count{Name: "a", N: 1}, nil))
	require.Empty(t, logged(t, store))

	_, err := aggregate.ExecuteAll(t.Context(), one, r.WithMaxAttempts(3).Part(t.Context(), "1", count{Name: "a", N: 1}, nil))
	require.NoError(t, err, "a repository and its copy are one")
	_, err = aggregate.ExecuteAll(t.Context(), one, r.Part(t.Context(), "2", misbehave{}, nil))
	var batch *aggregate.BatchError
	require.ErrorAs(t, err, &batch)
	require.Equal(t, 1, batch.Index)
	require.Len(t, logged(t, store), 2)
}

// The whole batch is decided again if another writer appends to one of its streams between
// the decision and the append, also to a stream that gets no events.
func TestExecuteAll_Conflict(t *testing.T) {
	for name, elsewhere := range map[string]string{"a written stream": "1", "a stream that was only decided on": "2"} {
		t.Run(name, func(t *testing.T) {
			store := &intercepted{Store: newStore(t)}
			var expects [][]eventstore.Expect
			store.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
				expects = append(expects, c.Expect)
				if len(expects) == 1 {
					appendRaw(t, store.Store, eventstore.StreamID("tally-"+elsewhere), eventstore.NewEvent{
						Type: "tally.counted", SchemaVersion: 1, Codec: "json", Data: []byte(`{"name":"a","n":5}`),
					})
				}
				return store.Store.Append(ctx, c)
			}
			r := newRepository(t, store, nil)
			var one, two result
			receipt, err := aggregate.ExecuteAll(t.Context(),
				r.Part(t.Context(), "1", count{Name: "a", N: 1}, &one), r.Part(t.Context(), "2", count{Name: "a"}, &two))
			require.NoError(t, err)
			require.Len(t, expects, 2)
			require.Len(t, expects[0], 2, "for every stream that was decided on")
			require.Len(t, receipt.Heads, 1)
			require.Equal(t, 6, one.State.Counts["a"]+two.State.Counts["a"], "each event once")
			require.Len(t, logged(t, store), 2)

			expects = nil
			_, err = aggregate.ExecuteAll(t.Context(),
				r.Part(t.Context(), "1", count{Name: "a", N: 1}, &one), r.WithMaxAttempts(1).Part(t.Context(), "2", count{Name: "a"}, &two))
			require.ErrorIs(t, err, eventstore.ErrConflict)
			require.ErrorContains(t, err, "execute 2 commands: gave up after 1 attempts")
		})
	}
}

func TestExecuteAll_NothingToDo(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 3})
	var one result
	receipt, err := aggregate.ExecuteAll(eventstore.WithCommandID(t.Context(), "k"), r.Part(t.Context(), "1", count{Name: "a"}, &one))
	require.NoError(t, err)
	require.Zero(t, receipt)
	require.Equal(t, result{State: tally{Counts: map[string]int{"a": 3}}, Version: 1}, one)
}

func TestExecuteAll_RepeatedBatch(t *testing.T) {
	for name, newStore := range map[string]func(t *testing.T) eventstore.Store{
		"found at first":          func(t *testing.T) eventstore.Store { return newStore(t) },
		"found before a refusal":  func(t *testing.T) eventstore.Store { s, _ := blind(t); return s },
		"found by the append":     func(t *testing.T) eventstore.Store { s, _ := blind(t); return s },
		"lost acknowledgement":    func(t *testing.T) eventstore.Store { return newStore(t) },
		"with nothing to do left": func(t *testing.T) eventstore.Store { s, _ := blind(t); return s },
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			r := newRepository(t, store, nil)
			ctx := eventstore.WithCommandID(t.Context(), "k")
			send := func() (eventstore.Receipt, [3]result) {
				var results [3]result
				receipt, err := aggregate.ExecuteAll(ctx,
					r.Part(ctx, "1", count{Name: "a", N: 1}, &results[0]),
					r.Part(ctx, "2", count{Name: "a"}, &results[1]),
					r.Part(ctx, "1", count{Name: "a", N: 2}, &results[2]))
				require.NoError(t, err)
				return receipt, results
			}
			first, results := send()
			if name == "found before a refusal" {
				execute(t, r, t.Context(), "1", closeTally{})
			}
			execute(t, r, t.Context(), "2", count{Name: "a", N: 7})
			again, repeats := send()
			require.True(t, again.Repeated)
			again.Repeated = false
			require.Equal(t, first, again)
			for i := range repeats {
				repeats[i].Receipt.Repeated = false
				require.Equal(t, results[i].State, repeats[i].State)
				require.Equal(t, results[i].Version, repeats[i].Version)
				require.Equal(t, results[i].Events, repeats[i].Events)
			}
		})
	}
}

func TestExecuteAll_IDOfAnotherCommand(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	ctx := eventstore.WithCommandID(t.Context(), "k")
	execute(t, r, ctx, "3", count{Name: "a", N: 1})
	_, err := aggregate.ExecuteAll(ctx, r.Part(ctx, "1", count{Name: "a", N: 1}, nil), r.Part(ctx, "2", count{Name: "a", N: 1}, nil))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, `command id "k" was used for another command, which wrote to stream "tally-3"`)
	require.Len(t, logged(t, store), 1)

	_, err = store.Append(t.Context(), eventstore.Commit{Key: "none", Events: []eventstore.NewEvent{{Type: "x"}}})
	require.NoError(t, err)
	ctx = eventstore.WithCommandID(t.Context(), "none")
	_, err = aggregate.ExecuteAll(ctx, r.Part(ctx, "1", count{Name: "a", N: 1}, nil))
	require.ErrorContains(t, err, "wrote to no stream")
}

// Money goes round between accounts; it is never more nor less, at any position.
func TestExecuteAll_Concurrent(t *testing.T) {
	bolt, err := boltstore.Open(filepath.Join(t.TempDir(), "log"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bolt.Close()) })
	for name, store := range map[string]eventstore.Store{"memory": newStore(t), "bolt": bolt} {
		t.Run(name, func(t *testing.T) {
			cached := newCached(t, store, nil, nil)
			plain := newRepository(t, store, &aggregate.Options{MaxAttempts: 1_000})
			var wg sync.WaitGroup
			for n := range 4 {
				wg.Go(func() {
					r := []*tallies{cached, plain}[n%2].WithMaxAttempts(1_000)
					for i := range 10 {
						from, to := fmt.Sprint((n+i)%3), fmt.Sprint((n+i+1)%3)
						_, err := aggregate.ExecuteAll(t.Context(),
							r.Part(t.Context(), from, count{Name: "money", N: -1}, nil),
							r.Part(t.Context(), to, count{Name: "money", N: 1}, nil))
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			sum := 0
			for _, id := range []string{"0", "1", "2"} {
				state, version, err := cached.Load(t.Context(), id)
				require.NoError(t, err)
				again, also, err := plain.Load(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, again, state)
				require.Equal(t, also, version)
				sum += state.Counts["money"]
			}
			require.Zero(t, sum)
			require.Len(t, logged(t, store), 2*4*10)
		})
	}
}

func TestRetry(t *testing.T) {
	calls := 0
	attempt := func(outcome error) func(context.Context) error {
		calls = 0
		return func(context.Context) error {
			if calls++; calls < 3 {
				return fmt.Errorf("append: %w", eventstore.ErrConflict)
			}
			return outcome
		}
	}
	require.NoError(t, aggregate.Retry(t.Context(), 3, attempt(nil)))
	require.Equal(t, 3, calls)
	broken := errors.New("broken")
	require.ErrorIs(t, aggregate.Retry(t.Context(), 9, attempt(broken)), broken)
	require.Equal(t, 3, calls)
	require.ErrorIs(t, aggregate.Retry(t.Context(), 2, attempt(nil)), eventstore.ErrConflict)
	require.Equal(t, 2, calls)
	require.ErrorIs(t, aggregate.Retry(t.Context(), 0, attempt(nil)), eventstore.ErrConflict)
	require.Equal(t, 1, calls)
}
