package aggregate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// The tests' aggregate is a tally of named things, with a bound.

type (
	event   interface{ tallyEvent() }
	counted struct {
		Name string `json:"name"`
		N    int    `json:"n"`
	}
	closed  struct{}
	foreign struct{} // registered, but no event of a tally
	lossy   struct { // does not come back as it was
		N      int `json:"n"`
		Hidden int `json:"-"`
	}
)

func (counted) tallyEvent() {}
func (closed) tallyEvent()  {}
func (lossy) tallyEvent()   {}

type (
	command interface{ tallyCommand() }
	count   struct {
		Name  string
		N     int
		Times int
	}
	closeTally struct{}
	misbehave  struct{ Event event }
)

func (count) tallyCommand()      {}
func (closeTally) tallyCommand() {}
func (misbehave) tallyCommand()  {}

// tally is changed in place by evolve.
type tally struct {
	Counts map[string]int
	Closed bool
}

var errClosed = errors.New("the tally is closed")

// tooManyError refuses a count beyond the bound.
type tooManyError struct{ Have, Bound int }

func (e *tooManyError) Error() string { return "too many" }

const bound = 1_000_000

func initial() tally { return tally{Counts: map[string]int{}} }

func decide(t tally, c command) ([]event, error) {
	switch c := c.(type) {
	case count:
		if t.Closed {
			return nil, errClosed
		}
		if t.Counts[c.Name]+c.N > bound {
			return nil, &tooManyError{Have: t.Counts[c.Name], Bound: bound}
		}
		var events []event
		for range max(1, c.Times) {
			if c.N != 0 {
				events = append(events, counted{Name: c.Name, N: c.N})
			}
		}
		return events, nil
	case closeTally:
		if t.Closed {
			return nil, errClosed
		}
		return []event{closed{}}, nil
	case misbehave:
		return []event{c.Event}, nil
	}
	panic("no such command")
}

func evolve(t tally, e event) tally {
	switch e := e.(type) {
	case counted:
		t.Counts[e.Name] += e.N
	case closed:
		t.Closed = true
	}
	return t
}

func decider() aggregate.Decider[tally, command, event] {
	return aggregate.Decider[tally, command, event]{Category: "tally", Initial: initial, Decide: decide, Evolve: evolve}
}

func newRegistry(t testing.TB) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[counted](b, "tally.counted", 1,
		codec.Tags(func(e counted) []string { return []string{"name:" + e.Name} }))
	codec.Register[closed](b, "tally.closed", 2)
	codec.Register[lossy](b, "tally.lossy", 1)
	codec.Register[foreign](b, "foreign", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

type tallies = aggregate.Repository[tally, command, event]

func newRepository(t testing.TB, store eventstore.Store, opts *aggregate.Options) *tallies {
	r, err := aggregate.NewRepository(store, newRegistry(t), decider(), opts)
	require.NoError(t, err)
	return r
}

func newStore(t testing.TB) eventstore.Store {
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func execute(t testing.TB, r *tallies, ctx context.Context, id string, cmd command) aggregate.Result[tally, event] {
	t.Helper()
	result, err := r.Execute(ctx, id, cmd)
	require.NoError(t, err)
	return result
}

// intercepted is a store in which a test gets between caller and store.
type intercepted struct {
	eventstore.Store
	append func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error)
	lookup func(ctx context.Context, key string) (eventstore.Receipt, bool, error)
}

func (s *intercepted) Append(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	if s.append != nil {
		return s.append(ctx, c)
	}
	return s.Store.Append(ctx, c)
}

func (s *intercepted) Lookup(ctx context.Context, key string) (eventstore.Receipt, bool, error) {
	if s.lookup != nil {
		return s.lookup(ctx, key)
	}
	return s.Store.Lookup(ctx, key)
}

// appendRaw appends an event as some other program might.
func appendRaw(t testing.TB, store eventstore.Store, stream eventstore.StreamID, events ...eventstore.NewEvent) {
	t.Helper()
	_, err := eventstore.AppendTo(t.Context(), store, stream, eventstore.Any, events...)
	require.NoError(t, err)
}

// logged returns all events of the log.
func logged(t testing.TB, store eventstore.Store) []eventstore.Event {
	t.Helper()
	var events []eventstore.Event
	for e, err := range store.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{}) {
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}
