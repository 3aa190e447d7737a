package memstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/eventstore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Config{
		Open: func(testing.TB) eventstore.Store { return memstore.New(nil) },
	})
}

func Example() {
	ctx := context.Background()
	store := memstore.New(&memstore.Options{
		Clock: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	})
	defer store.Close()

	receipt, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream,
		eventstore.NewEvent{Type: "cart.opened"})
	fmt.Println(receipt.First, receipt.Recorded.Format(time.DateTime), err)
	// Output: 1 2026-01-02 03:04:05 <nil>
}
