package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// checkLog prints what Verify finds, and returns an error if something is damaged.
func checkLog(ctx context.Context, store *boltstore.Store) error {
	v, err := store.Verify(ctx, nil)
	if err != nil {
		return err // it could not go on: the context has ended, or the store was closed
	}
	fmt.Printf("whole, through position %d: %d events, %d entries of the index, %d rows of %d views\n",
		v.Head, v.Events, v.Postings, v.Rows, v.Views)
	for _, view := range v.Unsettled {
		fmt.Printf("view %q changed too often for its rows to be counted\n", view)
	}
	for _, finding := range v.Findings {
		fmt.Println(finding)
	}
	if !v.OK() {
		return errors.New("the log is damaged")
	}
	return nil
}

// How to look for damage. Appends go on meanwhile.
func ExampleStore_Verify() {
	defer inShop("mug", "plate", "spoon")()
	ctx := context.Background()
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	keepView(ctx, store, "sales", 1, "mug", "plate")
	fmt.Println(checkLog(ctx, store))
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	overwriteText(`{"sku":"plate"}`)
	store, err = boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	fmt.Println(checkLog(ctx, store))
	// Output:
	// whole, through position 3: 3 events, 9 entries of the index, 2 rows of 1 views
	// <nil>
	// whole, through position 3: 2 events, 9 entries of the index, 2 rows of 1 views
	// damaged record, position 2: the payload or the metadata fail their checksum
	// the log is damaged
}
