package boltstore_test

import (
	"context"
	"fmt"
	"log"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// remedy returns the remedy for a finding.
func remedy(f boltstore.Finding) string {
	switch f.Kind {
	case boltstore.DamagedRecord, boltstore.MissingRecord, boltstore.StrayRecord:
		return "restore a backup, or salvage"
	case boltstore.InvalidRecord, boltstore.BrokenCommit, boltstore.BrokenChain, boltstore.DecreasingTime, boltstore.BrokenStream, boltstore.RepeatedKey:
		return "restore a backup, and report it"
	case boltstore.IndexEntry:
		return "reindex"
	case boltstore.DamagedRow, boltstore.MissingRow, boltstore.DamagedCheckpoint, boltstore.StrayRow:
		return fmt.Sprintf("drop view %q, and run it again", f.View)
	case boltstore.DamagedPage:
		return "reindex if all events are there; else restore a backup, or salvage"
	case boltstore.MetaPage:
		return "append: that writes the page anew"
	case boltstore.Description:
		return "salvage"
	case boltstore.StrayBucket:
		return "find out which program writes to the file"
	case boltstore.File:
		return "back up before the store is closed"
	default:
		return "read the documentation"
	}
}

// How to decide what to do about a finding. The examples of FindingKind show all kinds.
func ExampleFinding() {
	defer inShop("mug", "plate", "spoon")()
	ctx := context.Background()
	store, err := boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	keepView(ctx, store, "sales", 2, "mug", "plate")
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}
	overwriteText(`{"sku":"mug"}`)
	overwriteText("mugmug")

	store, err = boltstore.Open("shop.yore", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	v, err := store.Verify(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, finding := range v.Findings {
		fmt.Println(finding.Kind, "=>", remedy(finding))
	}
	// Output:
	// damaged record => restore a backup, or salvage
	// damaged row => drop view "sales", and run it again
}
