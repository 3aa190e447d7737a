package aggtest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/aggregate/aggtest"
	"github.com/yore-es/yore/codec"
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
	codec.Register[Opened](b, "door.opened", 1, nil)
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

// printing prints what a test would report.
type printing struct{ testing.TB }

func (printing) Helper()                           {}
func (printing) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (printing) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
