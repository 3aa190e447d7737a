package command_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

func TestDispatch_If(t *testing.T) {
	d := command.NewDispatcher(command.Validate())
	require.NoError(t, command.Route(d, newCounters(memstore.New(nil)), Command.CounterID))
	ctx := eventstore.WithCommandID(t.Context(), "first")
	for range 2 {
		n, _, err := command.Dispatch[int](ctx, d, Increment{Counter: "7", By: 2}, aggregate.If(0))
		require.NoError(t, err, "sent again, it is answered")
		require.Equal(t, 2, n)
	}
	_, receipt, err := command.Dispatch[int](t.Context(), d, Increment{Counter: "7", By: 2}, aggregate.If(0))
	var conflict *eventstore.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, eventstore.NoStream, conflict.Expected)
	require.Equal(t, eventstore.Version(1), conflict.Actual)
	require.Zero(t, receipt)
	_, _, err = command.Dispatch[int](t.Context(), d, Increment{Counter: "7", By: -2}, aggregate.If(0))
	var invalid *command.ValidationError
	require.ErrorAs(t, err, &invalid, "middleware comes first")
	_, _, err = command.Dispatch[int](t.Context(), d, Increment{Counter: "7", By: 2}, aggregate.Condition{})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

func TestDispatch_IfOneOfManyWins(t *testing.T) {
	const callers = 8
	d := command.NewDispatcher()
	require.NoError(t, command.Route(d, newCounters(memstore.New(nil)), Command.CounterID))
	for v := range eventstore.Version(20) {
		var won atomic.Int32
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				_, _, err := command.Dispatch[int](t.Context(), d, Increment{Counter: "7", By: 1}, aggregate.If(v))
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, eventstore.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, won.Load())
	}
}

// A function would not look at conditions, so nothing runs, also where a middleware
// replaces the command.
func TestDispatch_IfOnAFunction(t *testing.T) {
	ran := false
	d := command.NewDispatcher(func(next command.Handler) command.Handler {
		return func(ctx context.Context, cmd any) (command.Reply, error) {
			ran = true
			if _, replaced := cmd.(Increment); replaced {
				cmd = ping{}
			}
			return next(ctx, cmd)
		}
	})
	require.NoError(t, command.Handle(d, func(context.Context, ping) (int, eventstore.Receipt, error) {
		t.Error("the function was called")
		return 0, eventstore.Receipt{}, nil
	}))
	require.NoError(t, command.Route(d, newCounters(memstore.New(nil)), Command.CounterID))
	_, _, err := command.Dispatch[int](t.Context(), d, ping{}, aggregate.If(1))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "only a command that is routed to a repository can be sent under conditions")
	require.False(t, ran)
	_, _, err = command.Dispatch[int](t.Context(), d, Increment{Counter: "7", By: 1}, aggregate.If(0))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.True(t, ran)
}

// Conditions are of the command that they were given with, not of those that its
// middleware sends.
func TestDispatch_IfIsNotForOthers(t *testing.T) {
	var d *command.Dispatcher
	sent := false
	d = command.NewDispatcher(func(next command.Handler) command.Handler {
		return func(ctx context.Context, cmd any) (command.Reply, error) {
			if !sent {
				sent = true
				_, _, err := command.Dispatch[int](ctx, d, Increment{Counter: "other", By: 1})
				require.NoError(t, err)
				_, _, err = command.DispatchAll(ctx, d, Increment{Counter: "other", By: 1}, Increment{Counter: "third", By: 1})
				require.NoError(t, err)
			}
			return next(ctx, cmd)
		}
	})
	counters := newCounters(memstore.New(nil))
	require.NoError(t, command.Route(d, counters, Command.CounterID))
	for range 5 {
		_, err := counters.Execute(t.Context(), "7", Increment{Counter: "7", By: 1})
		require.NoError(t, err)
	}
	n, _, err := command.Dispatch[int](t.Context(), d, Increment{Counter: "7", By: 1}, aggregate.If(5))
	require.NoError(t, err)
	require.Equal(t, 6, n)
	require.True(t, sent)
}
