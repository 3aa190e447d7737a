package projection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// counted is an event that calls decoding when it is decoded.
type counted map[string]int

// decoding is called when a counted is decoded.
var decoding = func() {}

func (c *counted) UnmarshalJSON(data []byte) error {
	decoding()
	return json.Unmarshal(data, (*map[string]int)(c))
}

func countedRegistry(t testing.TB, whenDecoding func()) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[counted](b, "counted", 1)
	registry, err := b.Build() // decodes one too
	require.NoError(t, err)
	decoding = whenDecoding
	t.Cleanup(func() { decoding = func() {} })
	return registry
}

// addCounted appends n events. Those with the wrong numbers cannot be decoded.
func addCounted(t testing.TB, store eventstore.Store, n int, wrong ...int) {
	var commit eventstore.Commit
	for i := range n {
		commit.Events = append(commit.Events, eventstore.NewEvent{
			Type: "counted", SchemaVersion: 1, Codec: codec.JSON, Data: fmt.Appendf(nil, `{"n":%d}`, i+1),
		})
	}
	for _, i := range wrong {
		commit.Events[i-1].Data = []byte(`{"n":"?"}`)
	}
	_, err := store.Append(t.Context(), commit)
	require.NoError(t, err)
}

// TestRun_AnEventThatCannotBeDecoded: the events before it are applied, in order, those
// after it are not, whether they were decoded or not. No goroutine is left.
func TestRun_AnEventThatCannotBeDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry := newStore(t), countedRegistry(t, func() {})
		views := newHost(t, store, registry)
		addCounted(t, store, 2000, 1234)
		p := projection.New("p", 1)
		table := projection.NewTable[string, int](p, "t")
		next := 1
		projection.On(p, func(tx projection.Tx, e fold.Event[counted]) error {
			require.Equal(t, next, e.Data["n"])
			next++
			return table.In(tx).Put("last", int(e.Position))
		})
		for range 2 {
			err := views.CatchUp(t.Context(), p)
			var failed *projection.HandlerError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, eventstore.Position(1234), failed.Position)
			require.ErrorContains(t, err, "cannot unmarshal string")
			status, err := views.Status(t.Context(), p)
			require.NoError(t, err)
			require.Equal(t, eventstore.Position(1233), status.Position)
			require.Equal(t, 1234, next)
		}
		p.OnFailure = projection.Skip
		next = 1235
		require.NoError(t, views.CatchUp(t.Context(), p))
		last, _, err := table.Get(t.Context(), store, "last")
		require.NoError(t, err)
		require.Equal(t, 2000, last.Value)
	})
}

// TestRun_DecodesSomeAhead: while a handler runs, later events are decoded, but not all of
// them.
func TestRun_DecodesSomeAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var decoded atomic.Int64
		store, registry := newStore(t), countedRegistry(t, func() { decoded.Add(1) })
		views := newHost(t, store, registry)
		addCounted(t, store, 5000)
		p := projection.New("p", 1)
		began, goOn := make(chan struct{}), make(chan struct{})
		projection.On(p, func(tx projection.Tx, e fold.Event[counted]) error {
			if e.Position == 1 {
				close(began)
				<-goOn
			}
			return nil
		})
		run := start(t, func(ctx context.Context) error { return views.CatchUp(ctx, p) })
		<-began
		synctest.Wait()
		require.GreaterOrEqual(t, decoded.Load(), int64(256), "a batch")
		require.LessOrEqual(t, decoded.Load(), int64(4*256))
		close(goOn)
		require.NoError(t, run.ended(t))
		require.Equal(t, int64(5000), decoded.Load(), "each once")
	})
}

