package command_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

type Incremented struct {
	By int `json:"by"`
}

// Command is the family of the commands of a counter.
type Command interface{ CounterID() string }

type Increment struct {
	Counter string
	By      int
	ID      string // of the command
}

func (c Increment) CounterID() string { return c.Counter }

func (c Increment) Validate() error {
	if c.By <= 0 {
		return errors.New("a counter counts up")
	}
	return nil
}

func newCounters(store eventstore.Store) *aggregate.Repository[int, Command, Incremented] {
	b := codec.NewBuilder()
	codec.Register[Incremented](b, "counter.incremented", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	counters, err := aggregate.NewRepository(store, registry, aggregate.Decider[int, Command, Incremented]{
		Category: "counter",
		Decide: func(_ int, cmd Command) ([]Incremented, error) {
			return []Incremented{{By: cmd.(Increment).By}}, nil
		},
		Evolve: func(n int, e Incremented) int { return n + e.By },
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	return counters
}

func Example() {
	store := memstore.New(nil)
	defer store.Close()

	d := command.NewDispatcher(command.Recover(), command.CorrelationID(nil), command.Validate())
	if err := command.Route(d, newCounters(store), Command.CounterID); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()

	n, receipt, err := command.Dispatch[int](ctx, d, Increment{Counter: "7", By: 2})
	fmt.Println(n, receipt.Last, err)

	_, _, err = command.Dispatch[int](ctx, d, Increment{Counter: "7", By: -2})
	fmt.Println(err)

	_, _, err = command.Dispatch[string](ctx, d, Increment{Counter: "7", By: 2})
	fmt.Println(err)

	_, _, err = command.Dispatch[any](ctx, d, "reset")
	fmt.Println(err)
	// Output:
	// 2 1 <nil>
	// command_test.Increment is not valid: a counter counts up
	// dispatch command_test.Increment: invalid: its result is int, not string
	// no handler for command string
}

// A handler of its own, for a command that concerns two streams: one commit.
func ExampleHandle() {
	store := memstore.New(nil)
	defer store.Close()

	type Greet struct{ Who, Whom string }
	d := command.NewDispatcher()
	err := command.Handle(d, func(ctx context.Context, cmd Greet) (string, eventstore.Receipt, error) {
		who, whom := eventstore.StreamID("person-"+cmd.Who), eventstore.StreamID("person-"+cmd.Whom)
		receipt, err := store.Append(ctx, eventstore.Commit{
			Events: []eventstore.NewEvent{{Stream: who, Type: "greeted"}, {Stream: whom, Type: "was-greeted"}},
			Expect: []eventstore.Expect{{Stream: who, At: eventstore.Any}, {Stream: whom, At: eventstore.Any}},
		})
		return "hello, " + cmd.Whom, receipt, err
	})
	if err != nil {
		log.Fatal(err)
	}

	answer, receipt, err := command.Dispatch[string](context.Background(), d, Greet{Who: "ann", Whom: "bob"})
	fmt.Println(answer, receipt.First, receipt.Last, err)
	// Output:
	// hello, bob 1 2 <nil>
}

// A command with an id is carried out once, however often it is sent.
func ExampleID() {
	store := memstore.New(nil)
	defer store.Close()

	d := command.NewDispatcher(command.ID(func(cmd any) string {
		if c, ok := cmd.(Increment); ok {
			return c.ID
		}
		return ""
	}))
	if err := command.Route(d, newCounters(store), Command.CounterID); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		n, receipt, err := command.Dispatch[int](context.Background(), d, Increment{Counter: "7", By: 2, ID: "k-1"})
		fmt.Println(n, receipt.Repeated, err)
	}
	// Output:
	// 2 false <nil>
	// 2 true <nil>
}
