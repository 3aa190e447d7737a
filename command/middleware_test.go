package command_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

func newRegistry(t *testing.T) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[Incremented](b, "counter.incremented", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

// dispatch sends a ping through the middleware to the handler.
func dispatch(
	t *testing.T, ctx context.Context, handle func(context.Context, ping) (pong, eventstore.Receipt, error), middleware ...command.Middleware,
) (pong, eventstore.Receipt, error) {
	t.Helper()
	d := command.NewDispatcher(middleware...)
	require.NoError(t, command.Handle(d, handle))
	return command.Dispatch[pong](ctx, d, ping{N: 1})
}

// metadata sends a ping through the middleware and returns what the handler
// finds in its context.
func metadata(t *testing.T, ctx context.Context, middleware ...command.Middleware) eventstore.Metadata {
	t.Helper()
	var found eventstore.Metadata
	_, _, err := dispatch(t, ctx, func(ctx context.Context, _ ping) (pong, eventstore.Receipt, error) {
		found = eventstore.MetadataFrom(ctx)
		return 0, eventstore.Receipt{}, nil
	}, middleware...)
	require.NoError(t, err)
	return found
}

func TestNewDispatcher_FirstMiddlewareIsOutermost(t *testing.T) {
	var trace []string
	made := 0
	tracing := func(name string) command.Middleware {
		return func(next command.Handler) command.Handler {
			made++
			return func(ctx context.Context, cmd any) (command.Reply, error) {
				trace = append(trace, name+" in")
				defer func() { trace = append(trace, name+" out") }()
				return next(ctx, cmd)
			}
		}
	}
	_, _, err := dispatch(t, t.Context(), onPing, tracing("a"), tracing("b"))
	require.NoError(t, err)
	require.Equal(t, []string{"a in", "b in", "b out", "a out"}, trace)
	require.Equal(t, 2, made)
}

func TestMiddleware_ReplacesTheCommand(t *testing.T) {
	replace := func(by any) command.Middleware {
		return func(next command.Handler) command.Handler {
			return func(ctx context.Context, _ any) (command.Reply, error) { return next(ctx, by) }
		}
	}
	result, _, err := dispatch(t, t.Context(), onPing, replace(ping{N: 9}))
	require.NoError(t, err)
	require.Equal(t, pong(9), result)
	_, _, err = dispatch(t, t.Context(), onPing, replace("x"))
	var unknown *command.UnknownCommandError
	require.ErrorAs(t, err, &unknown)
	var log bytes.Buffer
	_, _, err = dispatch(t, t.Context(), onPing, replace(nil), command.Log(slog.New(slog.NewTextHandler(&log, nil))))
	require.ErrorAs(t, err, &unknown)
}

// Names that are the library's own are refused, and the handler does not run.
func TestMiddleware_TheLibrarysOwnNames(t *testing.T) {
	handle := func(ctx context.Context, _ ping) (pong, eventstore.Receipt, error) {
		t.Error("the handler ran")
		return 0, eventstore.Receipt{}, nil
	}
	_, _, err := dispatch(t, t.Context(), handle, command.ID(func(any) string { return "yore/1" }))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.EqualError(t, err, `the id of command_test.ping: invalid: key "yore/1": names that begin with "yore/" are the library's own`)
	_, _, err = dispatch(t, t.Context(), handle, command.Metadata(func(context.Context, any) eventstore.Metadata {
		return eventstore.Metadata{"tenant": "7", "yore-tenant": "7"}
	}))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.EqualError(t, err, `the metadata of command_test.ping: invalid: metadata "yore-tenant": names that begin with "yore-" are the library's own`)
}

func TestMiddleware_AnswersItself(t *testing.T) {
	answer := func(result any) command.Middleware {
		return func(command.Handler) command.Handler {
			return func(context.Context, any) (command.Reply, error) { return command.Reply{Result: result}, nil }
		}
	}
	result, _, err := dispatch(t, t.Context(), onPing, answer(pong(4)))
	require.NoError(t, err)
	require.Equal(t, pong(4), result)
	_, _, err = dispatch(t, t.Context(), onPing, answer("four"))
	require.EqualError(t, err, "dispatch command_test.ping: a middleware answered with string, not command_test.pong")
	_, _, err = dispatch(t, t.Context(), onPing, answer(nil))
	require.Error(t, err)
}

type fussy struct{ Err error }

func (f fussy) Validate() error { return f.Err }

func TestValidate(t *testing.T) {
	ran := 0
	d := command.NewDispatcher(command.Validate())
	require.NoError(t, command.Handle(d, onPing))
	require.NoError(t, command.Handle(d, func(context.Context, fussy) (int, eventstore.Receipt, error) {
		ran++
		return 1, eventstore.Receipt{}, nil
	}))
	_, _, err := command.Dispatch[int](t.Context(), d, fussy{})
	require.NoError(t, err)
	_, _, err = command.Dispatch[pong](t.Context(), d, ping{})
	require.NoError(t, err, "a command without Validate passes")

	theirs := errors.New("quantity is negative")
	_, _, err = command.Dispatch[int](t.Context(), d, fussy{Err: theirs})
	var invalid *command.ValidationError
	require.ErrorAs(t, err, &invalid)
	require.ErrorIs(t, err, theirs)
	require.EqualError(t, err, "command_test.fussy is not valid: quantity is negative")
	require.Equal(t, 1, ran)
}

func TestAuthorize(t *testing.T) {
	reason := errors.New("only ann may")
	ran := 0
	handle := func(context.Context, ping) (pong, eventstore.Receipt, error) {
		ran++
		return 0, eventstore.Receipt{}, nil
	}
	may := command.Authorize(func(_ context.Context, actor string, cmd any) error {
		require.Equal(t, ping{N: 1}, cmd)
		if actor != "ann" {
			return reason
		}
		return nil
	})
	_, _, err := dispatch(t, eventstore.WithActor(t.Context(), "bob"), handle, may)
	require.ErrorIs(t, err, command.ErrForbidden)
	require.ErrorIs(t, err, reason)
	var forbidden *command.ForbiddenError
	require.ErrorAs(t, err, &forbidden)
	require.Equal(t, "bob", forbidden.Actor)
	require.EqualError(t, err, `forbidden: command_test.ping by "bob": only ann may`)
	_, _, err = dispatch(t, t.Context(), handle, may)
	require.EqualError(t, err, "forbidden: command_test.ping by an unknown actor: only ann may")
	require.Zero(t, ran, "before the handler")

	_, _, err = dispatch(t, eventstore.WithActor(t.Context(), "ann"), handle, may)
	require.NoError(t, err)
	require.Equal(t, 1, ran)
}

func TestAuthorize_AfterValidate(t *testing.T) {
	d := command.NewDispatcher(command.Validate(), command.Authorize(func(context.Context, string, any) error {
		t.Error("asked about a command that is not valid")
		return nil
	}))
	require.NoError(t, command.Handle(d, func(context.Context, fussy) (int, eventstore.Receipt, error) {
		return 0, eventstore.Receipt{}, nil
	}))
	_, _, err := command.Dispatch[int](t.Context(), d, fussy{Err: errors.New("no")})
	var invalid *command.ValidationError
	require.ErrorAs(t, err, &invalid)
}

func TestLog(t *testing.T) {
	var text bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "took" {
			return slog.Attr{}
		}
		return a
	}}))
	ctx := eventstore.WithActor(eventstore.WithCommandID(t.Context(), "k"), "ann")
	_, _, err := dispatch(t, ctx, onPing, command.Log(logger))
	require.NoError(t, err)
	require.Equal(t, "level=INFO msg=\"command carried out\" command=command_test.ping command-id=k actor=ann "+
		"first=1 last=2 repeated=false\n", text.String())

	text.Reset()
	fail := func(context.Context, ping) (pong, eventstore.Receipt, error) {
		return 0, eventstore.Receipt{}, errors.New("broken")
	}
	_, _, err = dispatch(t, t.Context(), fail, command.Log(logger))
	require.Error(t, err)
	require.Equal(t, "level=WARN msg=\"command failed\" command=command_test.ping error=broken\n", text.String())

	text.Reset()
	var counts map[string]int
	crash := func(context.Context, ping) (pong, eventstore.Receipt, error) {
		counts["x"]++
		return 0, eventstore.Receipt{}, nil
	}
	_, _, err = dispatch(t, t.Context(), crash, command.Log(logger), command.Recover())
	require.Error(t, err)
	require.Contains(t, text.String(), `error="command_test.ping: panic: assignment to entry in nil map" stack="goroutine `)
	require.Contains(t, text.String(), "middleware_test.go", "where it was")

	text.Reset()
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(logger)
	_, _, err = dispatch(t, t.Context(), onPing, command.Log(nil))
	require.NoError(t, err)
	require.Contains(t, text.String(), "command carried out", "nil is the default")
}

