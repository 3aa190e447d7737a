package eventstore_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
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

// A webhook may be delivered twice. Its id is the key of the commit that it leads to.
func ExampleInboundKey() {
	store := memstore.New(nil)
	defer store.Close()
	for range 2 {
		receipt, err := store.Append(context.Background(), eventstore.Commit{
			Key:    eventstore.InboundKey("bank/webhook", "msg_4711"),
			Events: []eventstore.NewEvent{{Type: "payment.approved"}},
		})
		fmt.Println(receipt.First, receipt.Repeated, err)
	}
	fmt.Println(eventstore.InboundKey("bank/webhook", "msg_4711"))
	// Output:
	// 1 false <nil>
	// 1 true <nil>
	// yore/in/bank%2Fwebhook/msg_4711
}
