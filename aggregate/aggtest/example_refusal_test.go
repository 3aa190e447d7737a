package aggtest_test

import (
	"fmt"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/codec"
)

// TooEarlyError says from when on the door may be opened.
type TooEarlyError struct{ Opens time.Time }

func (e *TooEarlyError) Error() string { return "it opens at " + e.Opens.Format(time.Kitchen) }

// openFrom opens the door from a time on.
func openFrom(opens, now time.Time) aggregate.Decision {
	var open bool
	return aggregate.Decision{
		Models: aggregate.Models{door.Model("1").Into(&open)},
		Decide: func() ([]any, error) {
			switch {
			case open:
				return nil, ErrOpen
			case now.Before(opens):
				return nil, &TooEarlyError{Opens: opens}
			}
			return aggregate.In(door.Stream("1"), Opened{}), nil
		},
	}
}

// How to look into a refusal that is a type of its own.
func ExampleVerdict_ThenRejectedAs() {
	t := printing{} // in a test, its *testing.T

	b := codec.NewBuilder()
	codec.Register[Opened](b, "door.opened", 1)
	registry, err := b.Build()
	if err != nil {
		t.Fatalf("%v", err)
	}
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	log := aggtest.NewLog(t, registry).At(noon.Add(-time.Hour))

	var early *TooEarlyError
	log.When(openFrom(noon, log.Now())).ThenRejectedAs(&early)
	fmt.Println(early.Opens.Sub(log.Now()), "too early")
	log.Later(time.Hour).When(openFrom(noon, noon)).ThenRejectedAs(&early) // fails
	// Output:
	// 1h0m0s too early
	// when the decision is made: want refusal of type *aggtest_test.TooEarlyError, got 1 event:
	// + aggtest_test.Opened {} in stream "door-1"
}
