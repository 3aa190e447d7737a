package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

func clone(t tally) tally {
	t.Counts = maps.Clone(t.Counts)
	return t
}

// newCached returns a repository with a cache; alter may change its decider.
func newCached(
	t testing.TB, store eventstore.Store, opts *aggregate.Options, alter func(*aggregate.Decider[tally, command, event]),
) *tallies {
	d := decider()
	d.Clone = clone
	if alter != nil {
		alter(&d)
	}
	r, err := aggregate.NewRepository(store, newRegistry(t), d, opts)
	require.NoError(t, err)
	return r
}

// taps count the events that a store has been read for, and call a function before
// each read.
type taps struct {
	reads, events atomic.Int64
	before        func(ctx context.Context, read int64) error
}

func (s *taps) tap(ctx context.Context, read iter.Seq2[eventstore.Event, error]) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		if n := s.reads.Add(1); s.before != nil {
			if err := s.before(ctx, n); err != nil {
				yield(eventstore.Event{}, err)
				return
			}
		}
		for e, err := range read {
			if err == nil {
				s.events.Add(1)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// read returns the number of events that are read while fn runs.
func (s *taps) read(fn func()) int {
	before := s.events.Load()
	fn()
	return int(s.events.Load() - before)
}

type tapped struct {
	eventstore.Store
	taps
}

func (s *tapped) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return s.tap(ctx, s.Store.Read(ctx, q, opts))
}

func stateOf(t testing.TB, r *tallies, id string) tally {
	t.Helper()
	state, _, err := r.Load(t.Context(), id)
	require.NoError(t, err)
	return state
}

func TestCache_ReadsWhatIsNew(t *testing.T) {
	store := &tapped{Store: newStore(t)}
	r := newCached(t, store, nil, nil)
	other := newRepository(t, store.Store, nil)
	execute(t, other, t.Context(), "1", count{Name: "a", N: 1, Times: 10})
	require.Equal(t, 10, store.read(func() { require.Equal(t, 10, stateOf(t, r, "1").Counts["a"]) }))
	require.Equal(t, 0, store.read(func() { require.Equal(t, 10, stateOf(t, r, "1").Counts["a"]) }))
	execute(t, other, t.Context(), "1", count{Name: "a", N: 1, Times: 2})
	require.Equal(t, 2, store.read(func() { require.Equal(t, 12, stateOf(t, r, "1").Counts["a"]) }))
	require.Equal(t, 0, store.read(func() { execute(t, r, t.Context(), "1", count{Name: "a", N: 1}) }))
	require.Equal(t, 1, store.read(func() { require.Equal(t, 13, stateOf(t, r, "1").Counts["a"]) }), "what was decided here is read back")

	without := newRepository(t, store, nil)
	require.Equal(t, 26, store.read(func() { stateOf(t, without, "1"); stateOf(t, without, "1") }), "without Clone there is no cache")
	none := newCached(t, store, &aggregate.Options{CacheSize: -1}, nil)
	require.Equal(t, 26, store.read(func() { stateOf(t, none, "1"); stateOf(t, none, "1") }))
}

func TestCache_IsBounded(t *testing.T) {
	store := &tapped{Store: newStore(t)}
	r := newCached(t, store, &aggregate.Options{CacheSize: 2}, nil)
	for id := range 3 {
		execute(t, r, t.Context(), fmt.Sprint(id), count{Name: "a", N: 1})
	}
	for _, step := range []struct {
		id    string
		reads int
	}{{"0", 1}, {"1", 1}, {"0", 0}, {"2", 1}, {"0", 0}, {"1", 1}, {"2", 1}} {
		require.Equal(t, step.reads, store.read(func() { stateOf(t, r, step.id) }), step)
	}
	for id := range 10 {
		stateOf(t, r, fmt.Sprint("nothing-", id))
	}
	require.Equal(t, 0, store.read(func() { stateOf(t, r, "2") }), "what has no events takes no place")
}

func TestCache_StatesAreTheCallersOwn(t *testing.T) {
	r := newCached(t, newStore(t), nil, func(d *aggregate.Decider[tally, command, event]) {
		decide := d.Decide
		d.Decide = func(s tally, c command) ([]event, error) {
			s.Counts["spoilt"] = 1 // which it must not
			return decide(s, c)
		}
	})
	result := execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
	result.State.Counts["a"] = 100
	stateOf(t, r, "1").Counts["a"] = 100
	_, err := r.Execute(t.Context(), "1", count{Name: "a", N: bound + 1})
	require.Error(t, err)
	require.Equal(t, tally{Counts: map[string]int{"a": 1}}, stateOf(t, r, "1"))
}

// An Evolve that panics after it has changed the state leaves no trace of that.
func TestCache_PanicLeavesNoTrace(t *testing.T) {
	var explode bool
	r := newCached(t, newStore(t), nil, func(d *aggregate.Decider[tally, command, event]) {
		d.Evolve = func(s tally, e event) tally {
			s = evolve(s, e)
			if explode && s.Counts["a"] == 5 {
				panic("boom")
			}
			return s
		}
	})
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 3})
	require.Equal(t, 3, stateOf(t, r, "1").Counts["a"])
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 4})
	explode = true
	for range 2 {
		require.PanicsWithValue(t, "boom", func() { _, _, _ = r.Load(t.Context(), "1") })
	}
	explode = false
	require.Equal(t, 7, stateOf(t, r, "1").Counts["a"])
}

