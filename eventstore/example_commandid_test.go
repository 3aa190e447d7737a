package eventstore_test

import (
	"fmt"
	"strings"

	"github.com/yore-es/yore/eventstore"
)

// One message leads to several commands. Each has an id of its own, which is the same when
// the message comes again.
func ExampleDeriveCommandID() {
	for _, line := range []string{"1", "2"} {
		fmt.Println(eventstore.DeriveCommandID("invoice", "536365", line))
	}
	fmt.Println(eventstore.DeriveCommandID("a/b", "c") == eventstore.DeriveCommandID("a", "b/c"))
	fmt.Println(len(eventstore.DeriveCommandID("upload", strings.Repeat("x", 1000))))
	// Output:
	// invoice/536365/1
	// invoice/536365/2
	// false
	// 255
}
