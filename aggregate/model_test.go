package aggregate_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
)

// The models of the tests are about guests in rooms of a limited size. A guest is in at
// most one room.

type (
	roomOpened struct {
		Room  string `json:"room"`
		Holds int    `json:"holds"`
	}
	guestEntered struct {
		Room  string `json:"room"`
		Guest string `json:"guest"`
	}
	guestLeft struct {
		Room  string `json:"room"`
		Guest string `json:"guest"`
	}
	roomEvent interface{ room() string }
)

func (e roomOpened) room() string   { return e.Room }
func (e guestEntered) room() string { return e.Room }
func (e guestLeft) room() string    { return e.Room }

var errFull = errors.New("the room is full")

func registerRooms(b *codec.Builder) {
	codec.Register[roomOpened](b, "room.opened", 1,
		codec.Tags(func(e roomOpened) []string { return []string{"room:" + e.Room} }))
	codec.Register[guestEntered](b, "room.entered", 1,
		codec.Tags(func(e guestEntered) []string { return []string{"room:" + e.Room, "guest:" + e.Guest} }))
	codec.Register[guestLeft](b, "room.left", 1,
		codec.Tags(func(e guestLeft) []string { return []string{"room:" + e.Room, "guest:" + e.Guest} }))
}

func roomRegistry(t testing.TB, more ...func(*codec.Builder)) *codec.Registry {
	t.Helper()
	b := codec.NewBuilder()
	registerRooms(b)
	codec.Register[counted](b, "tally.counted", 1,
		codec.Tags(func(e counted) []string { return []string{"name:" + e.Name} }))
	codec.Register[closed](b, "tally.closed", 2)
	codec.Register[foreign](b, "foreign", 1)
	for _, register := range more {
		register(b)
	}
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

func holds(room string) aggregate.Model[int] {
	return aggregate.NewModel(aggregate.Tagged("room:"+room),
		fold.On(func(_ int, e roomOpened) int { return e.Holds }))
}

// inside is changed in place by its handlers.
func inside(room string) aggregate.Model[map[string]bool] {
	return aggregate.Model[map[string]bool]{
		Query:   aggregate.Tagged("room:" + room),
		Initial: func() map[string]bool { return map[string]bool{} },
		Evolve: []fold.Handler[map[string]bool]{
			fold.On(func(in map[string]bool, e guestEntered) map[string]bool {
				in[e.Guest] = true
				return in
			}),
			fold.On(func(in map[string]bool, e guestLeft) map[string]bool {
				delete(in, e.Guest)
				return in
			}),
		},
	}
}

// visits counts how often a guest has entered any room.
func visits(guest string) aggregate.Model[int] {
	return aggregate.NewModel(aggregate.Tagged("guest:"+guest),
		fold.On(func(n int, _ guestEntered) int { return n + 1 }))
}

// enter lets a guest into a room that is not full; for a guest in the room it does nothing.
func enter(room, guest string) aggregate.Decision {
	var size int
	var in map[string]bool
	return aggregate.Decision{
		Command: []string{"enter", room, guest},
		Models:  aggregate.Models{holds(room).Into(&size), inside(room).Into(&in)},
		Decide: func() ([]any, error) {
			switch {
			case in[guest]:
				return nil, nil
			case len(in) >= size:
				return nil, errFull
			}
			return []any{guestEntered{Room: room, Guest: guest}}, nil
		},
	}
}

// record is a decision without a condition.
func record(events ...any) aggregate.Decision {
	var n int
	return aggregate.Decision{
		Command: events,
		Models:  aggregate.Models{visits("nobody").Into(&n)},
		Decide:  func() ([]any, error) { return events, nil },
	}
}

func newDecisions(t testing.TB, store eventstore.Store, opts *aggregate.Options) *aggregate.Decisions {
	t.Helper()
	d, err := aggregate.NewDecisions(store, roomRegistry(t), opts)
	require.NoError(t, err)
	return d
}

func carry(t testing.TB, d *aggregate.Decisions, decision aggregate.Decision) aggregate.Decided {
	t.Helper()
	decided, err := d.Execute(t.Context(), decision)
	require.NoError(t, err)
	return decided
}

// load returns the state of a model.
func load[S any](t testing.TB, d *aggregate.Decisions, model aggregate.Model[S]) S {
	t.Helper()
	var state S
	_, err := d.Load(t.Context(), model.Into(&state))
	require.NoError(t, err)
	return state
}

func TestModel_TakesWhatItAsksFor(t *testing.T) {
	d := newDecisions(t, newStore(t), nil)
	require.Zero(t, load(t, d, holds("a")))
	require.Equal(t, map[string]bool{}, load(t, d, inside("a")), "Initial, in an empty log")
	carry(t, d, record(
		roomOpened{"a", 2}, guestEntered{"a", "ann"}, roomOpened{"b", 3}, guestEntered{"b", "bob"},
		guestLeft{"a", "ann"}, guestEntered{"b", "ann"}, counted{Name: "ann", N: 1},
	))
	require.Equal(t, 2, load(t, d, holds("a")))
	require.Equal(t, map[string]bool{}, load(t, d, inside("a")))
	require.Equal(t, map[string]bool{"bob": true, "ann": true}, load(t, d, inside("b")))
	require.Equal(t, 2, load(t, d, visits("ann")))

	everywhere := aggregate.NewModel(eventstore.All(), fold.On(func(n int, _ guestEntered) int { return n + 1 }))
	require.Equal(t, 3, load(t, d, everywhere))
	both := aggregate.NewModel(aggregate.Tagged("guest:ann", "room:b"), fold.On(func(n int, _ guestEntered) int { return n + 1 }))
	require.Equal(t, 1, load(t, d, both))
}

func TestModel_QueryWithTypesOfItsOwn(t *testing.T) {
	d := newDecisions(t, newStore(t), nil)
	carry(t, d, record(guestEntered{"a", "ann"}, guestLeft{"a", "ann"}, guestEntered{"b", "ann"}, guestEntered{"a", "bob"}, guestLeft{"b", "ann"}))
	seen := aggregate.NewModel(
		eventstore.Match(
			eventstore.Item{Types: []string{"room.entered"}, Tags: []eventstore.Tag{"guest:ann"}},
			eventstore.Item{Types: []string{"room.left"}, Tags: []eventstore.Tag{"room:b"}},
		),
		fold.On(func(s []string, e guestEntered) []string { return append(s, "in "+e.Room) }),
		fold.On(func(s []string, e guestLeft) []string { return append(s, "out "+e.Room) }))
	require.Equal(t, []string{"in a", "in b", "out b"}, load(t, d, seen))
}

func TestOn_Interface(t *testing.T) {
	d := newDecisions(t, newStore(t), nil)
	carry(t, d, record(roomOpened{"a", 2}, guestEntered{"a", "ann"}, counted{Name: "x", N: 1}, guestLeft{"b", "ann"}))
	rooms := aggregate.NewModel(eventstore.All(),
		fold.On(func(s []string, e roomEvent) []string { return append(s, fmt.Sprintf("%T of %s", e, e.room())) }))
	require.Equal(t, []string{
		"aggregate_test.roomOpened of a", "aggregate_test.guestEntered of a", "aggregate_test.guestLeft of b",
	}, load(t, d, rooms))
}

func TestOnEvent_SeesWhatIsStored(t *testing.T) {
	d := newDecisions(t, newStore(t), nil)
	ctx := eventstore.WithActor(eventstore.WithTime(t.Context(), day), "porter")
	_, err := d.Execute(ctx, record(append(aggregate.In("room-a", guestEntered{"a", "ann"}), guestEntered{"b", "ann"})...))
	require.NoError(t, err)
	seen := aggregate.NewModel(aggregate.Tagged("guest:ann"),
		fold.OnEvent(func(s []string, e fold.Event[guestEntered]) []string {
			require.Equal(t, day, e.Time)
			return append(s, fmt.Sprintf("%d %q %d %s %s", e.Position, e.Stream, e.Version, e.Metadata.Actor(), e.Data.Room))
		}))
	require.Equal(t, []string{`1 "room-a" 1 porter a`, `2 "" 0 porter b`}, load(t, d, seen))
}

func TestModel_Last(t *testing.T) {
	store := &counting{Store: newStore(t)}
	d := newDecisions(t, store, nil)
	last := aggregate.NewModel(aggregate.Tagged("guest:ann"),
		fold.On(func(rooms []string, e guestEntered) []string { return append(rooms, e.Room) }))
	last.Last = true
	require.Empty(t, load(t, d, last))
	carry(t, d, record(guestEntered{"a", "ann"}, guestEntered{"b", "ann"}, guestEntered{"c", "bob"}, guestLeft{"b", "ann"}))
	store.yielded = 0
	require.Equal(t, []string{"b"}, load(t, d, last))
	require.Equal(t, 1, store.yielded)

	var rooms []string
	var n int
	_, err := d.Load(t.Context(), last.Into(&rooms), visits("ann").Into(&n))
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, rooms)
	require.Equal(t, 2, n, "others see all")
}

