package aggregate_test

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

var day = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// counting is a store that counts what is read.
type counting struct {
	eventstore.Store
	reads, yielded int
}

func (s *counting) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	s.reads++
	return func(yield func(eventstore.Event, error) bool) {
		for e, err := range s.Store.Read(ctx, q, opts) {
			s.yielded++
			if !yield(e, err) {
				return
			}
		}
	}
}

// overtaken returns a store in which other programs are faster: the i-th function appends
// something just before the i-th commit.
func overtaken(t *testing.T, others ...func(store eventstore.Store)) *intercepted {
	s := &intercepted{Store: newStore(t)}
	s.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		if len(c.Guards) > 0 && len(others) > 0 {
			other := others[0]
			others = others[1:]
			other(s.Store)
		}
		return s.Store.Append(ctx, c)
	}
	return s
}

func TestDecisions_Execute(t *testing.T) {
	store := newStore(t)
	d := newDecisions(t, store, nil)
	carry(t, d, record(roomOpened{"a", 1}))
	ctx := eventstore.WithTime(eventstore.WithActor(t.Context(), "porter"), day)
	decided, err := d.Execute(ctx, enter("a", "ann"))
	require.NoError(t, err)
	require.Equal(t, []any{guestEntered{"a", "ann"}}, decided.Events)
	require.Equal(t, eventstore.Position(2), decided.Receipt.Last)
	require.False(t, decided.Receipt.Repeated)

	e := logged(t, store)[1]
	require.Equal(t, []eventstore.Tag{"room:a", "guest:ann"}, e.Tags)
	require.Empty(t, e.Stream)
	require.Equal(t, "porter", e.Metadata.Actor())
	require.Equal(t, day, e.Time)
	require.Equal(t, "room.entered", e.Type)

	require.Zero(t, carry(t, d, enter("a", "ann")), "nothing to do")
	decided, err = d.Execute(ctx, enter("a", "bob"))
	require.Equal(t, errFull, err, "as it is")
	require.Equal(t, aggregate.Decided{Refused: true}, decided)
	require.Len(t, logged(t, store), 2)
}

func TestDecisions_Execute_IntoStreams(t *testing.T) {
	store := newStore(t)
	d := newDecisions(t, store, nil)
	into := func(expect ...eventstore.Expect) aggregate.Decision {
		decision := record(append(aggregate.In("room-a", guestLeft{"a", "ann"}, guestLeft{"a", "bob"}),
			append(aggregate.In("room-b", guestEntered{"b", "ann"}), roomOpened{"c", 1})...)...)
		decision.Expect = expect
		return decision
	}
	decided := carry(t, d, into(eventstore.Expect{Stream: "room-a", At: eventstore.NoStream}))
	require.Equal(t, []any{guestLeft{"a", "ann"}, guestLeft{"a", "bob"}, guestEntered{"b", "ann"}, roomOpened{"c", 1}}, decided.Events)
	require.Equal(t, []eventstore.StreamHead{{Stream: "room-a", Version: 2}, {Stream: "room-b", Version: 1}}, decided.Receipt.Heads)
	carry(t, d, into())
	var streams []eventstore.StreamID
	for _, e := range logged(t, store) {
		streams = append(streams, e.Stream)
	}
	once := []eventstore.StreamID{"room-a", "room-a", "room-b", ""}
	require.Equal(t, append(once, once...), streams)

	_, err := d.Execute(t.Context(), into(eventstore.Expect{Stream: "room-z", At: eventstore.Exists}))
	require.ErrorIs(t, err, eventstore.ErrConflict, "of a stream that is not written")
}

func TestDecisions_Execute_ExpectationThatCannotHold(t *testing.T) {
	attempts := 0
	s := &intercepted{Store: newStore(t)}
	s.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		attempts++
		return s.Store.Append(ctx, c)
	}
	appendRaw(t, s.Store, "room-a", eventstore.NewEvent{Type: "foreign"})
	decision := record(aggregate.In("room-a", roomOpened{"a", 1})...)
	decision.Expect = []eventstore.Expect{{Stream: "room-a", At: eventstore.NoStream}}
	_, err := newDecisions(t, s, nil).Execute(t.Context(), decision)
	var conflict *eventstore.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, eventstore.StreamID("room-a"), conflict.Stream)
	require.Equal(t, 1, attempts, "another attempt would know no more")
}

