package command_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// refusing has a handler of each kind, and middleware that refuses.
func refusing(t *testing.T, store eventstore.Store) *command.Dispatcher {
	d := command.NewDispatcher(
		command.Recover(), command.Validate(),
		command.Authorize(func(_ context.Context, actor string, _ any) error { return invalidIf(actor == "mallory") }),
	)
	require.NoError(t, command.Route(d, newPurses(t, store), purseCommand.Purse))
	require.NoError(t, command.Handle(d, func(_ context.Context, cmd ping) (pong, eventstore.Receipt, error) {
		switch cmd.N {
		case 0:
			return 0, eventstore.Receipt{}, errEmpty
		case 1:
			return 1, eventstore.Receipt{}, command.Refuse(errEmpty)
		default:
			return 2, eventstore.Receipt{}, nil
		}
	}))
	b := codec.NewBuilder()
	codec.Register[coins](b, "purse.coins", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	decisions, err := aggregate.NewDecisions(store, registry, nil)
	require.NoError(t, err)
	require.NoError(t, command.Handle(d, aggregate.CommandHandler(decisions, func(cmd dust) aggregate.Decision {
		model := aggregate.Decider[int, purseCommand, coins]{Category: "purse", Evolve: func(n int, _ coins) int { return n }}.Model("9")
		return aggregate.Decision{Models: aggregate.Models{model.Into(new(int))}, Decide: func() ([]any, error) { return nil, errEmpty }}
	}), command.Once()))
	return d
}

func TestSend_RefusalsAndFaults(t *testing.T) {
	store := memstore.New(nil)
	d := refusing(t, store)
	mallory := eventstore.WithActor(t.Context(), "mallory")
	stale := aggregate.If(7)
	for name, c := range map[string]struct {
		ctx        context.Context
		cmd        any
		conditions []aggregate.Condition
		refused    bool
		fails      bool
	}{
		"carried out":             {cmd: put{"1", 5}},
		"by Decide":               {cmd: put{"1", -10}, refused: true, fails: true},
		"by Validate":             {cmd: put{"1", 101}, refused: true, fails: true},
		"by Authorize":            {ctx: mallory, cmd: put{"1", 5}, refused: true, fails: true},
		"by a function":           {cmd: ping{1}, refused: true, fails: true},
		"by a decision":           {cmd: dust{}, refused: true, fails: true},
		"a fault of a function":   {cmd: ping{0}, fails: true},
		"a function":              {cmd: ping{2}},
		"a panic":                 {cmd: explode{}, fails: true},
		"a condition":             {cmd: put{"1", 5}, conditions: []aggregate.Condition{stale}, fails: true},
		"no handler":              {cmd: "x", fails: true},
		"an id of another cmd":    {ctx: eventstore.WithCommandID(t.Context(), "k"), cmd: put{"1", 5}, fails: true},
		"the store, by a context": {ctx: ended(t), cmd: put{"1", 5}, fails: true},
	} {
		if c.ctx == nil {
			c.ctx = t.Context()
		}
		if name == "an id of another cmd" {
			_, err := d.Send(c.ctx, put{"2", 5})
			require.NoError(t, err)
		}
		reply, err := d.Send(c.ctx, c.cmd, c.conditions...)
		require.Equal(t, c.fails, err != nil, "%s: %v", name, err)
		require.Equal(t, c.refused, reply.Refused, name)
	}
	reply, err := d.Send(t.Context(), put{"3", 5})
	require.NoError(t, err)
	require.Equal(t, 5, reply.Result.(aggregate.Result[int, coins]).State)
	require.NotZero(t, reply.Receipt)
}

func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestDispatchAll_RefusalsAndFaults(t *testing.T) {
	d := refusing(t, memstore.New(nil))
	var reply command.Reply
	d.Observe(command.Hooks{Batch: func(context.Context, []any) (context.Context, func(command.Reply, error)) {
		return nil, func(r command.Reply, _ error) { reply = r }
	}})
	for name, c := range map[string]struct {
		second  any
		refused bool
	}{
		"by Decide":   {put{"1", -10}, true},
		"by Validate": {put{"1", 101}, true},
		"no handler":  {"x", false},
		"a function":  {ping{1}, false}, // it cannot be part of a batch
	} {
		_, _, err := command.DispatchAll(t.Context(), d, put{"1", 5}, c.second)
		var one *aggregate.BatchError
		require.ErrorAs(t, err, &one, name)
		require.Equal(t, 1, one.Index, name)
		require.Equal(t, c.refused, one.Refused, name)
		require.Equal(t, c.refused, reply.Refused, name)
	}
}

func TestRefuse(t *testing.T) {
	require.NoError(t, command.Refuse(nil))
	err := command.Refuse(errEmpty)
	require.EqualError(t, err, errEmpty.Error())
	require.ErrorIs(t, err, errEmpty)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}

func TestDispatcher_CarriesOutOnce(t *testing.T) {
	store := memstore.New(nil)
	d := refusing(t, store)
	require.True(t, d.CarriesOutOnce(put{}), "a route")
	require.True(t, d.CarriesOutOnce(dust{}), "declared")
	require.False(t, d.CarriesOutOnce(ping{}))
	require.False(t, d.CarriesOutOnce("x"))
	require.False(t, d.CarriesOutOnce(nil))
	err := command.Route(command.NewDispatcher(), newPurses(t, store), purseCommand.Purse, command.Once())
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "Once is for functions")
	require.NoError(t, command.Handle(command.NewDispatcher(), onPing, command.Once(), command.MaxAttempts(3)))
}
