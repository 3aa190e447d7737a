package boltstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// saveLog copies the events that are whole to a new log, and says what is missing and what is
// doubtful.
func saveLog(ctx context.Context, damaged, into string) (boltstore.SalvageReport, error) {
	saved, err := boltstore.Salvage(ctx, damaged, into, &boltstore.SalvageOptions{
		LockTimeout: time.Minute, // another program may still have the damaged log open
		FileMode:    0o640,       // the new log can be read by the group
	})
	if err != nil {
		return saved, err
	}
	fmt.Println("saved:", saved.Events, "events, through position", saved.Head, "- missing:", saved.MissingEvents)
	for _, missing := range saved.Missing {
		fmt.Println("  positions", missing.First, "to", missing.Last)
	}
	if saved.Through == 0 {
		fmt.Println("the file does not say where its log ended: later events may be missing")
	}
	for _, p := range saved.Ambiguous {
		fmt.Println("position", p, "had two events; compare the saved one with what you know")
	}
	fmt.Println("found on lost pages:", saved.Unlinked)
	fmt.Println("not taken:", saved.Refused, "that contradict others,", saved.Leftover, "that were never acknowledged")
	return saved, nil
}

// How to get the events out of a log that no program can open.
func ExampleSalvage() {
	defer inShop("mug", "plate", "spoon", "fork")()
	ctx := context.Background()
	overwriteText("plate")
	overwriteText("spoon")

	if _, err := saveLog(ctx, "shop.yore", "saved.yore"); err != nil {
		log.Fatal(err)
	}

	// Both pages that describe the file are damaged, too.
	overwritePageAt(0)
	overwritePageAt(os.Getpagesize())
	saved, err := saveLog(ctx, "shop.yore", "saved-2.yore")
	if err != nil {
		log.Fatal(err)
	}

	// Consumers that keep their checkpoints elsewhere find another epoch in the new log.
	store, err := boltstore.Open("saved-2.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	fmt.Println("same store:", saved.SameStore && saved.StoreID == store.Info().StoreID)
	fmt.Println("new epoch:", saved.Epoch > 1 && saved.Epoch == store.Info().Epoch)
	// Output:
	// saved: 2 events, through position 4 - missing: 2
	//   positions 2 to 3
	// found on lost pages: 0
	// not taken: 0 that contradict others, 0 that were never acknowledged
	// saved: 2 events, through position 4 - missing: 2
	//   positions 2 to 3
	// the file does not say where its log ended: later events may be missing
	// found on lost pages: 2
	// not taken: 0 that contradict others, 0 that were never acknowledged
	// same store: true
	// new epoch: true
}
