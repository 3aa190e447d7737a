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

// reindex makes the index of the log at path anew. It keeps the views if all of them are whole.
func reindex(ctx context.Context, path string) (boltstore.ReindexReport, error) {
	r, err := boltstore.Reindex(ctx, path, &boltstore.ReindexOptions{
		KeepViews:   true,
		LockTimeout: time.Minute, // another program may still have the log open
	})
	if errors.Is(err, eventstore.ErrCorrupt) { // a view is damaged; if an event is, the next call fails too
		return boltstore.Reindex(ctx, path, nil)
	}
	return r, err
}

// How to repair what is derived from the events. Views that are left out are built again
// when they are next run or attached.
func ExampleReindex() {
	defer inShop("mug", "plate")()
	ctx := context.Background()
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	keepView(ctx, store, "sales", 2, "mug", "plate")
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	kept, err := reindex(ctx, "shop.yore")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kept.Head, "events; views:", kept.Views, "rows:", kept.Rows)

	overwriteText("mugmug") // a row
	repaired, err := reindex(ctx, "shop.yore")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(repaired.Head, "events; views:", repaired.Views, "rows:", repaired.Rows)
	// Output:
	// 2 events; views: 1 rows: 2
	// 2 events; views: 0 rows: 0
}
