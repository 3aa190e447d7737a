package aggtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
)

type Opened struct{}

type Open struct{}

var ErrOpen = errors.New("the door is open already")

var door = aggregate.Decider[bool, Open, Opened]{
	Category: "door",
	Decide: func(open bool, _ Open) ([]Opened, error) {
		if open {
			return nil, ErrOpen
		}
		return []Opened{{}}, nil
	},
	Evolve: func(bool, Opened) bool { return true },
}

func Example() {
	t := printing{} // in a test, its *testing.T

	b := codec.NewBuilder()
	codec.Register[Opened](b, "door.opened", 1)
	registry, err := b.Build()
	if err != nil {
		t.Fatalf("%v", err)
	}
	s := aggtest.New(t, registry, door)

	s.When(Open{}).Then(Opened{}).ThenState(true)
	s.Given(Opened{}).When(Open{}).ThenRejected(ErrOpen)
	s.Given(Opened{}).When(Open{}).Then(Opened{}) // fails
	s.When(Open{}).ThenState(false)               // fails
	// Output:
	// when aggtest_test.Open: want 1 event, got a refusal: the door is open already
	// when aggtest_test.Open: state:
	// - (bool): false
	// + (bool): true
}

type Closed struct{}

// closeAfter closes the door if it has been open for so long.
func closeAfter(d time.Duration, now time.Time) aggregate.Decision {
	var since time.Time
	opened := aggregate.NewModel(eventstore.All(),
		fold.OnEvent(func(_ time.Time, e fold.Event[Opened]) time.Time { return e.Time }),
		fold.OnEvent(func(time.Time, fold.Event[Closed]) time.Time { return time.Time{} }))
	return aggregate.Decision{
		Models: aggregate.Models{opened.Into(&since)},
		Decide: func() ([]any, error) {
			if since.IsZero() || now.Sub(since) < d {
				return nil, nil
			}
			return []any{Closed{}}, nil
		},
	}
}

func ExampleLog() {
	t := printing{} // in a test, its *testing.T

	b := codec.NewBuilder()
	codec.Register[Opened](b, "door.opened", 1)
	codec.Register[Closed](b, "door.closed", 1)
	registry, err := b.Build()
	if err != nil {
		t.Fatalf("%v", err)
	}
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	open := aggtest.NewLog(t, registry).At(noon).Given(aggregate.In("door-1", Opened{})...)

	open.When(closeAfter(time.Minute, noon)).ThenNothing()
	later := open.Later(time.Minute)
	v := later.When(closeAfter(time.Minute, later.Now())).Then(Closed{})
	v.After().When(closeAfter(time.Minute, later.Now())).Then(Closed{}) // fails
	// Output:
	// when the decision is made: events:
	// - aggtest_test.Closed {}
}

// printing prints what a test would report.
type printing struct{ testing.TB }

func (printing) Helper()                           {}
func (printing) Context() context.Context          { return context.Background() }
func (printing) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (printing) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
