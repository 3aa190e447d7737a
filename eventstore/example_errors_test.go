package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// status returns the HTTP status for an error of a store.
func status(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, eventstore.ErrConflict):
		return http.StatusConflict // read the new events and decide again
	case errors.Is(err, eventstore.ErrInvalid):
		return http.StatusBadRequest // the same call will never succeed
	case errors.Is(err, eventstore.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, eventstore.ErrUnknownOutcome):
		return http.StatusGatewayTimeout // send the same commit again
	case errors.Is(err, eventstore.ErrClosed), errors.Is(err, eventstore.ErrReadOnly),
		errors.Is(err, eventstore.ErrLocked), errors.Is(err, eventstore.ErrFailed):
		return http.StatusServiceUnavailable // try another process, or this one later
	case errors.Is(err, eventstore.ErrCorrupt), errors.Is(err, eventstore.ErrFormat):
		return http.StatusInternalServerError // for the operator
	default:
		return http.StatusInternalServerError
	}
}

// Each condition has one sentinel, which a caller matches to choose what to do.
func Example_errors() {
	ctx := context.Background()
	store := memstore.New(nil)
	opened := eventstore.NewEvent{Type: "cart.opened"}
	for range 2 {
		_, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, opened)
		fmt.Println(status(err))
	}
	_, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.Any, eventstore.NewEvent{})
	fmt.Println(status(err), err)

	_, err = eventstore.AppendTo(ctx, store, "cart-7", eventstore.Any, eventstore.NewEvent{Type: strings.Repeat("x", 300)})
	var limit *eventstore.LimitError
	if errors.As(err, &limit) {
		fmt.Println(status(err), limit.What, limit.Size, limit.Limit)
	}

	err = store.Close()
	_, headErr := store.Head(ctx)
	fmt.Println(status(err), status(headErr))
	// Output:
	// 200
	// 409
	// 400 append: event 0: invalid: type is empty
	// 413 bytes of type 300 255
	// 200 503
}

// A *CorruptError has the position of the damaged event. The other events can be read.
func ExampleCorruptError() {
	var err error = &eventstore.CorruptError{Position: 7, Reason: "wrong checksum"} // the last element of a read
	var corrupt *eventstore.CorruptError
	if errors.As(err, &corrupt) && errors.Is(err, eventstore.ErrCorrupt) {
		fmt.Println("position", corrupt.Position, "cannot be read:", corrupt.Reason)
		rest := eventstore.ReadOptions{From: corrupt.Position + 1}
		fmt.Println("go on from position", rest.From)
	}
	// Output:
	// position 7 cannot be read: wrong checksum
	// go on from position 8
}

// A *ConflictError has the guard that failed and the event that breaks it.
func ExampleConflictError_guard() {
	ctx := context.Background()
	store := memstore.New(nil)
	defer store.Close()
	taken := func(name string) eventstore.Query {
		return eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{eventstore.Tag("name:" + name)}})
	}
	register := eventstore.Commit{
		Events: []eventstore.NewEvent{{Type: "user.registered", Tags: []eventstore.Tag{"name:ada"}}},
		Guards: []eventstore.Guard{{Query: taken("bob")}, {Query: taken("ada")}},
	}
	for range 2 {
		_, err := store.Append(ctx, register)
		var conflict *eventstore.ConflictError
		if errors.As(err, &conflict) && conflict.Guard != nil {
			fmt.Printf("guard %d (%v) fails because of position %d, %s\n",
				conflict.GuardIndex, conflict.Guard.Query, conflict.Position, conflict.Type)
		}
	}
	// Output: guard 1 (tags "name:ada") fails because of position 1, user.registered
}