func TestTimeout(t *testing.T) {
	wait := func(ctx context.Context, _ ping) (pong, eventstore.Receipt, error) {
		select {
		case <-ctx.Done():
			return 0, eventstore.Receipt{}, ctx.Err()
		case <-time.After(time.Minute):
			return 1, eventstore.Receipt{}, nil
		}
	}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, _, err := dispatch(t, t.Context(), wait, command.Timeout(time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(begin))
		for _, limit := range []time.Duration{0, -1, time.Hour} {
			_, _, err = dispatch(t, t.Context(), wait, command.Timeout(limit))
			require.NoError(t, err)
		}
	})
}

func TestRecover(t *testing.T) {
	cause := errors.New("cause")
	for _, value := range []any{"oh", cause} {
		_, _, err := dispatch(t, t.Context(), func(context.Context, ping) (pong, eventstore.Receipt, error) {
			panic(value)
		}, command.Recover())
		var panicked *command.PanicError
		require.ErrorAs(t, err, &panicked)
		require.Equal(t, value, panicked.Value)
		require.Contains(t, string(panicked.Stack), "TestRecover")
		require.Contains(t, err.Error(), "command_test.ping: panic: ")
		_, isError := value.(error)
		require.Equal(t, isError, errors.Is(err, cause))
	}
	result, _, err := dispatch(t, t.Context(), onPing, command.Recover())
	require.NoError(t, err)
	require.Equal(t, pong(1), result)
	require.Panics(t, func() {
		_, _, _ = dispatch(t, t.Context(), func(context.Context, ping) (pong, eventstore.Receipt, error) { panic("oh") })
	}, "without it a panic reaches the caller")
}

