package aggregate_test

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore/memstore"
)

// A refusal is an answer of Decide. An error that is none, such as one of the store, may pass.
func ExampleResult() {
	store := memstore.New(nil)
	counters, seats := newCounters(store), newSeats(store)
	ctx := context.Background()

	result, err := counters.Execute(ctx, "7", Increment{By: 11})
	fmt.Println("refused:", result.Refused, err)
	_, err = counters.Execute(ctx, "7", Increment{By: 1}, aggregate.If(3))
	fmt.Println(err)

	for range 2 {
		decided, err := seats.Execute(ctx, takeSeat("ann", "1A"))
		fmt.Println("refused:", decided.Refused, err)
	}
	if err := store.Close(); err != nil {
		fmt.Println(err)
	}
	result, err = counters.Execute(ctx, "7", Increment{By: 11})
	fmt.Println("refused:", result.Refused, err)
	// Output:
	// refused: true the counter goes to 10 and no further
	// execute aggregate_test.Increment on stream "counter-7": the condition does not hold: conflict: stream "counter-7": expected version 3, has no events
	// refused: false <nil>
	// refused: true the seat is taken
	// refused: false execute aggregate_test.Increment on stream "counter-7": store is closed
}