func TestDecisions_ManyModels(t *testing.T) {
	store := &counting{Store: newStore(t)}
	d := newDecisions(t, store, nil)
	limit := eventstore.StandardLimits().ItemsPerQuery
	var events []any
	counts := make([]int, 3*limit)
	var models aggregate.Models
	for i := range counts {
		guest := fmt.Sprint("g", i)
		events = append(events, guestEntered{"a", guest}, guestEntered{"b", guest})
		models = append(models, visits(guest).Into(&counts[i]))
	}
	carry(t, d, record(events...))
	store.reads = 0
	carry(t, d, aggregate.Decision{Models: models, Decide: func() ([]any, error) {
		for i := range counts {
			require.Equal(t, 2, counts[i])
		}
		return []any{guestEntered{"c", "g0"}}, nil
	}})
	require.Equal(t, 3, store.reads, "as few as the limit of items allows")
	require.Equal(t, 3, load(t, d, visits("g0")))
}

// TestDecisions_ModelsWithManyNames: models are read together only as far as a query may have
// as many names as they have together.
func TestDecisions_ModelsWithManyNames(t *testing.T) {
	store := &counting{Store: newStore(t)}
	d := newDecisions(t, store, nil)
	carry(t, d, record(guestEntered{"a", "ann"}))
	limits := eventstore.StandardLimits()
	counts := make([]int, limits.NamesPerQuery/limits.NamesPerItem+1)
	var models aggregate.Models
	for i := range counts {
		item := eventstore.Item{Types: []string{"room.entered"}}
		for n := range limits.NamesPerItem - 1 {
			item.Streams = append(item.Streams, eventstore.StreamID(fmt.Sprintf("room-%d-%d", i, n)))
		}
		models = append(models, aggregate.NewModel(eventstore.Match(item),
			fold.On(func(n int, _ guestEntered) int { return n + 1 })).Into(&counts[i]))
	}
	store.reads = 0
	_, err := d.Load(t.Context(), models...)
	require.NoError(t, err)
	require.Equal(t, 2, store.reads)

	item := eventstore.Item{Types: []string{"room.entered"}}
	for n := range limits.NamesPerItem {
		item.Streams = append(item.Streams, eventstore.StreamID(fmt.Sprint("room-", n)))
	}
	_, err = d.Load(t.Context(), aggregate.NewModel(eventstore.Match(item),
		fold.On(func(n int, _ guestEntered) int { return n + 1 })).Into(&counts[0]))
	require.ErrorIs(t, err, eventstore.ErrTooLarge)
}

