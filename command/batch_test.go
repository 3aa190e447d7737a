package command_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// Purses hold coins, shelves of package repository hold dust.

type (
	purseCommand interface{ Purse() string }
	put          struct {
		In    string
		Coins int
	}
	explode struct{}
	coins   struct {
		N int `json:"n"`
	}
)

func (p put) Purse() string   { return p.In }
func (explode) Purse() string { return "1" }
func (p put) Validate() error { return invalidIf(p.Coins > 100) }

func invalidIf(wrong bool) error {
	if wrong {
		return errors.New("too heavy")
	}
	return nil
}

var errEmpty = errors.New("the purse is empty")

func newPurses(t *testing.T, store eventstore.Store) *aggregate.Repository[int, purseCommand, coins] {
	b := codec.NewBuilder()
	codec.Register[coins](b, "purse.coins", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	r, err := aggregate.NewRepository(store, registry, aggregate.Decider[int, purseCommand, coins]{
		Category: "purse",
		Decide: func(n int, cmd purseCommand) ([]coins, error) {
			p, ok := cmd.(put)
			switch {
			case !ok:
				panic("boom")
			case n+p.Coins < 0:
				return nil, errEmpty
			case p.Coins == 0:
				return nil, nil
			}
			return []coins{{N: p.Coins}}, nil
		},
		Evolve: func(n int, e coins) int { return n + e.N },
	}, nil)
	require.NoError(t, err)
	return r
}

func newHousehold(t *testing.T, middleware ...command.Middleware) (*command.Dispatcher, eventstore.Store) {
	store := memstore.New(nil)
	d := command.NewDispatcher(middleware...)
	require.NoError(t, command.Route(d, newPurses(t, store), purseCommand.Purse))
	require.NoError(t, command.Route(d, repository[shelfCommand](t, store, "shelf"), shelfCommand.Shelf))
	require.NoError(t, command.Handle(d, onPing))
	return d, store
}

func logged(t *testing.T, store eventstore.Store) []eventstore.Event {
	var events []eventstore.Event
	for e, err := range store.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{}) {
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}

func TestDispatchAll_OneCommit(t *testing.T) {
	d, store := newHousehold(t)
	results, receipt, err := command.DispatchAll(t.Context(), d, put{"1", 5}, dust{}, put{"2", 3}, put{"1", -4})
	require.NoError(t, err)
	require.Equal(t, []any{1, "shelf", 3, 1}, results, "the states after all of it")
	require.Equal(t, eventstore.Position(1), receipt.First)
	require.Equal(t, eventstore.Position(4), receipt.Last)
	require.Equal(t, []eventstore.StreamHead{{Stream: "purse-1", Version: 2}, {Stream: "shelf-1", Version: 1}, {Stream: "purse-2", Version: 1}}, receipt.Heads)
	var streams []eventstore.StreamID
	for _, e := range logged(t, store) {
		streams = append(streams, e.Stream)
	}
	require.Equal(t, []eventstore.StreamID{"purse-1", "shelf-1", "purse-2", "purse-1"}, streams)
}

func TestDispatchAll_RefusalOfOneRefusesAll(t *testing.T) {
	d, store := newHousehold(t)
	results, receipt, err := command.DispatchAll(t.Context(), d, put{"1", 5}, put{"2", 3}, put{"1", -6})
	require.ErrorIs(t, err, errEmpty)
	var batch *aggregate.BatchError
	require.ErrorAs(t, err, &batch)
	require.Equal(t, 2, batch.Index)
	require.EqualError(t, err, "command 2 (command_test.put) on stream \"purse-1\": the purse is empty")
	require.Nil(t, results)
	require.Zero(t, receipt)
	require.Empty(t, logged(t, store))
}

func TestDispatchAll_BlamesTheCommand(t *testing.T) {
	forbidden := command.Authorize(func(_ context.Context, _ string, cmd any) error {
		if _, ok := cmd.(move); ok {
			return errors.New("no moving")
		}
		return nil
	})
	decided := 0
	d, store := newHousehold(t, command.Validate(), forbidden, func(next command.Handler) command.Handler {
		return func(ctx context.Context, cmd any) (command.Reply, error) {
			if cmd == any(put{"gone", 1}) {
				cmd = "replaced"
			}
			decided++
			return next(ctx, cmd)
		}
	})
	var (
		invalid *command.ValidationError
		unknown *command.UnknownCommandError
		denied  *command.ForbiddenError
	)
	for _, test := range []struct {
		cmds   []any
		index  int
		target any
	}{
		{[]any{put{"1", 1}, put{"2", 200}, dust{}}, 1, &invalid},
		{[]any{put{"1", 1}, dust{}, move{}}, 2, &denied},
		{[]any{put{"1", 1}, "x"}, 1, &unknown},
		{[]any{nil}, 0, &unknown},
		{[]any{dust{}, put{"gone", 1}, dust{}}, 1, &unknown},
	} {
		_, _, err := command.DispatchAll(t.Context(), d, test.cmds...)
		var batch *aggregate.BatchError
		require.ErrorAs(t, err, &batch)
		require.Equal(t, test.index, batch.Index)
		require.ErrorAs(t, err, test.target)
	}
	_, _, err := command.DispatchAll(t.Context(), d, dust{}, ping{})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.EqualError(t, err, "command 1 (command_test.ping): invalid: command_test.ping is handled by a function; "+
		"only commands that are routed to a repository can be part of a batch")
	_, _, err = command.DispatchAll(t.Context(), d)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, _, err = command.DispatchAll(t.Context(), d, put{"", 1})
	require.ErrorIs(t, err, eventstore.ErrInvalid, "an empty id")
	require.Empty(t, logged(t, store))
}

func TestDispatchAll_TwoStores(t *testing.T) {
	store := memstore.New(nil)
	d := command.NewDispatcher()
	require.NoError(t, command.Route(d, newPurses(t, store), purseCommand.Purse))
	require.NoError(t, command.Route(d, repository[shelfCommand](t, memstore.New(nil), "shelf"), shelfCommand.Shelf))
	_, _, err := command.DispatchAll(t.Context(), d, put{"1", 1}, dust{})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "another store")
	require.Empty(t, logged(t, store))
}