// After a failed expectation Decide is called again, and can refuse with an error of its own.
func TestDecisions_Execute_ExpectationOvertaken(t *testing.T) {
	store := overtaken(t, func(store eventstore.Store) {
		carry(t, newDecisions(t, store, nil), record(aggregate.In("room-a", roomOpened{"a", 1})...))
	})
	var size int
	opened := errors.New("the room is open")
	_, err := newDecisions(t, store, nil).Execute(t.Context(), aggregate.Decision{
		Models: aggregate.Models{holds("a").Into(&size)},
		Decide: func() ([]any, error) {
			if size > 0 {
				return nil, opened
			}
			return aggregate.In("room-a", roomOpened{"a", 2}), nil
		},
		Expect: []eventstore.Expect{{Stream: "room-a", At: eventstore.NoStream}},
	})
	require.Equal(t, opened, err)
}

// What In returns can be an element of what Decide returns.
func TestDecisions_Execute_EventsForTwoStreams(t *testing.T) {
	store := newStore(t)
	d := newDecisions(t, store, nil)
	decided, err := d.Execute(t.Context(), record(
		aggregate.In[any]("room-a", roomOpened{"a", 1}, guestEntered{"a", "ann"}),
		[]any{aggregate.In("room-b", roomOpened{"b", 1}), roomOpened{"c", 1}},
	))
	require.NoError(t, err)
	require.Equal(t, []any{roomOpened{"a", 1}, guestEntered{"a", "ann"}, roomOpened{"b", 1}, roomOpened{"c", 1}}, decided.Events)
	var streams []eventstore.StreamID
	for _, e := range logged(t, store) {
		streams = append(streams, e.Stream)
	}
	require.Equal(t, []eventstore.StreamID{"room-a", "room-a", "room-b", ""}, streams)

	decided, err = d.Execute(t.Context(), record(aggregate.In[any]("room-a")))
	require.NoError(t, err)
	require.Zero(t, decided, "no events for a stream are nothing to do")
	require.Len(t, logged(t, store), 4)
}

func TestDecisions_Execute_EventsThatCannotBe(t *testing.T) {
	store := newStore(t)
	d := newDecisions(t, store, nil)
	_, err := d.Execute(t.Context(), record(struct{ X int }{}))
	var unregistered *codec.UnregisteredTypeError
	require.ErrorAs(t, err, &unregistered)
	_, err = d.Execute(t.Context(), record(aggregate.In("", roomOpened{"a", 1})...))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "event 0 (aggregate_test.roomOpened) is for a stream without a name")
	_, err = d.Execute(t.Context(), record(nil...))
	require.NoError(t, err)
	require.Empty(t, logged(t, store))
}

func TestDecisions_Execute_Overtaken(t *testing.T) {
	for name, other := range map[string]any{
		"by one who takes the seat":  guestEntered{"a", "bob"},
		"by one who takes the chair": roomOpened{"a", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inner := overtaken(t, func(store eventstore.Store) { carry(t, newDecisions(t, store, nil), record(other)) })
			carry(t, newDecisions(t, inner.Store, nil), record(roomOpened{"a", 1}, roomOpened{"b", 1}))
			store := &counting{Store: inner}
			_, err := newDecisions(t, store, nil).Execute(t.Context(), enter("a", "ann"))
			require.Equal(t, errFull, err)
			require.Equal(t, 2, store.yielded, "the second attempt reads what is new")
		})
	}
}

func TestDecisions_Execute_OvertakenInAnEmptyLog(t *testing.T) {
	store := overtaken(t, func(store eventstore.Store) {
		carry(t, newDecisions(t, store, nil), record(roomOpened{"a", 1}))
	})
	var size int
	_, err := newDecisions(t, store, nil).Execute(t.Context(), aggregate.Decision{
		Models: aggregate.Models{holds("a").Into(&size)},
		Decide: func() ([]any, error) { return []any{roomOpened{"a", size + 10}}, nil },
	})
	require.NoError(t, err)
	require.Equal(t, 11, load(t, newDecisions(t, store, nil), holds("a")))
}

// late is a store to which another program appends just after each call of Head.
type late struct {
	eventstore.Store
	then func()
}

func (s *late) Head(ctx context.Context) (eventstore.Position, error) {
	head, err := s.Store.Head(ctx)
	if then := s.then; then != nil {
		s.then = nil
		then()
	}
	return head, err
}

