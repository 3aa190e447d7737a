package command_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/command"
)

// spans records the arguments of hooks.
type spans struct{ told []string }

type depth struct{}

func (s *spans) begin(ctx context.Context, what string) (context.Context, func(command.Reply, error)) {
	n, _ := ctx.Value(depth{}).(int)
	s.told = append(s.told, fmt.Sprintf("%d %s", n, what))
	return context.WithValue(ctx, depth{}, n+1), func(r command.Reply, err error) {
		s.told = append(s.told, fmt.Sprintf("%d %s: %v %d %v", n, what, r.Result, r.Receipt.Last, err))
	}
}

func (s *spans) hooks(name string) command.Hooks {
	return command.Hooks{
		Dispatch: func(ctx context.Context, cmd any) (context.Context, func(command.Reply, error)) {
			return s.begin(ctx, fmt.Sprintf("%s %T", name, cmd))
		},
		Batch: func(ctx context.Context, cmds []any) (context.Context, func(command.Reply, error)) {
			return s.begin(ctx, fmt.Sprintf("%s batch of %d", name, len(cmds)))
		},
	}
}

func TestDispatcher_Observe(t *testing.T) {
	var s spans
	seen := 0
	d, _ := newHousehold(t, func(next command.Handler) command.Handler {
		return func(ctx context.Context, cmd any) (command.Reply, error) {
			seen, _ = ctx.Value(depth{}).(int)
			return next(ctx, cmd)
		}
	})
	d.Observe(s.hooks("a"))
	d.Observe(command.Hooks{})
	d.Observe(s.hooks("b"))
	_, _, err := command.Dispatch[pong](t.Context(), d, ping{N: 3})
	require.NoError(t, err)
	require.Equal(t, 2, seen, "the hooks' context reaches the middleware")
	_, _, err = command.Dispatch[int](t.Context(), d, ping{N: 3})
	require.Error(t, err)
	_, _, err = command.Dispatch[any](t.Context(), d, 1)
	require.Error(t, err)
	require.Equal(t, []string{
		"0 a command_test.ping", "1 b command_test.ping",
		"1 b command_test.ping: pong 3 2 <nil>", "0 a command_test.ping: pong 3 2 <nil>",
		"0 a command_test.ping", "1 b command_test.ping",
		"1 b command_test.ping: <nil> 0 dispatch command_test.ping: invalid: its result is command_test.pong, not int",
		"0 a command_test.ping: <nil> 0 dispatch command_test.ping: invalid: its result is command_test.pong, not int",
		"0 a int", "1 b int", "1 b int: <nil> 0 no handler for command int", "0 a int: <nil> 0 no handler for command int",
	}, s.told)
}

func TestDispatcher_Observe_Batch(t *testing.T) {
	var s spans
	d, _ := newHousehold(t)
	d.Observe(s.hooks("a"))
	_, _, err := command.DispatchAll(t.Context(), d, dust{}, dust{})
	require.NoError(t, err)
	_, _, err = command.DispatchAll(t.Context(), d, put{"1", -1})
	require.Error(t, err)
	require.Equal(t, "0 a batch of 2", s.told[0])
	require.Equal(t, []string{"1 a command_test.dust", "1 a command_test.dust"}, s.told[1:3], "both within the batch, none within the other")
	require.Contains(t, s.told[3], " 2 <nil>")
	require.Equal(t, "0 a batch of 2: [shelf shelf] 2 <nil>", s.told[5])
	require.Equal(t, []string{
		"0 a batch of 1", "1 a command_test.put",
		"1 a command_test.put: <nil> 0 command 0 (command_test.put) on stream \"purse-1\": the purse is empty",
		"0 a batch of 1: <nil> 0 command 0 (command_test.put) on stream \"purse-1\": the purse is empty",
	}, s.told[6:])
}

func TestDispatcher_Observe_PanicAndNil(t *testing.T) {
	var outcome error
	d, _ := newHousehold(t)
	d.Observe(command.Hooks{Dispatch: func(context.Context, any) (context.Context, func(command.Reply, error)) {
		return nil, func(_ command.Reply, err error) { outcome = err }
	}})
	d.Observe(command.Hooks{Dispatch: func(ctx context.Context, _ any) (context.Context, func(command.Reply, error)) {
		return ctx, nil
	}})
	_, _, err := command.Dispatch[pong](t.Context(), d, ping{})
	require.NoError(t, err)
	require.NoError(t, outcome)
	require.Panics(t, func() { _, _, _ = command.Dispatch[int](t.Context(), d, explode{}) })
	require.Error(t, outcome)
}

func TestDispatch_WithoutHooksCostsNothing(t *testing.T) {
	plain, observed := command.NewDispatcher(), command.NewDispatcher()
	for _, d := range []*command.Dispatcher{plain, observed} {
		require.NoError(t, command.Handle(d, onPing))
	}
	observed.Observe(command.Hooks{})
	observed.Observe(command.Hooks{Batch: func(ctx context.Context, _ []any) (context.Context, func(command.Reply, error)) {
		panic(errors.New("not for one command"))
	}})
	cost := func(d *command.Dispatcher) float64 {
		return testing.AllocsPerRun(100, func() { _, _, _ = command.Dispatch[pong](context.Background(), d, ping{}) })
	}
	require.Equal(t, cost(plain), cost(observed))
}
