package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// writeBackup backs up the events after a position, 0 for all, to a file that has this name
// when the backup is complete.
func writeBackup(ctx context.Context, store *boltstore.Store, name string, after eventstore.Position) (boltstore.Manifest, error) {
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return boltstore.Manifest{}, err
	}
	defer f.Close()
	manifest, err := store.Backup(ctx, f, &boltstore.BackupOptions{After: after})
	if err != nil {
		return boltstore.Manifest{}, err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return boltstore.Manifest{}, err
	}
	return manifest, os.Rename(name+".new", name)
}

// How to back up a log: once all of it, and then what is new. Appends go on meanwhile.
func ExampleStore_Backup() {
	defer inShop("mug", "plate")()
	ctx := context.Background()
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	sunday, err := writeBackup(ctx, store, "sunday.bak", 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("sunday:", sunday.Events, "events, through position", sunday.Through)

	sell(ctx, store, "spoon")
	monday, err := writeBackup(ctx, store, "monday.bak", sunday.Through)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("monday:", monday.Events, "event, after position", monday.After, "through position", monday.Through)
	// Output:
	// sunday: 2 events, through position 2
	// monday: 1 event, after position 2 through position 3
}