func TestID(t *testing.T) {
	id := func(s string) command.Middleware { return command.ID(func(any) string { return s }) }
	require.Equal(t, "k", metadata(t, t.Context(), id("k")).CommandID())
	require.Equal(t, "k", metadata(t, eventstore.WithCommandID(t.Context(), "other"), id("k")).CommandID())
	require.Equal(t, "other", metadata(t, eventstore.WithCommandID(t.Context(), "other"), id("")).CommandID())
	require.Nil(t, metadata(t, t.Context(), id("")))
}

func TestCorrelationID(t *testing.T) {
	fixed := command.CorrelationID(func() string { return "new" })
	require.Equal(t, "new", metadata(t, t.Context(), fixed).CorrelationID())
	require.Equal(t, "given", metadata(t, eventstore.WithCorrelationID(t.Context(), "given"), fixed).CorrelationID())
	first := metadata(t, t.Context(), command.CorrelationID(nil)).CorrelationID()
	require.Len(t, first, 26)
	require.NotEqual(t, first, metadata(t, t.Context(), command.CorrelationID(nil)).CorrelationID())
}

func TestMetadata(t *testing.T) {
	of := command.Metadata(func(_ context.Context, cmd any) eventstore.Metadata {
		require.Equal(t, ping{N: 1}, cmd)
		return eventstore.Metadata{eventstore.Actor: "ann", "tenant": "t-1"}
	})
	ctx := eventstore.WithActor(eventstore.WithTraceparent(t.Context(), "00-1"), "bob")
	require.Equal(t, eventstore.Metadata{eventstore.Actor: "ann", "tenant": "t-1", eventstore.Traceparent: "00-1"}, metadata(t, ctx, of))
}

func TestMiddleware_MetadataReachesTheEvents(t *testing.T) {
	store := memstore.New(nil)
	d := command.NewDispatcher(
		command.CorrelationID(func() string { return "c-1" }),
		command.ID(func(cmd any) string { return cmd.(Increment).ID }),
	)
	require.NoError(t, command.Route(d, newCounters(store), Command.CounterID))
	_, _, err := command.Dispatch[int](t.Context(), d, Increment{Counter: "7", By: 2, ID: "k-1"})
	require.NoError(t, err)
	for e, err := range store.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{}) {
		require.NoError(t, err)
		require.Equal(t, eventstore.Metadata{eventstore.CorrelationID: "c-1", eventstore.CommandID: "k-1"}, e.Metadata)
	}
	_, found, err := store.Lookup(t.Context(), "k-1")
	require.NoError(t, err)
	require.True(t, found)
}