func TestDecider_Model(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	execute(t, r, t.Context(), "7", count{Name: "a", N: 2})
	execute(t, r, t.Context(), "8", count{Name: "a", N: 5})
	execute(t, r, t.Context(), "7", count{Name: "b", N: 1})
	d := newDecisions(t, store, nil)
	require.Equal(t, tally{Counts: map[string]int{"a": 2, "b": 1}}, load(t, d, decider().Model("7")))
	require.Equal(t, initial(), load(t, d, decider().Model("9")))
	require.Equal(t, r.Stream("7"), decider().Stream("7"))

	var state tally
	_, err := d.Load(t.Context(), decider().Model("").Into(&state))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, `the id of the aggregate is empty (category "tally")`)
}

// As in a repository, a state that leaves out an event would be wrong.
func TestDecider_Model_EventThatIsNoEvent(t *testing.T) {
	for name, strange := range map[string]eventstore.NewEvent{
		"is aggregate_test.foreign": {Type: "foreign", SchemaVersion: 1, Codec: "json", Data: []byte(`{}`)},
		"unknown event type":        {Type: "unknown", SchemaVersion: 1, Codec: "json", Data: []byte(`{}`)},
	} {
		store := newStore(t)
		appendRaw(t, store, "tally-7", strange)
		var state tally
		_, err := newDecisions(t, store, nil).Load(t.Context(), decider().Model("7").Into(&state))
		require.ErrorContains(t, err, name)
		require.ErrorContains(t, err, "position 1")
	}
}