func TestDecisions_Execute_DecidesAsOfOnePosition(t *testing.T) {
	for _, before := range [][]any{nil, {roomOpened{"x", 1}}} {
		store := &late{Store: newStore(t)}
		other := newDecisions(t, store.Store, nil)
		carry(t, other, record(before...))
		store.then = func() { carry(t, other, record(guestEntered{"a", "ann"})) }
		var n int
		var asked []int
		carry(t, newDecisions(t, store, nil), aggregate.Decision{
			Models: aggregate.Models{visits("ann").Into(&n)},
			Decide: func() ([]any, error) {
				asked = append(asked, n)
				return []any{guestEntered{"b", "ann"}}, nil
			},
		})
		require.Equal(t, []int{0, 1}, asked, "what comes after the head is read once, by the next attempt")
	}
}

func TestDecisions_Execute_OthersAreNoConflict(t *testing.T) {
	store := overtaken(t, func(store eventstore.Store) {
		carry(t, newDecisions(t, store, nil), record(roomOpened{"b", 1}, guestEntered{"b", "ann"}, counted{"a", 1}))
	})
	carry(t, newDecisions(t, store.Store, nil), record(roomOpened{"a", 1}))
	decided := carry(t, newDecisions(t, store, &aggregate.Options{MaxAttempts: 1}), enter("a", "ann"))
	require.Equal(t, eventstore.Position(5), decided.Receipt.Last)
}

func TestDecisions_Execute_GivesUp(t *testing.T) {
	other := func(store eventstore.Store) {
		carry(t, newDecisions(t, store, nil), record(guestEntered{"a", "bob"}, guestLeft{"a", "bob"}))
	}
	store := overtaken(t, other, other, other, other)
	carry(t, newDecisions(t, store.Store, nil), record(roomOpened{"a", 1}))
	_, err := newDecisions(t, store, &aggregate.Options{MaxAttempts: 3}).Execute(t.Context(), enter("a", "ann"))
	require.ErrorIs(t, err, eventstore.ErrConflict)
	for _, part := range []string{"gave up after 3 attempts", "room:a", "room.entered"} {
		require.ErrorContains(t, err, part, "what was asked for, and what came")
	}
	var conflict *eventstore.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, 1, conflict.GuardIndex, "which model")
}

func TestDecisions_Execute_ContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := overtaken(t, func(store eventstore.Store) {
		carry(t, newDecisions(t, store, nil), record(guestEntered{"a", "bob"}))
		cancel()
	})
	store.append = func(append func(context.Context, eventstore.Commit) (eventstore.Receipt, error)) func(context.Context, eventstore.Commit) (eventstore.Receipt, error) {
		return func(_ context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			return append(t.Context(), c)
		}
	}(store.append)
	carry(t, newDecisions(t, store.Store, nil), record(roomOpened{"a", 2}))
	_, err := newDecisions(t, store, nil).Execute(ctx, enter("a", "ann"))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "waiting to retry after 1 attempts")
}

func TestDecisions_Execute_RepeatedCommand(t *testing.T) {
	store := newStore(t)
	d := newDecisions(t, store, nil)
	carry(t, d, record(roomOpened{"a", 1}))
	ctx := eventstore.WithCommandID(t.Context(), "k-1")
	first, err := d.Execute(ctx, enter("a", "ann"))
	require.NoError(t, err)
	carry(t, d, record(guestLeft{"a", "ann"}, guestEntered{"a", "bob"}))

	decision := enter("a", "ann") // refused by now
	decision.Decide = func() ([]any, error) {
		t.Error("asked again")
		return nil, errFull
	}
	again, err := d.Execute(ctx, decision)
	require.NoError(t, err)
	require.True(t, again.Receipt.Repeated)
	again.Receipt.Repeated = false
	require.Equal(t, first, again)
	require.Equal(t, "k-1", logged(t, store)[1].Metadata.CommandID())
	require.Len(t, logged(t, store), 4)
}

// blindRooms is a store whose first lookups find nothing, as if another program
// carried out the command just after them.
func blindRooms(t *testing.T, lookups int32) *aggregate.Decisions {
	var n atomic.Int32
	s := &intercepted{Store: newStore(t)}
	s.lookup = func(ctx context.Context, key string) (eventstore.Receipt, bool, error) {
		if n.Add(1) <= lookups {
			return eventstore.Receipt{}, false, nil
		}
		return s.Store.Lookup(ctx, key)
	}
	d := newDecisions(t, s, nil)
	carry(t, d, record(roomOpened{"a", 1}))
	return d
}

