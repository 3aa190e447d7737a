package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
)

// slow returns a store whose appends take a millisecond each, so that they overlap.
func slow(t *testing.T) eventstore.Store {
	s := &intercepted{Store: newStore(t)}
	s.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		time.Sleep(time.Millisecond)
		return s.Store.Append(ctx, c)
	}
	return s
}

// crowd calls do from 64 goroutines, 4 times each, and requires that no call fails.
func crowd(t *testing.T, do func(n int) error) {
	t.Helper()
	const callers, each = 64, 4
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() {
			for i := range each {
				if err := do(n*each + i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// few attempts are enough for any number of callers.
var few = &aggregate.Options{MaxAttempts: 5}

func TestExecute_CallersOfOneStreamQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRepository(t, slow(t), few)
		crowd(t, func(int) error {
			_, err := r.Execute(t.Context(), "1", count{Name: "a", N: 1})
			return err
		})
		state, version, err := r.Load(t.Context(), "1")
		require.NoError(t, err)
		require.Equal(t, 256, state.Counts["a"])
		require.EqualValues(t, 256, version)
	})
}

func TestDecisions_CallersOfOneQueryQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDecisions(t, slow(t), few)
		carry(t, d, record(roomOpened{"a", 256}))
		crowd(t, func(n int) error {
			_, err := d.Execute(t.Context(), enter("a", fmt.Sprint("guest-", n)))
			return err
		})
		_, err := d.Execute(t.Context(), enter("a", "one more"))
		require.ErrorIs(t, err, errFull)
	})
}

// TestExecuteAll_CallersOfSeveralStreamsQueue names the streams in different orders, so
// that callers would wait for each other if they joined queues in these orders.
func TestExecuteAll_CallersOfSeveralStreamsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRepository(t, slow(t), nil)
		crowd(t, func(n int) error {
			from, to := fmt.Sprint(n%3), fmt.Sprint((n+1+n/3%2)%3)
			_, err := aggregate.ExecuteAll(t.Context(),
				r.Part(t.Context(), from, count{Name: "a", N: 1}, nil), r.Part(t.Context(), to, count{Name: "a", N: 1}, nil))
			return err
		})
		total := 0
		for id := range 3 {
			state, _, err := r.Load(t.Context(), fmt.Sprint(id))
			require.NoError(t, err)
			total += state.Counts["a"]
		}
		require.Equal(t, 2*256, total)
	})
}

// TestExecute_AtTheFrontOfAQueue executes a command in a hook of one that is at the front
// of the queue of its stream: the inner one must not wait for the outer one.
func TestExecute_AtTheFrontOfAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type nested struct{}
		var r *tallies
		again := func(ctx context.Context, _ eventstore.Commit) (context.Context, func(eventstore.Receipt, error)) {
			return ctx, func(_ eventstore.Receipt, err error) {
				if err == nil && ctx.Value(nested{}) == nil {
					execute(t, r, context.WithValue(ctx, nested{}, true), "1", count{Name: "b", N: 1})
				}
			}
		}
		r = newRepository(t, slow(t), &aggregate.Options{MaxAttempts: 1_000, Hooks: &aggregate.Hooks{Append: again}})
		crowd(t, func(int) error {
			_, err := r.Execute(t.Context(), "1", count{Name: "a", N: 1})
			return err
		})
		state, _, err := r.Load(t.Context(), "1")
		require.NoError(t, err)
		require.Equal(t, map[string]int{"a": 256, "b": 256}, state.Counts)
	})
}

// TestExecute_AContextEndsTheWaitInAQueue cancels the context of half of the callers: they
// leave the queue, and the others go on.
func TestExecute_AContextEndsTheWaitInAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRepository(t, slow(t), few)
		ctx, cancel := context.WithCancel(t.Context())
		var left, done int
		var mu sync.Mutex
		crowd(t, func(n int) error {
			if n%2 == 0 {
				_, err := r.Execute(t.Context(), "1", count{Name: "a", N: 1})
				return err
			}
			_, err := r.Execute(ctx, "1", count{Name: "a", N: 1})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, context.Canceled):
				left++
				return nil
			case err == nil:
				if done++; done == 3 {
					cancel()
				}
			}
			return err
		})
		cancel()
		require.NotZero(t, left)
		state, _, err := r.Load(t.Context(), "1")
		require.NoError(t, err)
		require.GreaterOrEqual(t, state.Counts["a"], 128+done)
	})
}
