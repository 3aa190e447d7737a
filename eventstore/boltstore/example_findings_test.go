package boltstore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

// examine damages a log of three events and a view, and prints what Verify finds in it and
// what to do about it.
func examine(what string, damage func()) {
	defer inShop("mug", "plate", "spoon")()
	addSales()
	damage()
	store := openReadOnly()
	defer store.Close()
	printFindings(what, store)
}

// examineOpen does the same for a log that is damaged while it is open.
func examineOpen(what string, damage func()) {
	defer inShop("mug", "plate", "spoon")()
	addSales()
	store := openReadOnly()
	defer store.Close()
	damage()
	printFindings(what, store)
}

// printFindings prints what the findings concern; see [ExampleStore_Verify] for their texts.
func printFindings(what string, store *boltstore.Store) {
	v, err := store.Verify(context.Background(), nil)
	check(err)
	fmt.Println("#", what)
	for _, f := range v.Findings {
		fmt.Print(f.Kind)
		if f.Position > 0 {
			fmt.Print(", position ", f.Position)
		}
		if f.View != "" {
			fmt.Print(", view ", f.View)
		}
		fmt.Println(" =>", remedy(f))
	}
}

func openReadOnly() *boltstore.Store {
	store, err := boltstore.Open("shop.yore", &boltstore.Options{ReadOnly: true})
	check(err)
	return store
}

// addSales adds a view whose rows are larger than a page.
func addSales() {
	store, err := boltstore.Open("shop.yore", nil)
	check(err)
	keepView(context.Background(), store, "sales", 100_000, "mug", "plate", "spoon")
	check(store.Close())
}

// position returns the key of an event in the log's bucket.
func position(p eventstore.Position) []byte {
	key := record.Key(p)
	return key[:]
}

// falsify replaces an event by another one that is whole.
func falsify(p eventstore.Position, change func(r *record.Record)) {
	tamper(func(tx *bolt.Tx) error {
		events := tx.Bucket([]byte("log"))
		r, err := record.Decode(seed(tx), p, events.Get(position(p)))
		if err != nil {
			return err
		}
		change(&r)
		e := &r.Event
		event := eventstore.NewEvent{Stream: e.Stream, ID: e.ID, Type: e.Type, Codec: e.Codec, Data: e.Data}
		rec := record.Append(nil, &event, r.Place, r.Mark)
		record.Seal(rec, seed(tx), r.Before, p, e.Version, e.Recorded)
		return events.Put(position(p), rec)
	})
}

// What Verify finds where the bytes of the log are not those that were written.
func ExampleFindingKind_events() {
	examine("an event is overwritten", func() { overwriteText(`{"sku":"plate"}`) })
	examine("an event is removed", func() {
		tamper(func(tx *bolt.Tx) error { return tx.Bucket([]byte("log")).Delete(position(2)) })
	})
	examine("something is among the events that is none", func() {
		tamper(func(tx *bolt.Tx) error { return tx.Bucket([]byte("log")).Put(append(position(2), 0), []byte("?")) })
	})
	// Output:
	// # an event is overwritten
	// damaged record, position 2 => restore a backup, or salvage
	// # an event is removed
	// missing record, position 2 => restore a backup, or salvage
	// # something is among the events that is none
	// stray record => restore a backup, or salvage
}

// What Verify finds where events are whole and contradict each other.
func ExampleFindingKind_contradictions() {
	examine("an event is of a commit of two, and the other one is not there", func() {
		falsify(2, func(r *record.Record) { r.Place.N = 2 })
	})
	examine("an event has a type that no append takes", func() {
		falsify(2, func(r *record.Record) { r.Event.Type = "sold\x00" })
	})
	examine("an event is earlier than the one before", func() {
		falsify(2, func(r *record.Record) { r.Event.Recorded = r.Event.Recorded.Add(-time.Hour) })
	})
	examine("a version is there twice", func() {
		falsify(3, func(r *record.Record) { r.Event.Version = 2 })
	})
	examine("a key is there twice", func() {
		falsify(2, func(r *record.Record) { r.Key = "sale-1" })
		falsify(3, func(r *record.Record) { r.Key = "sale-1" })
	})
	// Output:
	// # an event is of a commit of two, and the other one is not there
	// broken commit, position 3 => restore a backup, and report it
	// broken chain, position 3 => restore a backup, and report it
	// # an event has a type that no append takes
	// invalid record, position 2 => restore a backup, and report it
	// broken chain, position 3 => restore a backup, and report it
	// # an event is earlier than the one before
	// decreasing time, position 2 => restore a backup, and report it
	// broken chain, position 3 => restore a backup, and report it
	// # a version is there twice
	// broken stream, position 3 => restore a backup, and report it
	// # a key is there twice
	// broken chain, position 3 => restore a backup, and report it
	// repeated key, position 3 => restore a backup, and report it
}

// What Verify finds where the index or a view is damaged.
func ExampleFindingKind_derived() {
	sales := func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket([]byte("rows")).Bucket([]byte("sales")) }
	checkpoints := func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket([]byte("checkpoints")) }
	row := []byte("by-sku\x00mug")

	examine("the index is removed", func() {
		tamper(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("index")) })
	})
	examine("a row is overwritten", func() {
		tamper(func(tx *bolt.Tx) error { return sales(tx).Put(row, []byte("another")) })
	})
	examine("a row is removed", func() {
		tamper(func(tx *bolt.Tx) error { return sales(tx).Delete(row) })
	})
	examine("a checkpoint is overwritten", func() {
		tamper(func(tx *bolt.Tx) error { return checkpoints(tx).Put([]byte("sales"), []byte("another")) })
	})
	examine("a checkpoint is removed", func() {
		tamper(func(tx *bolt.Tx) error { return checkpoints(tx).Delete([]byte("sales")) })
	})
	// Output:
	// # the index is removed
	// index entry => reindex
	// # a row is overwritten
	// damaged row, view sales => drop view "sales", and run it again
	// # a row is removed
	// missing row, view sales => drop view "sales", and run it again
	// # a checkpoint is overwritten
	// damaged checkpoint, view sales => drop view "sales", and run it again
	// # a checkpoint is removed
	// stray row, view sales => drop view "sales", and run it again
}

// What Verify finds where the file is damaged, written by another program, or moved.
func ExampleFindingKind_file() {
	examine("another program has a bucket in the file", func() {
		tamper(func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("users"))
			return err
		})
	})
	examineOpen("a page is overwritten", func() {
		content, err := os.ReadFile("shop.yore")
		check(err)
		overwritePageAt(bytes.Index(content, []byte("mugmugmug")))
	})
	examineOpen("a page that describes the file is overwritten", func() { overwritePageAt(olderMeta()) })
	examineOpen("what the file says of itself is overwritten", func() {
		store := openReadOnly()
		defer store.Close()
		id := store.Info().StoreID
		overwriteText(string(id[:]))
	})
	examineOpen("the file is renamed", func() { check(os.Rename("shop.yore", "shop.old")) })
	// Output:
	// # another program has a bucket in the file
	// stray bucket => find out which program writes to the file
	// # a page is overwritten
	// damaged page => reindex if all events are there; else restore a backup, or salvage
	// damaged page, view sales => reindex if all events are there; else restore a backup, or salvage
	// # a page that describes the file is overwritten
	// meta page => append: that writes the page anew
	// # what the file says of itself is overwritten
	// description => salvage
	// # the file is renamed
	// file => back up before the store is closed
}
