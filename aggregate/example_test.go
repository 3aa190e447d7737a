package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// A counter that does not go beyond 10.

type Incremented struct {
	By int `json:"by"`
}

type Increment struct{ By int }

var ErrBeyondTen = errors.New("the counter goes to 10 and no further")

var counter = aggregate.Decider[int, Increment, Incremented]{
	Category: "counter",
	Decide: func(n int, cmd Increment) ([]Incremented, error) {
		if n+cmd.By > 10 {
			return nil, ErrBeyondTen
		}
		return []Incremented{{By: cmd.By}}, nil
	},
	Evolve: func(n int, e Incremented) int { return n + e.By },
}

func newCounters(store eventstore.Store) *aggregate.Repository[int, Increment, Incremented] {
	b := codec.NewBuilder()
	codec.Register[Incremented](b, "counter.incremented", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	counters, err := aggregate.NewRepository(store, registry, counter, &aggregate.Options{MaxAttempts: 5})
	if err != nil {
		log.Fatal(err)
	}
	return counters
}

func Example() {
	store := memstore.New(nil)
	defer store.Close()
	counters := newCounters(store)
	ctx := context.Background()

	result, err := counters.Execute(ctx, "7", Increment{By: 6})
	fmt.Println(result.State, result.Version, result.Events, err)

	result, err = counters.Execute(ctx, "7", Increment{By: 5})
	fmt.Println(result.State, result.Version, result.Events, err)

	state, version, err := counters.Load(ctx, "7")
	fmt.Println(state, version, err, counters.Stream("7"))
	// Output:
	// 6 1 [{6}] <nil>
	// 6 1 [] the counter goes to 10 and no further
	// 6 1 <nil> counter-7
}

// A command with an id is carried out once, however often it is sent.
func ExampleRepository_Execute_commandID() {
	store := memstore.New(nil)
	defer store.Close()
	counters := newCounters(store)

	ctx := eventstore.WithCommandID(context.Background(), "order-536365/1")
	for range 2 {
		result, err := counters.Execute(ctx, "7", Increment{By: 6})
		fmt.Println(result.State, result.Version, result.Receipt.Repeated, err)
	}
	// Output:
	// 6 1 false <nil>
	// 6 1 true <nil>
}

func ExampleRepository_LoadAt() {
	store := memstore.New(nil)
	defer store.Close()
	counters := newCounters(store)
	ctx := context.Background()
	var then eventstore.Receipt
	for by := range 4 {
		result, err := counters.Execute(ctx, "7", Increment{By: by})
		if err != nil {
			log.Fatal(err)
		}
		then = result.Receipt
	}

	state, err := counters.LoadAt(ctx, "7", 3)
	fmt.Println(state, err)

	_, err = counters.LoadAt(ctx, "7", 9)
	fmt.Println(err)

	state, version, err := counters.LoadAsOf(ctx, "7", then.Recorded)
	fmt.Println(state, version, err)
	// Output:
	// 3 <nil>
	// load stream "counter-7" at version 9: invalid: the stream is at version 4
	// 6 4 <nil>
}

func ExampleRepository_History() {
	store := memstore.New(nil)
	defer store.Close()
	counters := newCounters(store)

	ctx := eventstore.WithActor(context.Background(), "ann")
	for _, by := range []int{1, 2} {
		if _, err := counters.Execute(ctx, "7", Increment{By: by}); err != nil {
			log.Fatal(err)
		}
	}
	for event, err := range counters.History(ctx, "7") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Version, event.Type, event.Data.By, event.Metadata.Actor())
	}
	// Output:
	// 1 counter.incremented 1 ann
	// 2 counter.incremented 2 ann
}
