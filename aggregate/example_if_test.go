package aggregate_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// Two users look at the same page, and both press a button. The second one has not seen
// what the first one did.
func ExampleIf() {
	store := memstore.New(nil)
	defer store.Close()
	counters := newCounters(store)
	ctx := context.Background()

	_, seen, err := counters.Load(ctx, "7")
	fmt.Println("seen at version", seen, err)

	result, err := counters.Execute(ctx, "7", Increment{By: 6}, aggregate.If(seen))
	fmt.Println("first:", result.State, err)

	_, err = counters.Execute(ctx, "7", Increment{By: 3}, aggregate.If(seen))
	var conflict *eventstore.ConflictError
	if errors.Is(err, aggregate.ErrCondition) && errors.As(err, &conflict) {
		fmt.Println("second: expected", conflict.Expected, "and found version", conflict.Actual)
	}
	// Output:
	// seen at version 0 <nil>
	// first: 6 <nil>
	// second: expected no stream and found version 1
}
