package command_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// Log writes a line for each command. The times are left out here.
func ExampleLog() {
	store := memstore.New(nil)
	defer store.Close()
	withoutTimes := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "took" {
			return slog.Attr{}
		}
		return a
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTimes}))
	d := command.NewDispatcher(command.Log(logger), command.Validate())
	if err := command.Route(d, newCounters(store), Command.CounterID); err != nil {
		log.Fatal(err)
	}
	ctx := eventstore.WithActor(context.Background(), "ann")
	for _, by := range []int{2, -2} {
		_, _, _ = command.Dispatch[int](ctx, d, Increment{Counter: "7", By: by})
	}
	// Output:
	// level=INFO msg="command carried out" command=command_test.Increment actor=ann first=1 last=1 repeated=false
	// level=WARN msg="command failed" command=command_test.Increment actor=ann error="command_test.Increment is not valid: a counter counts up"
}

type tenantKey struct{}

// How to put on every event what a request carries: here, for which tenant it is.
func ExampleMetadata() {
	store := memstore.New(nil)
	defer store.Close()
	d := command.NewDispatcher(command.Metadata(func(ctx context.Context, _ any) eventstore.Metadata {
		tenant, _ := ctx.Value(tenantKey{}).(string)
		return eventstore.Metadata{"tenant": tenant}
	}))
	if err := command.Route(d, newCounters(store), Command.CounterID); err != nil {
		log.Fatal(err)
	}
	ctx := context.WithValue(context.Background(), tenantKey{}, "north")
	if _, _, err := command.Dispatch[int](ctx, d, Increment{Counter: "7", By: 2}); err != nil {
		log.Fatal(err)
	}
	for event, err := range store.Read(ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Type, event.Metadata["tenant"])
	}
	// Output: counter.incremented north
}

// How to end a command that takes too long: its handler's context ends.
func ExampleTimeout() {
	type Wait struct{}
	d := command.NewDispatcher(command.Timeout(time.Millisecond))
	if err := command.Handle(d, func(ctx context.Context, _ Wait) (int, eventstore.Receipt, error) {
		<-ctx.Done()
		return 0, eventstore.Receipt{}, ctx.Err()
	}); err != nil {
		log.Fatal(err)
	}
	_, _, err := command.Dispatch[int](context.Background(), d, Wait{})
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}

// How to write a middleware: this one answers questions again that it has answered before.
func ExampleMiddleware() {
	type HowMany struct{ Of string }
	asked := 0
	var answers sync.Map // commands may come from several goroutines
	remember := func(next command.Handler) command.Handler {
		return func(ctx context.Context, cmd any) (command.Reply, error) {
			if known, ok := answers.Load(cmd); ok {
				reply := known.(command.Reply)
				fmt.Println("remembered:", reply.Result)
				return reply, nil
			}
			reply, err := next(ctx, cmd)
			if err == nil && reply.Receipt.Last == 0 { // nothing was appended
				answers.Store(cmd, reply)
			}
			return reply, err
		}
	}
	d := command.NewDispatcher(remember)
	if err := command.Handle(d, func(context.Context, HowMany) (int, eventstore.Receipt, error) {
		asked++
		return 42, eventstore.Receipt{}, nil
	}); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		n, _, err := command.Dispatch[int](context.Background(), d, HowMany{Of: "apples"})
		fmt.Println(n, err)
	}
	fmt.Println("asked", asked, "times")
	// Output:
	// 42 <nil>
	// remembered: 42
	// 42 <nil>
	// asked 1 times
}
