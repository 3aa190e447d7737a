package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// How to make a file smaller after a large view was dropped. No program may have the log
// open.
func ExampleCompact() {
	defer inShop("mug", "plate")()
	ctx := context.Background()
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	keepView(ctx, store, "sales", 100, "mug", "plate")
	keepView(ctx, store, "pictures", 1<<20, "mug", "plate")
	dropView(ctx, store, "pictures")

	_, err = boltstore.Compact(ctx, "shop.yore", &boltstore.CompactOptions{LockTimeout: time.Millisecond})
	fmt.Println("open in a program:", errors.Is(err, eventstore.ErrLocked))
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	c, err := boltstore.Compact(ctx, "shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println("a tenth of the bytes, or less:", c.After <= c.Before/10)
	fmt.Println("kept:", c.Head, "events,", c.Views, "view of", c.Rows, "rows")
	// Output:
	// open in a program: true
	// a tenth of the bytes, or less: true
	// kept: 2 events, 1 view of 2 rows
}