func TestDecider_Decision(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	d := newDecisions(t, store, nil)
	execute(t, r, t.Context(), "7", count{Name: "a", N: 2})
	decided := carry(t, d, decider().Decision("7", count{Name: "a", N: 3, Times: 2}))
	require.Equal(t, []any{counted{"a", 3}, counted{"a", 3}}, decided.Events)
	state, version, err := r.Load(t.Context(), "7")
	require.NoError(t, err)
	require.Equal(t, eventstore.Version(3), version)
	require.Equal(t, 8, state.Counts["a"])

	require.Zero(t, carry(t, d, decider().Decision("7", count{Name: "a"})), "nothing to do")
	carry(t, d, decider().Decision("7", closeTally{}))
	_, err = d.Execute(t.Context(), decider().Decision("7", closeTally{}))
	require.Equal(t, errClosed, err)
}

func TestDecision_Provided(t *testing.T) {
	d := newDecisions(t, newStore(t), nil)
	var n int
	often := errors.New("too often")
	limited := func(guest string) aggregate.Decision {
		return enter("a", guest).Provided(func() error {
			if n >= 2 {
				return often
			}
			return nil
		}, visits(guest).Into(&n))
	}
	carry(t, d, record(roomOpened{"a", 1}))
	carry(t, d, limited("ann"))
	_, err := d.Execute(t.Context(), limited("bob"))
	require.Equal(t, errFull, err, "the decision's own rules hold too")
	carry(t, d, record(guestLeft{"a", "ann"}, guestEntered{"b", "ann"}))
	_, err = d.Execute(t.Context(), limited("ann"))
	require.Equal(t, often, err)
	_, err = d.Execute(t.Context(), enter("b", "cid"))
	require.Equal(t, errFull, err, "room b was never opened")

	_, err = d.Execute(t.Context(), aggregate.Decision{}.Provided(func() error { return nil }, visits("ann").Into(&n)))
	require.ErrorContains(t, err, "Decide is nil")
	_, err = d.Load(t.Context(), visits("a").Into(&n), visits("b").Into(&n))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "models 0 and 1 have one variable")
}

func TestDecisions_Load_GuardsOfOnesOwn(t *testing.T) {
	store := newStore(t)
	d := newDecisions(t, store, nil)
	carry(t, d, record(roomOpened{"a", 1}))
	var size, n int
	guards, err := d.Load(t.Context(), holds("a").Into(&size), visits("ann").Into(&n))
	require.NoError(t, err)
	require.Len(t, guards, 2)
	own := eventstore.Commit{Events: []eventstore.NewEvent{{Type: "own"}}, Guards: guards}
	carry(t, d, record(guestEntered{"a", "bob"}))
	_, err = store.Append(t.Context(), own)
	require.NoError(t, err, "nothing that the models ask for has come")
	carry(t, d, record(guestEntered{"b", "ann"}))
	_, err = store.Append(t.Context(), own)
	var conflict *eventstore.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, 1, conflict.GuardIndex)
	require.ErrorContains(t, err, "guest:ann")
}

// faultyRooms returns decisions under a registry that has an upcaster, and a second
// version of room.opened without a handler.
func faultyRooms(t *testing.T) *aggregate.Decisions {
	registry := roomRegistry(t, olderRooms, func(b *codec.Builder) { codec.Register[struct{ N int }](b, "room.opened", 2) })
	d, err := aggregate.NewDecisions(newStore(t), registry, nil)
	require.NoError(t, err)
	return d
}

