package command_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

type (
	ping struct{ N int }
	pong int
)

func (p pong) String() string { return fmt.Sprintf("pong %d", int(p)) }

func onPing(_ context.Context, cmd ping) (pong, eventstore.Receipt, error) {
	return pong(cmd.N), eventstore.Receipt{First: 1, Last: 2}, nil
}

func TestDispatch_Handle(t *testing.T) {
	d := command.NewDispatcher()
	require.NoError(t, command.Handle(d, onPing))
	result, receipt, err := command.Dispatch[pong](t.Context(), d, ping{N: 3})
	require.NoError(t, err)
	require.Equal(t, pong(3), result)
	require.Equal(t, eventstore.Receipt{First: 1, Last: 2}, receipt)
}

func TestDispatch_ResultType(t *testing.T) {
	ran := false
	d := command.NewDispatcher(func(next command.Handler) command.Handler {
		return func(ctx context.Context, cmd any) (command.Reply, error) {
			ran = true
			return next(ctx, cmd)
		}
	})
	require.NoError(t, command.Handle(d, onPing))
	require.NoError(t, command.Handle(d, func(context.Context, string) (fmt.Stringer, eventstore.Receipt, error) {
		return nil, eventstore.Receipt{}, nil
	}))

	_, _, err := command.Dispatch[int](t.Context(), d, ping{})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.EqualError(t, err, "dispatch command_test.ping: invalid: its result is command_test.pong, not int")
	_, _, err = command.Dispatch[io.Reader](t.Context(), d, ping{})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, _, err = command.Dispatch[pong](t.Context(), d, "x")
	require.ErrorIs(t, err, eventstore.ErrInvalid, "the handler's interface may hold anything")
	require.False(t, ran, "before any middleware")

	s, _, err := command.Dispatch[fmt.Stringer](t.Context(), d, ping{N: 3})
	require.NoError(t, err)
	require.Equal(t, "pong 3", s.String())
	a, _, err := command.Dispatch[any](t.Context(), d, ping{N: 3})
	require.NoError(t, err)
	require.Equal(t, pong(3), a)
	s, _, err = command.Dispatch[fmt.Stringer](t.Context(), d, "x")
	require.NoError(t, err)
	require.Nil(t, s)
}

func TestDispatch_ErrorIsTheHandlersOwn(t *testing.T) {
	broken := errors.New("broken")
	d := command.NewDispatcher()
	require.NoError(t, command.Handle(d, func(context.Context, ping) (pong, eventstore.Receipt, error) {
		return 7, eventstore.Receipt{Last: 1}, broken
	}))
	result, receipt, err := command.Dispatch[pong](t.Context(), d, ping{})
	require.True(t, err == broken) //nolint:errorlint // it must be the very error, not one that wraps it
	require.Equal(t, pong(7), result)
	require.Equal(t, eventstore.Position(1), receipt.Last)
}

func TestDispatch_UnknownCommand(t *testing.T) {
	d := command.NewDispatcher()
	require.NoError(t, command.Handle(d, onPing))
	for cmd, want := range map[any]command.UnknownCommandError{
		1:       {Type: reflect.TypeFor[int]()},
		&ping{}: {Type: reflect.TypeFor[*ping](), Pointer: true},
		nil:     {},
	} {
		_, _, err := command.Dispatch[any](t.Context(), d, cmd)
		var unknown *command.UnknownCommandError
		require.ErrorAs(t, err, &unknown)
		require.Equal(t, want, *unknown)
		require.NotEmpty(t, err.Error())
	}
	_, _, err := command.Dispatch[any](t.Context(), d, &ping{})
	require.ErrorContains(t, err, "send the value, not a pointer")
}

func TestHandle_Faults(t *testing.T) {
	d := command.NewDispatcher()
	require.NoError(t, command.Handle(d, onPing))
	err := command.Handle(d, onPing)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.EqualError(t, err, "handle command_test.ping: invalid: it has a handler already")
	require.ErrorIs(t, command.Handle[int, int](d, nil), eventstore.ErrInvalid)
	err = command.Handle(d, func(context.Context, Command) (int, eventstore.Receipt, error) { return 0, eventstore.Receipt{}, nil })
	require.ErrorContains(t, err, "use Route")
	_, _, err = command.Dispatch[any](t.Context(), d, 1)
	require.Error(t, err, "what was refused is not registered")
}

// Two families, of shelves and of books; move belongs to both.
type (
	shelfCommand interface{ Shelf() string }
	bookCommand  interface{ Book() string }
	dust         struct{}
	read         struct{}
	move         struct{}
)

func (dust) Shelf() string { return "1" }
func (read) Book() string  { return "1" }
func (move) Shelf() string { return "1" }
func (move) Book() string  { return "1" }

// repository returns one of aggregates that have the name as their state and
// refuse to be read.
func repository[C any](t *testing.T, store eventstore.Store, name string) *aggregate.Repository[string, C, Incremented] {
	r, err := aggregate.NewRepository(store, newRegistry(t), aggregate.Decider[string, C, Incremented]{
		Category: name,
		Initial:  func() string { return name },
		Decide: func(_ string, cmd C) ([]Incremented, error) {
			if _, refused := any(cmd).(read); refused {
				return nil, errRead
			}
			return []Incremented{{By: 1}}, nil
		},
		Evolve: func(s string, _ Incremented) string { return s },
	}, nil)
	require.NoError(t, err)
	return r
}

var errRead = errors.New("no reading here")

