package eventstore_test

import (
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// For each expectation, the versions that meet it, and for the other versions the first
// event that breaks it.
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
