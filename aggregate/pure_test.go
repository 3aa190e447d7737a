package aggregate_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
)

// These tests have functions of the application that are not pure, or that cannot take an
// event that was decided.

// TestExecute_EvolveThatPanics decides an event that Evolve panics on: it is not appended, so
// later loads do not panic, and the next command is carried out.
func TestExecute_EvolveThatPanics(t *testing.T) {
	nilMap := decider()
	nilMap.Initial = nil
	asRead := decider() // its event is taken as decided, and not as it is read
	asRead.Evolve = func(s tally, e event) tally {
		if l, ok := e.(lossy); ok && l.Hidden == 0 {
			panic("boom")
		}
		return s
	}
	for name, c := range map[string]struct {
		decider aggregate.Decider[tally, command, event]
		cmd     command
	}{
		"a map that is nil":       {nilMap, count{Name: "a", N: 1}},
		"what JSON leaves out":    {asRead, misbehave{Event: lossy{N: 1, Hidden: 1}}},
		"with states kept in mem": {cloning(nilMap), count{Name: "a", N: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			r, err := aggregate.NewRepository(store, newRegistry(t), c.decider, nil)
			require.NoError(t, err)
			d, err := aggregate.NewDecisions(store, newRegistry(t), nil)
			require.NoError(t, err)
			for range 2 {
				require.Panics(t, func() { _, _ = r.Execute(t.Context(), "1", c.cmd) })
				require.Panics(t, func() { _, _ = aggregate.ExecuteAll(t.Context(), r.Part(t.Context(), "1", c.cmd, nil)) })
				require.Panics(t, func() { _, _ = d.Execute(t.Context(), c.decider.Decision("1", c.cmd)) })
			}
			require.Empty(t, logged(t, store))
			_, _, err = r.Load(t.Context(), "1")
			require.NoError(t, err)
			_, err = r.Execute(t.Context(), "1", closeTally{})
			require.NoError(t, err)
		})
	}
}

func cloning(d aggregate.Decider[tally, command, event]) aggregate.Decider[tally, command, event] {
	d.Clone = func(s tally) tally { return s }
	return d
}

// TestDecisions_ModelThatPanics decides an event that a model of the decision panics on.
func TestDecisions_ModelThatPanics(t *testing.T) {
	store := newStore(t)
	d := newDecisions(t, store, nil)
	var guests map[string]bool
	model := aggregate.NewModel(aggregate.Tagged("room:a"), fold.On(func(in map[string]bool, e guestEntered) map[string]bool {
		in[e.Guest] = true
		return in
	}))
	require.Panics(t, func() {
		_, _ = d.Execute(t.Context(), aggregate.Decision{
			Models: aggregate.Models{model.Into(&guests)},
			Decide: func() ([]any, error) { return []any{guestEntered{"a", "ann"}}, nil },
		})
	})
	require.Empty(t, logged(t, store))
}

// TestDecisions_EventThatAnAggregateCannotTake decides an event for the stream of an aggregate
// whose later loads would fail on it.
func TestDecisions_EventThatAnAggregateCannotTake(t *testing.T) {
	store := newStore(t)
	d, err := aggregate.NewDecisions(store, newRegistry(t), nil)
	require.NoError(t, err)
	decision := decider().Decision("1", count{Name: "a", N: 1})
	decision.Decide = func() ([]any, error) { return aggregate.In(decider().Stream("1"), any(foreign{})), nil }
	_, err = d.Execute(t.Context(), decision)
	require.ErrorContains(t, err, `which is not an event of stream "tally-1"`)
	require.Empty(t, logged(t, store))
}

// TestDecisions_TriedEventsAreAsTheyWillBe has models that depend on what is stored with an
// event, and one that is given the last event only.
func TestDecisions_TriedEventsAreAsTheyWillBe(t *testing.T) {
	store := newStore(t)
	d, err := aggregate.NewDecisions(store, newRegistry(t), nil)
	require.NoError(t, err)
	var seen []fold.Event[counted]
	all := aggregate.NewModel(eventstore.Category("tally"), fold.OnEvent(func(n int, e fold.Event[counted]) int {
		seen = append(seen, e)
		return n + 1
	}))
	last := aggregate.NewModel(aggregate.Tagged("name:a"), fold.On(func(n int, e counted) int {
		if n != 0 {
			panic("a model of the last event is given two")
		}
		return e.N
	}))
	last.Last = true
	var n, highest int
	for range 2 {
		_, err = d.Execute(t.Context(), aggregate.Decision{
			Models: aggregate.Models{all.Into(&n), last.Into(&highest)},
			Decide: func() ([]any, error) {
				seen = nil
				return aggregate.In("tally-1", counted{Name: "a", N: 1}, counted{Name: "a", N: 2}), nil
			},
		})
		require.NoError(t, err)
	}
	stored := logged(t, store)[2:]
	require.Len(t, seen, 2)
	for i, e := range seen {
		require.WithinDuration(t, stored[i].Recorded, e.Recorded, time.Minute)
		require.Equal(t, e.Recorded, e.Time)
		require.NotZero(t, e.ID)
		e.Recorded, e.Time, e.ID = stored[i].Recorded, stored[i].Time, stored[i].ID
		require.Equal(t, stored[i], e.Event)
	}
}