func TestDecisions_ModelFaults(t *testing.T) {
	d := faultyRooms(t)
	var n int
	counting := fold.On(func(n int, _ guestEntered) int { return n + 1 })
	of := func(types ...string) aggregate.Model[int] {
		return aggregate.NewModel(eventstore.Match(eventstore.Item{Types: types}), counting)
	}
	type unregistered struct{}
	for want, model := range map[string]aggregate.Model[int]{
		"its query is empty: use eventstore.All() for all events that it has handlers for": {Evolve: []fold.Handler[int]{counting}},

		"query item 0: invalid: names nothing":         aggregate.NewModel(aggregate.Tagged(), counting),
		"query item 0: invalid: tag is empty":          aggregate.NewModel(aggregate.Tagged(""), counting),
		"it has no handlers":                           aggregate.NewModel[int](aggregate.Tagged("x")),
		"handler 1 has no function":                    aggregate.NewModel(aggregate.Tagged("x"), counting, fold.On[int, guestLeft](nil)),
		"handler 0 has no function":                    aggregate.NewModel(aggregate.Tagged("x"), fold.OnEvent[int, guestLeft](nil)),
		"aggregate_test.guestEntered has two handlers": aggregate.NewModel(aggregate.Tagged("x"), counting, counting),
		"unregistered has a handler: Go type aggregate_test.unregistered is not registered": aggregate.NewModel(aggregate.Tagged("x"),
			fold.On(func(n int, _ unregistered) int { return n })),
		"*aggregate_test.guestEntered is not registered, but aggregate_test.guestEntered is": aggregate.NewModel(aggregate.Tagged("x"),
			fold.On(func(n int, _ *guestEntered) int { return n })),
		"no registered type implements it": aggregate.NewModel(aggregate.Tagged("x"),
			fold.On(func(n int, _ fmt.Formatter) int { return n })),

		`the query names "room.came-in", which upcasters make into "room.entered": use that name`: of("room.entered", "room.came-in"),
		`"room.opened" has a handler, but not for its version 2, which is struct { N int }`:       holds("a"),
		`its query names type "room.left", which has no handler`:                                  of("room.entered", "room.left"),
		`type "room.entered" has a handler, but no item of the query names it`:                    of("room.left"),
	} {
		_, err := d.Load(t.Context(), model.Into(&n))
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, "model 0 (of int): ")
		require.ErrorContains(t, err, want)
		_, executed := d.Execute(t.Context(), aggregate.Decision{Models: aggregate.Models{model.Into(&n)}, Decide: func() ([]any, error) {
			t.Error("asked")
			return nil, nil
		}})
		require.ErrorContains(t, executed, want)
	}
}

func TestDecisions_Faults(t *testing.T) {
	d := faultyRooms(t)
	var n int
	_, err := d.Execute(t.Context(), aggregate.Decision{
		Models: aggregate.Models{visits("a").Into(nil), {}, aggregate.NewModel[int](eventstore.Query{}).Into(&n)},
		Decide: func() ([]any, error) { return nil, nil },
	})
	for _, part := range []string{
		"execute decision: invalid: ", "model 0 (of int): Into(nil)", "model 1 is the zero BoundModel", "no handlers", "query is empty",
	} {
		require.ErrorContains(t, err, part, "all at once")
	}
	_, err = d.Execute(t.Context(), aggregate.Decision{Decide: func() ([]any, error) { return nil, nil }})
	require.ErrorContains(t, err, "there are no models, so nothing would be guarded")
	_, err = d.Load(t.Context())
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, err = d.Execute(t.Context(), aggregate.Decision{Models: aggregate.Models{visits("a").Into(&n)}})
	require.ErrorContains(t, err, "Decide is nil")
}

func TestNewDecisions_Faults(t *testing.T) {
	_, err := aggregate.NewDecisions(nil, nil, &aggregate.Options{MaxAttempts: -1})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	for _, part := range []string{"the store is nil", "the registry is nil", "MaxAttempts is negative"} {
		require.ErrorContains(t, err, part)
	}
}
