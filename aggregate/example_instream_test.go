package aggregate_test

import (
	"fmt"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
)

// noteSeat records in the streams of the seat and of the guest that the guest takes the seat.
func noteSeat(guest, seat string) aggregate.Decision {
	var taken bool
	return aggregate.Decision{
		Models: aggregate.Models{seatIsTaken(seat).Into(&taken)},
		Decide: func() ([]any, error) {
			if taken {
				return nil, ErrSeatTaken
			}
			noted := SeatTaken{Seat: seat, Guest: guest}
			return []any{
				aggregate.In(eventstore.StreamID("seat-"+seat), noted),
				aggregate.In(eventstore.StreamID("guest-"+guest), noted),
			}, nil
		},
	}
}

// How to see where decided events go, without a store. Package aggtest compares them.
func ExampleInStream() {
	decided, err := noteSeat("ann", "17").Decide()
	for _, events := range decided {
		for _, event := range events.([]any) {
			in := event.(aggregate.InStream)
			fmt.Println(in.Stream, in.Event)
		}
	}
	fmt.Println(err)
	// Output:
	// seat-17 {17 ann}
	// guest-ann {17 ann}
	// <nil>
}