func TestCache_ErrorLeavesNoTrace(t *testing.T) {
	store := newStore(t)
	r := newCached(t, store, nil, nil)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 3})
	require.Equal(t, 3, stateOf(t, r, "1").Counts["a"])
	execute(t, r, t.Context(), "1", count{Name: "a", N: 4})
	appendRaw(t, store, "tally-1", eventstore.NewEvent{Type: "unknown", SchemaVersion: 1, Codec: "json"})
	for range 2 {
		_, _, err := r.Load(t.Context(), "1")
		require.ErrorContains(t, err, "position 3")
	}
}

// The cached state has the event that is read, not the one that was decided.
func TestCache_HoldsWhatIsReadBack(t *testing.T) {
	r := newCached(t, newStore(t), nil, func(d *aggregate.Decider[tally, command, event]) {
		d.Evolve = func(s tally, e event) tally {
			if c, ok := e.(lossy); ok {
				s.Counts["lossy"] += c.N + c.Hidden
				return s
			}
			return evolve(s, e)
		}
	})
	result := execute(t, r, t.Context(), "1", misbehave{Event: lossy{N: 1, Hidden: 10}})
	require.Equal(t, 1, result.State.Counts["lossy"])
	require.Equal(t, []event{lossy{N: 1}}, result.Events, "as they are read")
	require.Equal(t, 1, stateOf(t, r, "1").Counts["lossy"])
}

func TestCache_ConflictReadsWhatIsNew(t *testing.T) {
	inner := &tapped{Store: newStore(t)}
	store := &intercepted{Store: inner}
	r := newCached(t, store, nil, nil)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 10})
	stateOf(t, r, "1")
	other, tried := newRepository(t, inner.Store, nil), false
	store.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		if !tried {
			tried = true
			execute(t, other, t.Context(), "1", count{Name: "a", N: 5})
		}
		return store.Store.Append(ctx, c)
	}
	require.Equal(t, 1, inner.read(func() {
		require.Equal(t, 16, execute(t, r, t.Context(), "1", count{Name: "a", N: 1}).State.Counts["a"])
	}))
	require.Equal(t, 16, stateOf(t, r, "1").Counts["a"])
}

// Of many callers at the same time, the first one reads, and then one more for all the
// others: the events that they must see may have come after the first read began.
func TestCache_OneReadForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &tapped{Store: memstore.New(nil)}
		execute(t, newRepository(t, store.Store, nil), t.Context(), "1", count{Name: "a", N: 1, Times: 100})
		release := make(chan struct{})
		store.before = func(_ context.Context, read int64) error {
			if read == 1 {
				<-release
			}
			return nil
		}
		r := newCached(t, store, nil, nil)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if n := stateOf(t, r, "1").Counts["a"]; n != 100 {
					t.Errorf("%d", n)
				}
			})
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		require.EqualValues(t, 2, store.reads.Load())
		require.EqualValues(t, 100, store.events.Load())
	})
}

// A caller that waits for the read of another one gets no state older than its call.
func TestCache_NeverOlderThanTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memstore.New(nil)
		store := &held{Store: inner, release: make(chan struct{})}
		other := newRepository(t, inner, nil)
		execute(t, other, t.Context(), "1", count{Name: "a", N: 1})
		r := newCached(t, store, nil, nil)
		var wg sync.WaitGroup
		wg.Go(func() { require.Equal(t, 1, stateOf(t, r, "1").Counts["a"]) })
		synctest.Wait() // it has its snapshot of the log, and has not returned
		execute(t, other, t.Context(), "1", count{Name: "a", N: 1})
		wg.Go(func() { require.Equal(t, 2, stateOf(t, r, "1").Counts["a"]) })
		synctest.Wait()
		close(store.release)
		wg.Wait()
	})
}

// held is a store whose reads end when they are released.
type held struct {
	eventstore.Store
	release chan struct{}
}

func (s *held) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		for e, err := range s.Store.Read(ctx, q, opts) {
			if !yield(e, err) {
				return
			}
		}
		<-s.release
	}
}

// The caller that reads for all gives up; then the next one reads.
func TestCache_CancelledReaderFailsNoOtherCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &tapped{Store: memstore.New(nil)}
		execute(t, newRepository(t, store.Store, nil), t.Context(), "1", count{Name: "a", N: 1})
		store.before = func(ctx context.Context, read int64) error {
			if read == 1 {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		r := newCached(t, store, nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		impatient, giveUp := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _, err := r.Load(ctx, "1")
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			_, _, err := r.Load(impatient, "1")
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		wg.Go(func() { require.Equal(t, 1, stateOf(t, r, "1").Counts["a"]) })
		synctest.Wait()
		giveUp()
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

func TestCache_ManyWritersAndReaders(t *testing.T) {
	store := newStore(t)
	opts := &aggregate.Options{MaxAttempts: 1_000, CacheSize: 2}
	repositories := []*tallies{newCached(t, store, opts, nil), newCached(t, store, opts, nil)}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			r := repositories[n%2]
			for i := range 50 {
				id := fmt.Sprint(i % 3)
				result, err := r.Execute(t.Context(), id, count{Name: "a", N: 1})
				if err != nil || result.State.Counts["a"] != int(result.Version) {
					t.Error(result, err)
					return
				}
				state, version, err := r.Load(t.Context(), id)
				if err != nil || version < result.Version || state.Counts["a"] != int(version) {
					t.Error(state, version, err)
					return
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, logged(t, store), 400)
}