// TestDecisions_TriedEventsAreLeftOut has a decision conflict: the second attempt is decided on
// what is in the log, without the events of the first one.
func TestDecisions_TriedEventsAreLeftOut(t *testing.T) {
	inner := newStore(t)
	carry(t, newDecisions(t, inner, nil), record(roomOpened{"a", 2}))
	store := &intercepted{Store: inner}
	overtake := true
	store.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		if overtake {
			overtake = false
			carry(t, newDecisions(t, inner, nil), enter("a", "bob"))
		}
		return inner.Append(ctx, c)
	}
	_, err := newDecisions(t, store, nil).Execute(t.Context(), enter("a", "ann"))
	require.NoError(t, err, "the first attempt's ann is not in the room")
	require.Len(t, logged(t, inner), 3)
}

// within runs a decide that executes, and returns the error of the execution.
func reentering(t *testing.T, cloned bool) (r *tallies, inner *error, again func(func(ctx context.Context) error)) {
	var inside func(context.Context) error
	var found error
	d := decider()
	if cloned {
		d = cloning(d)
	}
	d.Decide = func(s tally, c command) ([]event, error) {
		if c, ok := c.(count); ok && c.Name == "outer" {
			if found = inside(t.Context()); found != nil {
				return nil, found
			}
		}
		return decide(s, c)
	}
	r, err := aggregate.NewRepository(newStore(t), newRegistry(t), d, nil)
	require.NoError(t, err)
	return r, &found, func(f func(context.Context) error) { inside = f }
}

func TestExecute_WithinItsOwnDecide(t *testing.T) {
	for _, cloned := range []bool{false, true} {
		r, _, inside := reentering(t, cloned)
		for name, execute := range map[string]func(context.Context) error{
			"execute": func(ctx context.Context) error {
				_, err := r.Execute(ctx, "1", count{Name: "inner", N: 1})
				return err
			},
			"fewer attempts": func(ctx context.Context) error {
				_, err := r.WithMaxAttempts(1).Execute(ctx, "1", count{Name: "inner", N: 1})
				return err
			},
			"batch": func(ctx context.Context) error {
				_, err := aggregate.ExecuteAll(ctx, r.Part(ctx, "2", count{Name: "x", N: 1}, nil), r.Part(ctx, "1", closeTally{}, nil))
				return err
			},
			"another aggregate": func(ctx context.Context) error {
				_, err := r.Execute(ctx, "2", misbehave{Event: closed{}})
				return err
			},
			"another repository": func(ctx context.Context) error {
				_, err := newRepository(t, newStore(t), nil).Execute(ctx, "1", count{Name: "inner", N: 1})
				return err
			},
		} {
			inside(execute)
			_, err := r.Execute(t.Context(), "1", count{Name: "outer", N: 1})
			require.ErrorIs(t, err, eventstore.ErrInvalid, name)
			require.ErrorContains(t, err, `within the Decide of another command: Decide must be pure`)
			_, err = aggregate.ExecuteAll(t.Context(), r.Part(t.Context(), "1", count{Name: "outer", N: 1}, nil))
			require.ErrorIs(t, err, eventstore.ErrInvalid, name)
			_, version, err := r.Load(t.Context(), "1")
			require.NoError(t, err)
			require.Zero(t, version, name)
		}
		inside(func(ctx context.Context) error {
			_, _, err := r.Load(ctx, "1")
			return err
		})
		_, err := r.Execute(t.Context(), "1", count{Name: "outer", N: 1})
		require.NoError(t, err, "a load waits for nothing")
	}
}

func TestDecisions_WithinTheirOwnDecide(t *testing.T) {
	d := newDecisions(t, newStore(t), nil)
	carry(t, d, record(roomOpened{"a", 1}))
	outer := enter("a", "ann")
	outer.Decide = func() ([]any, error) {
		_, err := d.Execute(t.Context(), enter("a", "bob"))
		return nil, err
	}
	_, err := d.Execute(t.Context(), outer)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "within the Decide of another command")
}

func TestLoad_WithinItsOwnEvolve(t *testing.T) {
	store := newStore(t)
	execute(t, newRepository(t, store, nil), t.Context(), "1", count{Name: "a", N: 1})
	var r *tallies
	var inner error
	r = newCached(t, store, nil, func(d *aggregate.Decider[tally, command, event]) {
		d.Evolve = func(s tally, e event) tally {
			_, _, inner = r.Load(t.Context(), "1")
			return evolve(s, e)
		}
	})
	_, _, err := r.Load(t.Context(), "1")
	require.NoError(t, err)
	require.ErrorIs(t, inner, eventstore.ErrInvalid)
	require.ErrorContains(t, inner, "Evolve must be pure")
}

// TestModel_TagsThatNoEventHas asks by tag for types that are registered without tags.
func TestModel_TagsThatNoEventHas(t *testing.T) {
	b := codec.NewBuilder()
	codec.Register[roomOpened](b, "room.opened", 1, codec.Tags(func(e roomOpened) []string { return []string{"room:" + e.Room} }))
	codec.Register[guestEntered](b, "room.entered", 1)
	codec.Register[guestLeft](b, "room.left", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	d, err := aggregate.NewDecisions(newStore(t), registry, nil)
	require.NoError(t, err)
	_, err = d.Execute(t.Context(), enter("a", "ann"))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, `its query asks by tag for type "room.entered", which is registered without tags, so that none of its events that are written now would match: register it with codec.Tags`)
	require.ErrorContains(t, err, `"room.left"`)
	require.NotContains(t, err.Error(), `"room.opened"`)
}
