package eventstore_test

import (
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// Which expectation to choose: at which versions a stream may be for each of them, and
// which version is the first that is in the way of the others.
func ExampleExpectation() {
	for _, expectation := range []eventstore.Expectation{
		eventstore.NoStream, eventstore.At(2), eventstore.Exists, eventstore.Any,
	} {
		fmt.Printf("%v:", expectation)
		for actual := range eventstore.Version(4) {
			if expectation.Holds(actual) {
				fmt.Printf(" %d", actual)
			} else if first := expectation.FirstConflict(actual); first > 0 {
				fmt.Printf(" (%d is too many)", first)
			} else {
				fmt.Print(" (too few)")
			}
		}
		fmt.Println()
	}
	// Output:
	// no stream: 0 (1 is too many) (1 is too many) (1 is too many)
	// version 2: (too few) (too few) 2 (3 is too many)
	// an existing stream: (too few) 1 2 3
	// any version: 0 1 2 3
}