func TestDispatch_Route(t *testing.T) {
	store := memstore.New(nil)
	d := command.NewDispatcher()
	require.NoError(t, command.Route(d, repository[shelfCommand](t, store, "shelf"), shelfCommand.Shelf))
	require.NoError(t, command.Route(d, repository[bookCommand](t, store, "book"), bookCommand.Book))

	state, receipt, err := command.Dispatch[string](t.Context(), d, dust{})
	require.NoError(t, err)
	require.Equal(t, "shelf", state)
	require.Equal(t, []eventstore.StreamHead{{Stream: "shelf-1", Version: 1}}, receipt.Heads)

	state, receipt, err = command.Dispatch[string](t.Context(), d, read{})
	require.True(t, err == errRead) //nolint:errorlint // it must be the very error, not one that wraps it
	require.Equal(t, "book", state, "the state comes with a refusal too")
	require.Zero(t, receipt)
}

func TestDispatch_TwoFamilies(t *testing.T) {
	store := memstore.New(nil)
	d := command.NewDispatcher()
	require.NoError(t, command.Route(d, repository[shelfCommand](t, store, "shelf"), shelfCommand.Shelf))
	require.NoError(t, command.Route(d, repository[bookCommand](t, store, "book"), bookCommand.Book))
	_, _, err := command.Dispatch[any](t.Context(), d, move{})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "command_test.move")
	require.ErrorContains(t, err, "command_test.shelfCommand and command_test.bookCommand")

	require.NoError(t, command.Handle(d, func(context.Context, move) (int, eventstore.Receipt, error) { return 1, eventstore.Receipt{}, nil }))
	n, _, err := command.Dispatch[int](t.Context(), d, move{})
	require.NoError(t, err)
	require.Equal(t, 1, n, "the exact type comes first")
}

func TestRoute_Faults(t *testing.T) {
	type both interface {
		shelfCommand
		bookCommand
	}
	store := memstore.New(nil)
	d := command.NewDispatcher()
	shelves := repository[shelfCommand](t, store, "shelf")
	require.NoError(t, command.Route(d, shelves, shelfCommand.Shelf))
	require.ErrorContains(t, command.Route(d, shelves, shelfCommand.Shelf), "it is routed already")
	require.ErrorIs(t, command.Route(d, shelves, nil), eventstore.ErrInvalid)
	require.ErrorIs(t, command.Route[string, bookCommand, Incremented](d, nil, bookCommand.Book), eventstore.ErrInvalid)

	err := command.Route(d, repository[both](t, store, "both"), both.Shelf)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "command_test.shelfCommand")
	err = command.Route(d, repository[any](t, store, "any"), func(any) string { return "1" })
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

func TestRoute_OneType(t *testing.T) {
	d := command.NewDispatcher()
	require.NoError(t, command.Route(d, repository[dust](t, memstore.New(nil), "shelf"), dust.Shelf))
	_, receipt, err := command.Dispatch[string](t.Context(), d, dust{})
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(1), receipt.Last)
	require.ErrorContains(t, command.Route(d, repository[dust](t, memstore.New(nil), "x"), dust.Shelf), "it has a handler already")
}

func TestDispatcher_RegistrationDuringDispatch(t *testing.T) {
	d := command.NewDispatcher()
	require.NoError(t, command.Handle(d, onPing))
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 1000 {
			if _, _, err := command.Dispatch[pong](t.Context(), d, ping{}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		if err := command.Route(d, repository[shelfCommand](t, memstore.New(nil), "shelf"), shelfCommand.Shelf); err != nil {
			t.Error(err)
		}
		if err := command.Handle(d, func(context.Context, int) (int, eventstore.Receipt, error) { return 0, eventstore.Receipt{}, nil }); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
}

func TestDispatcher_HandlerMayDispatchAndRegister(t *testing.T) {
	d := command.NewDispatcher()
	require.NoError(t, command.Handle(d, onPing))
	require.NoError(t, command.Handle(d, func(ctx context.Context, n int) (pong, eventstore.Receipt, error) {
		if err := command.Handle(d, func(context.Context, string) (int, eventstore.Receipt, error) { return 0, eventstore.Receipt{}, nil }); err != nil {
			return 0, eventstore.Receipt{}, err
		}
		return command.Dispatch[pong](ctx, d, ping{N: n})
	}))
	result, _, err := command.Dispatch[pong](t.Context(), d, 5)
	require.NoError(t, err)
	require.Equal(t, pong(5), result)
}

func TestDispatch_ARouteGivesTheStateOrTheWholeResult(t *testing.T) {
	store := memstore.New(nil)
	d := command.NewDispatcher()
	require.NoError(t, command.Route(d, newCounters(store), Command.CounterID))
	state, _, err := command.Dispatch[int](t.Context(), d, Increment{Counter: "7", By: 2})
	require.NoError(t, err)
	require.Equal(t, 2, state)

	result, receipt, err := command.Dispatch[aggregate.Result[int, Incremented]](t.Context(), d, Increment{Counter: "7", By: 3})
	require.NoError(t, err)
	require.Equal(t, aggregate.Result[int, Incremented]{
		State: 5, Version: 2, Events: []Incremented{{By: 3}}, Receipt: receipt,
	}, result)

	_, _, err = command.Dispatch[aggregate.Result[int, string]](t.Context(), d, Increment{Counter: "7", By: 3})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	anything, _, err := command.Dispatch[any](t.Context(), d, Increment{Counter: "7", By: 3})
	require.NoError(t, err)
	require.Equal(t, 8, anything)
}