func TestDecisions_Execute_LooksAgain(t *testing.T) {
	ctx := eventstore.WithCommandID(t.Context(), "k")
	repeat := func(d *aggregate.Decisions, first, second aggregate.Decision) {
		t.Helper()
		first.Command, second.Command = "the same", "the same"
		before, err := d.Execute(ctx, first)
		require.NoError(t, err)
		again, err := d.Execute(ctx, second)
		require.NoError(t, err)
		require.True(t, again.Receipt.Repeated)
		require.Equal(t, before.Events, again.Events)
		require.Equal(t, before.Receipt.First, again.Receipt.First)
	}
	repeat(blindRooms(t, 2), enter("a", "ann"), enter("a", "bob"))                 // refused: full
	repeat(blindRooms(t, 2), enter("a", "ann"), enter("a", "ann"))                 // nothing to do
	repeat(blindRooms(t, 2), record(guestLeft{"a", "x"}), record(foreign{}))       // it is the append that finds out
	repeat(blindRooms(t, 0), record(guestLeft{"a", "x"}), enter("a", "whoever"))   // at once
	repeat(blindRooms(t, 0), record(foreign{}, closed{}), record(roomOpened{}, 3)) // whatever it would be
}

func TestDecisions_Execute_RejectionIsNotRemembered(t *testing.T) {
	d := newDecisions(t, newStore(t), nil)
	ctx := eventstore.WithCommandID(t.Context(), "k")
	_, err := d.Execute(ctx, enter("a", "ann"))
	require.Equal(t, errFull, err)
	carry(t, d, record(roomOpened{"a", 1}))
	decided, err := d.Execute(ctx, enter("a", "ann"))
	require.NoError(t, err)
	require.False(t, decided.Receipt.Repeated)
}

func TestDecisions_Execute_FailedLookupIsNoRejection(t *testing.T) {
	broken := errors.New("broken")
	for failing := range 2 {
		s := &intercepted{Store: newStore(t)}
		lookups := 0
		s.lookup = func(context.Context, string) (eventstore.Receipt, bool, error) {
			if lookups++; lookups > failing {
				return eventstore.Receipt{}, false, broken
			}
			return eventstore.Receipt{}, false, nil
		}
		_, err := newDecisions(t, s, nil).Execute(eventstore.WithCommandID(t.Context(), "k"), enter("a", "ann"))
		require.ErrorIs(t, err, broken)
		require.NotErrorIs(t, err, errFull)
		require.ErrorContains(t, err, `look up command id "k"`)
	}
}

func TestDecisions_Execute_VariablesAreSetAnew(t *testing.T) {
	store := overtaken(t, func(store eventstore.Store) {
		carry(t, newDecisions(t, store, nil), record(guestEntered{"b", "ann"}))
	})
	var n int
	decided := carry(t, newDecisions(t, store, nil), aggregate.Decision{
		Models: aggregate.Models{visits("ann").Into(&n)},
		Decide: func() ([]any, error) {
			n += 100 // which is not allowed
			return []any{roomOpened{"c", n}}, nil
		},
	})
	require.Equal(t, []any{roomOpened{"c", 101}}, decided.Events)
}

func TestDecide_IsAHandler(t *testing.T) {
	d := newDecisions(t, newStore(t), nil)
	carry(t, d, record(roomOpened{"a", 1}))
	require.Nil(t, aggregate.CommandHandler[string](d, nil))
	require.Nil(t, aggregate.CommandHandler(nil, func(string) aggregate.Decision { return aggregate.Decision{} }))
	handle := aggregate.CommandHandler(d, func(guest string) aggregate.Decision { return enter("a", guest) })
	decided, receipt, err := handle(t.Context(), "ann")
	require.NoError(t, err)
	require.Equal(t, decided.Receipt, receipt)
	require.Equal(t, eventstore.Position(2), receipt.Last)
	_, _, err = handle(t.Context(), "bob")
	require.Equal(t, errFull, err)
}

func TestDecisions_Load_EventThatCannotBeDecoded(t *testing.T) {
	store := newStore(t)
	_, err := store.Append(t.Context(), eventstore.Commit{Events: []eventstore.NewEvent{
		{Type: "room.entered", SchemaVersion: 1, Codec: "json", Data: []byte(`[]`), Tags: []eventstore.Tag{"guest:ann"}},
	}})
	require.NoError(t, err)
	d := newDecisions(t, store, nil)
	var n int
	_, err = d.Load(t.Context(), visits("ann").Into(&n))
	require.ErrorContains(t, err, `load models: position 1: decode aggregate_test.guestEntered as "room.entered" version 1`)
	require.Zero(t, load(t, d, visits("bob")), "what is not asked for is not looked at")
}