func TestDispatchAll_IsCarriedOutOnce(t *testing.T) {
	d, store := newHousehold(t)
	ctx := eventstore.WithCommandID(t.Context(), "b-1")
	first, receipt, err := command.DispatchAll(ctx, d, put{"1", 5}, put{"2", 0}, put{"1", -5})
	require.NoError(t, err)
	_, _, err = command.Dispatch[int](t.Context(), d, put{"1", 7})
	require.NoError(t, err)
	_, _, err = command.Dispatch[int](t.Context(), d, put{"2", 7})
	require.NoError(t, err)

	again, repeat, err := command.DispatchAll(ctx, d, put{"1", 5}, put{"2", 0}, put{"1", -5})
	require.NoError(t, err)
	require.True(t, repeat.Repeated)
	repeat.Repeated = false
	require.Equal(t, receipt, repeat)
	require.Equal(t, first, again, "as of then")
	require.Len(t, logged(t, store), 4)

	_, _, err = command.DispatchAll(ctx, d, put{"2", 1})
	require.ErrorIs(t, err, eventstore.ErrInvalid, "one id for two things")
	require.ErrorContains(t, err, `"purse-1"`)
}

func TestDispatchAll_MiddlewareSurroundsTheCommit(t *testing.T) {
	var text bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "took" || a.Key == slog.MessageKey {
			return slog.Attr{}
		}
		return a
	}}))
	d, store := newHousehold(t,
		command.ID(func(cmd any) string {
			if p, ok := cmd.(put); ok {
				return "put-" + p.In
			}
			return ""
		}),
		command.Metadata(func(_ context.Context, cmd any) eventstore.Metadata {
			return eventstore.Metadata{fmt.Sprintf("%T", cmd): "yes"}
		}),
		command.Log(logger))
	ctx := eventstore.WithCommandID(t.Context(), "b-1")
	_, receipt, err := command.DispatchAll(ctx, d, put{"1", 5}, dust{}, put{"2", 5})
	require.NoError(t, err)
	require.Equal(t, strings.Join([]string{
		"level=INFO command=command_test.put command-id=put-2 first=1 last=3 repeated=false",
		"level=INFO command=command_test.dust command-id=b-1 first=1 last=3 repeated=false",
		"level=INFO command=command_test.put command-id=put-1 first=1 last=3 repeated=false", "",
	}, "\n"), text.String())

	var metadata []eventstore.Metadata
	for _, e := range logged(t, store) {
		metadata = append(metadata, e.Metadata)
	}
	require.Equal(t, []eventstore.Metadata{
		{"command_test.put": "yes", "command-id": "put-1"},
		{"command_test.dust": "yes", "command-id": "b-1"},
		{"command_test.put": "yes", "command-id": "put-2"},
	}, metadata, "each its own, and none of another's")
	found, ok, err := store.Lookup(ctx, "b-1")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, receipt.Last, found.Last)
}

