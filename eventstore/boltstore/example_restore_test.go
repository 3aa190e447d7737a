package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// restoreFrom makes the log at path from files: a full backup and those that continue it, in
// their order.
func restoreFrom(ctx context.Context, path string, o *boltstore.RestoreOptions, names ...string) (boltstore.Manifest, error) {
	backups := make([]io.Reader, len(names))
	for i, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return boltstore.Manifest{}, err
		}
		defer f.Close()
		backups[i] = f
	}
	return boltstore.Restore(ctx, path, o, backups...)
}

// How to restore a log: beside the one that is there, to try the backups, and in its place.
func ExampleRestore() {
	defer inShop("mug", "plate")()
	ctx := context.Background()
	takeBackups(ctx)

	tried, err := restoreFrom(ctx, "tried.yore", nil, "sunday.bak", "monday.bak")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("restored:", tried.Events, "events, through position", tried.Through)

	_, err = restoreFrom(ctx, "shop.yore", nil, "sunday.bak", "monday.bak")
	fmt.Println("the log is there:", errors.Is(err, fs.ErrExist))
	replaced, err := restoreFrom(ctx, "shop.yore", &boltstore.RestoreOptions{
		Replace:     true,
		LockTimeout: time.Minute, // another program may still have the log open
		FileMode:    0o640,       // the default is the mode of the replaced file
	}, "sunday.bak", "monday.bak")
	if err != nil {
		log.Fatal(err)
	}

	// A checkpoint that is kept elsewhere may be ahead of the restored log.
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	fmt.Println("another epoch:", replaced.Epoch > 1, store.Info().Epoch == replaced.Epoch)
	for event, err := range store.Read(ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Position, string(event.Data))
	}
	// Output:
	// restored: 3 events, through position 3
	// the log is there: true
	// another epoch: true true
	// 1 {"sku":"mug"}
	// 2 {"sku":"plate"}
	// 3 {"sku":"spoon"}
}
