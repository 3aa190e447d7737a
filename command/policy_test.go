package command_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// contested is a store on which every append meets a faster one.
type contested struct {
	eventstore.Store
	appends int
}

func (s *contested) Append(context.Context, eventstore.Commit) (eventstore.Receipt, error) {
	s.appends++
	return eventstore.Receipt{}, &eventstore.ConflictError{}
}

func TestHandle_IsCalledOnceUnlessItSaysOtherwise(t *testing.T) {
	for _, test := range []struct {
		policies []command.RetryPolicy
		calls    int
	}{
		{nil, 1},
		{[]command.RetryPolicy{command.MaxAttempts(1)}, 1},
		{[]command.RetryPolicy{command.MaxAttempts(3)}, 3},
		{[]command.RetryPolicy{command.MaxAttempts(3), command.MaxAttemptsOf[ping](2)}, 2},
	} {
		calls := 0
		d := command.NewDispatcher()
		require.NoError(t, command.Handle(d, func(context.Context, ping) (pong, eventstore.Receipt, error) {
			calls++
			return 7, eventstore.Receipt{}, &eventstore.ConflictError{Stream: "x-1"}
		}, test.policies...))
		result, _, err := command.Dispatch[pong](t.Context(), d, ping{})
		require.ErrorIs(t, err, eventstore.ErrConflict)
		require.Equal(t, pong(7), result)
		require.Equal(t, test.calls, calls)
	}
}

func TestHandle_OnlyConflictsAreAttemptedAgain(t *testing.T) {
	for _, outcome := range []error{nil, errors.New("broken"), eventstore.ErrUnknownOutcome} {
		calls := 0
		d := command.NewDispatcher()
		require.NoError(t, command.Handle(d, func(context.Context, ping) (pong, eventstore.Receipt, error) {
			if calls++; calls == 1 {
				return 0, eventstore.Receipt{}, &eventstore.ConflictError{}
			}
			return 9, eventstore.Receipt{}, outcome
		}, command.MaxAttempts(10)))
		result, _, err := command.Dispatch[pong](t.Context(), d, ping{})
		require.True(t, err == outcome) //nolint:errorlint // it must be the very error, not one that wraps it
		require.Equal(t, pong(9), result)
		require.Equal(t, 2, calls)
	}
}

func TestRoute_PolicyByCommand(t *testing.T) {
	store := &contested{Store: memstore.New(nil)}
	repository := func(opts *aggregate.Options) *aggregate.Repository[int, shelfCommand, Incremented] {
		r, err := aggregate.NewRepository(store, newRegistry(t), aggregate.Decider[int, shelfCommand, Incremented]{
			Category: "shelf",
			Decide:   func(int, shelfCommand) ([]Incremented, error) { return []Incremented{{By: 1}}, nil },
			Evolve:   func(n int, e Incremented) int { return n + e.By },
		}, opts)
		require.NoError(t, err)
		return r
	}
	attempts := func(opts *aggregate.Options, cmd any, policies ...command.RetryPolicy) int {
		d := command.NewDispatcher()
		require.NoError(t, command.Route(d, repository(opts), shelfCommand.Shelf, policies...))
		store.appends = 0
		_, _, err := command.Dispatch[int](t.Context(), d, cmd)
		require.ErrorIs(t, err, eventstore.ErrConflict)
		alone := store.appends
		store.appends = 0
		_, _, err = command.DispatchAll(t.Context(), d, cmd)
		require.ErrorIs(t, err, eventstore.ErrConflict)
		require.Equal(t, alone, store.appends, "in a batch too")
		return alone
	}
	once := &aggregate.Options{MaxAttempts: 2}
	require.Equal(t, 2, attempts(once, dust{}))
	require.Equal(t, 4, attempts(once, dust{}, command.MaxAttempts(4)))
	require.Equal(t, 1, attempts(once, dust{}, command.MaxAttempts(4), command.MaxAttemptsOf[dust](1)))
	require.Equal(t, 4, attempts(once, move{}, command.MaxAttempts(4), command.MaxAttemptsOf[dust](1)))
	require.Equal(t, 2, attempts(once, move{}, command.MaxAttemptsOf[dust](1)))

	d := command.NewDispatcher()
	require.NoError(t, command.Route(d, repository(&aggregate.Options{MaxAttempts: 5}), shelfCommand.Shelf, command.MaxAttemptsOf[move](3)))
	store.appends = 0
	_, _, err := command.DispatchAll(t.Context(), d, dust{}, move{})
	require.ErrorIs(t, err, eventstore.ErrConflict)
	require.Equal(t, 3, store.appends, "the strictest of the batch")
}

func TestPolicies_Faults(t *testing.T) {
	d := command.NewDispatcher()
	r := repository[shelfCommand](t, memstore.New(nil), "shelf")
	for _, test := range []struct {
		policies []command.RetryPolicy
		says     string
	}{
		{[]command.RetryPolicy{command.MaxAttempts(0)}, "less than 1"},
		{[]command.RetryPolicy{{}}, "less than 1"},
		{[]command.RetryPolicy{command.MaxAttempts(1), command.MaxAttempts(2)}, "two policies for all commands"},
		{[]command.RetryPolicy{command.MaxAttemptsOf[dust](1), command.MaxAttemptsOf[dust](2)}, "two policies for commands of type command_test.dust"},
		{[]command.RetryPolicy{command.MaxAttemptsOf[read](1)}, "command_test.read, which do not belong to command_test.shelfCommand"},
		{[]command.RetryPolicy{command.MaxAttemptsOf[shelfCommand](1)}, "an interface"},
	} {
		err := command.Route(d, r, shelfCommand.Shelf, test.policies...)
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, test.says)
	}
	err := command.Handle(d, onPing, command.MaxAttemptsOf[dust](1))
	require.ErrorContains(t, err, "command_test.dust, which do not belong to command_test.ping")
	require.NoError(t, command.Handle(d, onPing), "what was refused is not registered")
}
