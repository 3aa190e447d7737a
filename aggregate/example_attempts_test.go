package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// overtaking is a store in which another program is faster: it appends just before each
// commit that comes.
type overtaking struct{ *memstore.Store }

func (s overtaking) Append(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	other := eventstore.NewEvent{Type: "counter.incremented", SchemaVersion: 1, Codec: "json", Data: []byte(`{"by":1}`)}
	if _, err := eventstore.AppendTo(ctx, s.Store, c.Events[0].Stream, eventstore.Any, other); err != nil {
		return eventstore.Receipt{}, err
	}
	return s.Store.Append(ctx, c)
}

// How to try one command less often than the others: a repository like this one, which
// keeps the same states in memory.
func ExampleRepository_WithMaxAttempts() {
	store := overtaking{memstore.New(nil)}
	defer store.Close()
	counters := newCounters(store)

	_, err := counters.WithMaxAttempts(1).Execute(context.Background(), "7", Increment{By: 1})
	fmt.Println(errors.Is(err, eventstore.ErrConflict))
	_, version, err := counters.Load(context.Background(), "7")
	fmt.Println("overtaken by", version, err)
	// Output:
	// true
	// overtaken by 1 <nil>
}

// Which of several commands kept all of them from being carried out, and why.
func ExampleBatchError() {
	store := memstore.New(nil)
	defer store.Close()
	counters := newCounters(store)
	ctx := context.Background()

	_, err := aggregate.ExecuteAll(ctx,
		counters.Part(ctx, "7", Increment{By: 6}, nil),
		counters.Part(ctx, "8", Increment{By: 11}, nil))
	var refused *aggregate.BatchError
	if !errors.As(err, &refused) {
		log.Fatal(err)
	}
	fmt.Println("command", refused.Index, "on", refused.Stream, "of type", refused.Type)
	fmt.Println(refused.Err, "-", errors.Is(err, ErrBeyondTen))
	// Output:
	// command 1 on counter-8 of type aggregate_test.Increment
	// the counter goes to 10 and no further - true
}
