package boltstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// How to look whether backups are whole, where they are kept, and what they hold.
func ExampleVerifyBackup() {
	defer inShop("mug", "plate")()
	ctx := context.Background()
	takeBackups(ctx)

	full, err := os.Open("sunday.bak")
	if err != nil {
		log.Fatal(err)
	}
	defer full.Close()
	rest, err := os.Open("monday.bak")
	if err != nil {
		log.Fatal(err)
	}
	defer rest.Close()
	manifest, err := boltstore.VerifyBackup(ctx, full, rest)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("events:", manifest.Events, "after position", manifest.After, "through", manifest.Through)
	fmt.Println("as of", manifest.Created.Format(time.DateTime))

	// Is it of this log, as it is now?
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	info := store.Info()
	fmt.Println("of this log:", manifest.StoreID == info.StoreID && manifest.Epoch == info.Epoch)

	// How much room does it take?
	size := int64(0)
	for _, f := range []*os.File{full, rest} {
		stat, err := f.Stat()
		if err != nil {
			log.Fatal(err)
		}
		size += stat.Size()
	}
	fmt.Println("bytes of both files:", manifest.Bytes == size)
	// Output:
	// events: 3 after position 0 through 3
	// as of 2026-01-02 03:04:05
	// of this log: true
	// bytes of both files: true
}
