package command_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// statusOf returns the HTTP status for the error of a command, and prints the errors that
// belong in the program's log.
func statusOf(err error) int {
	var (
		unknown   *command.UnknownCommandError
		invalid   *command.ValidationError
		forbidden *command.ForbiddenError
		panicked  *command.PanicError
	)
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &unknown):
		fmt.Println("no handler for", unknown.Type, "- sent as a pointer:", unknown.Pointer)
		return http.StatusNotImplemented
	case errors.As(err, &invalid):
		fmt.Println(invalid.Type, "is refused:", invalid.Err)
		return http.StatusBadRequest
	case errors.As(err, &forbidden):
		fmt.Printf("%q may not send %v: %v\n", forbidden.Actor, forbidden.Type, forbidden.Err)
		return http.StatusForbidden
	case errors.As(err, &panicked):
		here := bytes.Contains(panicked.Stack, []byte("example_errors_test.go"))
		fmt.Println(panicked.Type, "ended in a panic:", panicked.Value)
		fmt.Println("the stack says where:", here)
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}

// A server answers each error of the middleware with another status.
func Example_errors() {
	store := memstore.New(nil)
	defer store.Close()
	d := command.NewDispatcher(
		command.Recover(),
		command.Validate(),
		command.Authorize(func(_ context.Context, actor string, _ any) error {
			if actor == "" {
				return errors.New("no user is logged in")
			}
			return nil
		}),
	)
	if err := command.Route(d, newCounters(store), Command.CounterID); err != nil {
		log.Fatal(err)
	}
	type Reset struct{}
	if err := command.Handle(d, func(context.Context, Reset) (int, eventstore.Receipt, error) {
		panic("there is no reset")
	}); err != nil {
		log.Fatal(err)
	}

	ctx := eventstore.WithActor(context.Background(), "ann")
	send := func(ctx context.Context, cmd any) {
		_, _, err := command.Dispatch[any](ctx, d, cmd)
		fmt.Println(statusOf(err))
	}
	send(ctx, Increment{Counter: "7", By: 2})
	send(ctx, Increment{Counter: "7", By: -2})
	send(context.Background(), Increment{Counter: "7", By: 2})
	send(ctx, &Reset{})
	send(ctx, Reset{})
	// Output:
	// 200
	// command_test.Increment is refused: a counter counts up
	// 400
	// "" may not send command_test.Increment: no user is logged in
	// 403
	// no handler for *command_test.Reset - sent as a pointer: true
	// 501
	// command_test.Reset ended in a panic: there is no reset
	// the stack says where: true
	// 500
}