// TestRun_WaitsForDecoding: a run does not end before its goroutine.
func TestRun_WaitsForDecoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, goOn := make(chan struct{}), make(chan struct{})
		var decoded atomic.Int64
		store, registry := newStore(t), countedRegistry(t, func() {
			if decoded.Add(1) == 100 {
				close(began)
				<-goOn
			}
		})
		views := newHost(t, store, registry)
		addCounted(t, store, 1000)
		p := projection.New("p", 1)
		projection.On(p, func(projection.Tx, fold.Event[counted]) error {
			<-began
			return errors.New("wrong")
		})
		run := start(t, func(ctx context.Context) error { return views.CatchUp(ctx, p) })
		synctest.Wait()
		require.Empty(t, run.done)
		close(goOn)
		require.ErrorContains(t, run.ended(t), "wrong")
		require.LessOrEqual(t, decoded.Load(), int64(101), "it stops at once")
	})
}

// TestRun_RetryDecodesAnew: a handler that has changed its event and failed gets the event
// as it is stored the next time.
func TestRun_RetryDecodesAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry := newStore(t), countedRegistry(t, func() {})
		views := newHost(t, store, registry)
		addCounted(t, store, 3)
		p := projection.New("p", 1)
		p.OnFailure = projection.Retry
		var seen []int
		projection.On(p, func(tx projection.Tx, e fold.Event[counted]) error {
			seen = append(seen, e.Data["n"])
			e.Data["n"] = -1
			if e.Position == 2 && len(seen) < 4 {
				return errors.New("not yet")
			}
			return nil
		})
		require.NoError(t, views.CatchUp(t.Context(), p))
		require.Equal(t, []int{1, 2, 2, 2, 3}, seen)
	})
}

// TestRun_DecodingEndsItsGoroutine: whichever goroutine ends, the event does not count as
// applied, and the log does not count as read to its end.
func TestRun_DecodingEndsItsGoroutine(t *testing.T) {
	for _, policy := range []projection.FailurePolicy{projection.Stop, projection.Skip} {
		var decoded atomic.Int64
		store, registry := newStore(t), countedRegistry(t, func() {
			if decoded.Add(1) == 300 {
				runtime.Goexit()
			}
		})
		views := newHost(t, store, registry)
		addCounted(t, store, 5000)
		p := projection.New("p", 1)
		p.OnFailure = policy
		projection.On(p, func(projection.Tx, fold.Event[counted]) error { return nil })
		err := errors.New("it did not return")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			err = views.CatchUp(t.Context(), p)
		}()
		<-ended
		require.Error(t, err)
		status, err := views.Status(t.Context(), p)
		require.NoError(t, err)
		require.True(t, status.Position < 300 || policy == projection.Skip && status.SkippedCount == 1, status.Position)
	}
}

// TestRun_EventIsTheHandlersOwn has a handler that changes its event and fails: neither
// the next attempt nor another projection sees the change.
func TestRun_EventIsTheHandlersOwn(t *testing.T) {
	store, registry := newStore(t), countedRegistry(t, func() {})
	views := newHost(t, store, registry)
	addCounted(t, store, 3000)
	var all []*projection.Projection
	for _, name := range []string{"p", "q"} {
		p := projection.New(name, 1)
		table := projection.NewTable[string, int](p, "t")
		projection.On(p, func(tx projection.Tx, e fold.Event[counted]) error {
			if e.Data["n"] != int(e.Position) {
				t.Errorf("%s is given %d at position %d", name, e.Data["n"], e.Position)
			}
			copy(e.Event.Data, `{"n":0}`)
			return table.In(tx).Put("last", int(e.Position))
		})
		all = append(all, p)
	}
	require.NoError(t, views.Rebuild(t.Context(), nil, all...))

	p := projection.New("again", 1)
	p.OnFailure = projection.Retry
	var seen []int
	projection.On(p, func(_ projection.Tx, e fold.Event[counted]) error {
		seen = append(seen, e.Data["n"])
		if e.Position == 2 && len(seen) < 4 {
			copy(e.Event.Data, `{"n":9}`)
			return errors.New("not yet")
		}
		return nil
	})
	require.NoError(t, views.CatchUp(t.Context(), p))
	require.Equal(t, []int{1, 2, 2, 2, 3}, seen[:5])
}
