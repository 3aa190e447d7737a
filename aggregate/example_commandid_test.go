package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// A command id is that of one command. If it is used for another one, that one is refused,
// and not taken for a repeat.
func ExampleCommandIDError() {
	store := memstore.New(nil)
	defer store.Close()
	counters := newCounters(store)
	ctx := eventstore.WithCommandID(context.Background(), "request-1")

	for _, by := range []int{2, 2, 3} {
		result, err := counters.Execute(ctx, "7", Increment{By: by})
		var reused *aggregate.CommandIDError
		if errors.As(err, &reused) {
			fmt.Printf("refused: %s was used at position %d\n", reused.CommandID, reused.Receipt.First)
			continue
		}
		fmt.Println(result.State, err, "repeated:", result.Receipt.Repeated)
	}
	// Output:
	// 2 <nil> repeated: false
	// 2 <nil> repeated: true
	// refused: request-1 was used at position 1
}

// A command with the time at which it is sent would be another one each time.
func ExampleCommandDigest() {
	type Punch struct {
		Worker string
		At     time.Time
	}
	digest := func(cmd any) ([]byte, error) {
		if punch, ok := cmd.(Punch); ok {
			punch.At = time.Time{}
			cmd = punch
		}
		return aggregate.CommandDigest(cmd)
	}
	first, _ := digest(Punch{"ann", time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)})
	again, _ := digest(Punch{"ann", time.Date(2026, 1, 1, 8, 0, 5, 0, time.UTC)})
	other, _ := digest(Punch{"bob", time.Date(2026, 1, 1, 8, 0, 5, 0, time.UTC)})
	fmt.Println(string(first) == string(again), string(first) == string(other))

	options := &aggregate.Options{Digest: digest} // for NewRepository or NewDecisions
	fmt.Println(options.Digest != nil)
	// Output:
	// true false
	// true
}

// A log in which keys were used for several things at once has no digests to compare.
func ExampleNoDigest() {
	store := memstore.New(nil)
	defer store.Close()
	b := codec.NewBuilder()
	codec.Register[SeatTaken](b, "seat.taken", 1,
		codec.Tags(func(e SeatTaken) []string { return []string{"seat:" + e.Seat, "guest:" + e.Guest} }))
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	seats, err := aggregate.NewDecisions(store, registry, &aggregate.Options{Digest: aggregate.NoDigest})
	if err != nil {
		log.Fatal(err)
	}
	ctx := eventstore.WithCommandID(context.Background(), "request-1")
	for _, seat := range []string{"1A", "1B"} {
		decided, err := seats.Execute(ctx, takeSeat("ann", seat))
		fmt.Println(decided.Events, decided.Receipt.Repeated, err)
	}
	// Output:
	// [{1A ann}] false <nil>
	// [{1A ann}] true <nil>
}

// A decision with a command id names its command.
func ExampleDecision_command() {
	store := memstore.New(nil)
	defer store.Close()
	seats := newSeats(store)
	ctx := eventstore.WithCommandID(context.Background(), "request-1")
	type takeASeat struct{ Guest, Seat string }
	for _, cmd := range []takeASeat{{"ann", "1A"}, {"ann", "1A"}, {"ann", "1B"}} {
		decision := takeSeat(cmd.Guest, cmd.Seat)
		decision.Command = cmd
		decided, err := seats.Execute(ctx, decision)
		fmt.Println(decided.Events, decided.Receipt.Repeated, err)
	}
	// Output:
	// [{1A ann}] false <nil>
	// [{1A ann}] true <nil>
	// [] false execute decision: invalid: command id "request-1" was used for another command, which wrote to no stream, at position 1
}
