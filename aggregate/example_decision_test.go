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
	"github.com/yore-es/yore/fold"
)

// A hall with seats. A guest has at most one seat, and a seat has at most one guest.

type SeatTaken struct {
	Seat  string `json:"seat"`
	Guest string `json:"guest"`
}

var (
	ErrSeatTaken = errors.New("the seat is taken")
	ErrHasSeat   = errors.New("the guest has a seat already")
)

func seatIsTaken(seat string) aggregate.Model[bool] {
	return aggregate.NewModel(aggregate.Tagged("seat:"+seat),
		fold.On(func(bool, SeatTaken) bool { return true }))
}

func seatOf(guest string) aggregate.Model[string] {
	return aggregate.NewModel(aggregate.Tagged("guest:"+guest),
		fold.On(func(_ string, e SeatTaken) string { return e.Seat }))
}

func takeSeat(guest, seat string) aggregate.Decision {
	var taken bool
	var has string
	return aggregate.Decision{
		Models: aggregate.Models{
			seatIsTaken(seat).Into(&taken),
			seatOf(guest).Into(&has),
		},
		Decide: func() ([]any, error) {
			switch {
			case taken:
				return nil, ErrSeatTaken
			case has != "":
				return nil, ErrHasSeat
			}
			return []any{SeatTaken{Seat: seat, Guest: guest}}, nil
		},
	}
}

func newSeats(store eventstore.Store) *aggregate.Decisions {
	b := codec.NewBuilder()
	codec.Register[SeatTaken](b, "seat.taken", 1,
		codec.Tags(func(e SeatTaken) []string { return []string{"seat:" + e.Seat, "guest:" + e.Guest} }))
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	seats, err := aggregate.NewDecisions(store, registry, nil)
	if err != nil {
		log.Fatal(err)
	}
	return seats
}

func ExampleDecisions() {
	store := memstore.New(nil)
	defer store.Close()
	seats, ctx := newSeats(store), context.Background()

	decided, err := seats.Execute(ctx, takeSeat("ann", "1A"))
	fmt.Println(decided.Events, decided.Receipt.Last, err)
	_, err = seats.Execute(ctx, takeSeat("bob", "1A"))
	fmt.Println(err)
	_, err = seats.Execute(ctx, takeSeat("ann", "1B"))
	fmt.Println(err)
	// Output:
	// [{1A ann}] 1 <nil>
	// the seat is taken
	// the guest has a seat already
}

// Models answer questions too; and what guards a decision can guard a commit of
// another kind.
func ExampleDecisions_Load() {
	store := memstore.New(nil)
	defer store.Close()
	seats, ctx := newSeats(store), context.Background()

	var has string
	guards, err := seats.Load(ctx, seatOf("ann").Into(&has))
	fmt.Printf("%q %v\n", has, err)

	if _, err = seats.Execute(ctx, takeSeat("ann", "1A")); err != nil {
		log.Fatal(err)
	}
	_, err = store.Append(ctx, eventstore.Commit{
		Events: []eventstore.NewEvent{{Type: "ann.stands"}},
		Guards: guards,
	})
	fmt.Println(err)
	// Output:
	// "" <nil>
	// conflict: guard 0 (type "seat.taken", tags "guest:ann", after position 0): position 1, type "seat.taken" matches
}

// Provided adds a rule that the aggregate does not know: only guests with a seat may count.
func ExampleDecision_Provided() {
	store := memstore.New(nil)
	defer store.Close()
	b := codec.NewBuilder()
	codec.Register[Incremented](b, "counter.incremented", 1)
	codec.Register[SeatTaken](b, "seat.taken", 1,
		codec.Tags(func(e SeatTaken) []string { return []string{"seat:" + e.Seat, "guest:" + e.Guest} }))
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	decisions, err := aggregate.NewDecisions(store, registry, nil)
	if err != nil {
		log.Fatal(err)
	}

	increment := func(guest string) aggregate.Decision {
		var seat string
		return counter.Decision("7", Increment{By: 1}).Provided(func() error {
			if seat == "" {
				return errors.New("take a seat first")
			}
			return nil
		}, seatOf(guest).Into(&seat))
	}
	for range 2 {
		decided, err := decisions.Execute(context.Background(), increment("ann"))
		fmt.Println(decided.Receipt.Heads, err)
		if _, err = decisions.Execute(context.Background(), takeSeat("ann", "1A")); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// [] take a seat first
	// [{counter-7 1}] <nil>
	// the seat is taken
}