func TestDispatchAll_MiddlewareThatAnswersItself(t *testing.T) {
	d, store := newHousehold(t, func(next command.Handler) command.Handler {
		return func(ctx context.Context, cmd any) (command.Reply, error) {
			if _, ok := cmd.(dust); ok {
				return command.Reply{Result: "clean"}, nil
			}
			return next(ctx, cmd)
		}
	})
	_, _, err := command.DispatchAll(t.Context(), d, put{"1", 5}, dust{}, put{"2", 5})
	var batch *aggregate.BatchError
	require.ErrorAs(t, err, &batch)
	require.Equal(t, 1, batch.Index)
	require.Empty(t, logged(t, store))
}

func TestDispatchAll_MiddlewareThatDispatches(t *testing.T) {
	var d *command.Dispatcher
	d, store := newHousehold(t, func(next command.Handler) command.Handler {
		return func(ctx context.Context, cmd any) (command.Reply, error) {
			if _, ok := cmd.(dust); !ok {
				if _, _, err := command.Dispatch[string](ctx, d, dust{}); err != nil {
					return command.Reply{}, err
				}
			}
			return next(ctx, cmd)
		}
	})
	_, receipt, err := command.DispatchAll(t.Context(), d, put{"1", 5}, put{"2", 5})
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(3), receipt.First, "what the middleware dispatched is a commit of its own")
	require.Len(t, logged(t, store), 4)
}

func TestDispatchAll_Deadline(t *testing.T) {
	d, store := newHousehold(t, command.Timeout(time.Nanosecond))
	_, _, err := command.DispatchAll(t.Context(), d, put{"1", 5}, dust{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, logged(t, store))
}

func TestDispatchAll_Panic(t *testing.T) {
	d, store := newHousehold(t, command.Recover())
	_, _, err := command.DispatchAll(t.Context(), d, explode{}, dust{})
	var panicked *command.PanicError
	require.ErrorAs(t, err, &panicked)
	require.Equal(t, "boom", panicked.Value)
	require.Nil(t, panicked.Type, "it was not the last one's")
	require.EqualError(t, err, "a batch of commands: panic: boom")
	require.Empty(t, logged(t, store))
}

// A batch takes no conditions. A condition among its commands gets an error that names the
// remedy.
func TestDispatchAll_TakesNoConditions(t *testing.T) {
	d := command.NewDispatcher()
	require.NoError(t, command.Route(d, newPurses(t, memstore.New(nil)), purseCommand.Purse))
	_, _, err := command.DispatchAll(t.Context(), d, put{In: "1", Coins: 1}, aggregate.If(0))
	var unknown *command.UnknownCommandError
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, "give them to Repository.Part")
}
