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

	fmt.Println("#", what)
	for _, finding := range verifyShop(store) {
		fmt.Println(finding)
		fmt.Println("=>", remedy(finding))
	}
}

// examineOpen damages a log that is open. It prints only the kinds of what is found, since the
// numbers of pages depend on the system.
func examineOpen(what string, damage func()) {
	defer inShop("mug", "plate", "spoon")()
	addSales()
	store := openReadOnly()
	defer store.Close()
	damage()

	fmt.Println("#", what)
	for _, finding := range verifyShop(store) {
		fmt.Println(finding.Kind)
		fmt.Println("=>", remedy(finding))
	}
}

func openReadOnly() *boltstore.Store {
	store, err := boltstore.Open("shop.yore", &boltstore.Options{ReadOnly: true})
	check(err)
	return store
}

func verifyShop(store *boltstore.Store) []boltstore.Finding {
	v, err := store.Verify(context.Background(), nil)
	check(err)
	return v.Findings
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
		r, err := record.Decode(p, events.Get(position(p)))
		if err != nil {
			return err
		}
		change(&r)
		e := &r.Event
		event := eventstore.NewEvent{Stream: e.Stream, ID: e.ID, Type: e.Type, Codec: e.Codec, Data: e.Data}
		rec := record.Append(nil, &event, r.Place, r.Key)
		record.Seal(rec, p, e.Version, e.Recorded)
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
	// damaged record, position 2: checksum is 3d681a4c, the record says 3de5abd4
	// => restore a backup, or salvage
	// # an event is removed
	// missing record, position 2: position 2 has no record
	// => restore a backup, or salvage
	// # something is among the events that is none
	// stray record: the log has a key that is no position in it: 000000000000000200
	// => restore a backup, or salvage
}

// What Verify finds where events are whole and contradict each other.
func ExampleFindingKind_contradictions() {
	examine("an event is of a commit of two, and the other one is not there", func() {
		falsify(2, func(r *record.Record) { r.Place.N = 2 })
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
	// broken commit, position 3: event 0 of a commit of 1 follows event 0 of a commit of 2
	// => restore a backup, and report it
	// # an event is earlier than the one before
	// decreasing time, position 2: recorded at 2026-01-02 02:04:05 +0000 UTC, the event before it at 2026-01-02 03:04:05 +0000 UTC
	// => restore a backup, and report it
	// # a version is there twice
	// broken stream, position 3: version 2 of stream "till-1", where version 3 comes next
	// => restore a backup, and report it
	// # a key is there twice
	// repeated key, position 3: key "sale-1" is also the key of the commit at position 2
	// => restore a backup, and report it
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
	// index entry: the index cannot be used: there is none
	// => reindex
	// # a row is overwritten
	// damaged row, view "sales": corrupt: view "sales", table "by-sku", key "mug": checksum is ab63d361, the row says 74686572
	// => drop view "sales", and run it again
	// # a row is removed
	// missing row, view "sales": there are 2 rows, and should be 3
	// => drop view "sales", and run it again
	// # a checkpoint is overwritten
	// damaged checkpoint, view "sales": corrupt: view "sales", table "", key "": checksum is 3056e87f, the row says 74686572
	// => drop view "sales", and run it again
	// # a checkpoint is removed
	// stray row, view "sales": there are rows and no checkpoint: the view is being dropped, or its checkpoint was lost
	// => drop view "sales", and run it again
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
	examineOpen("a page that describes the file is overwritten", func() { overwritePageAt(0) })
	examineOpen("what the file says of itself is overwritten", func() {
		store := openReadOnly()
		defer store.Close()
		id := store.Info().StoreID
		overwriteText(string(id[:]))
	})
	examineOpen("the file is renamed", func() { check(os.Rename("shop.yore", "shop.old")) })
	// Output:
	// # another program has a bucket in the file
	// stray bucket: the file holds the bucket "users"
	// => find out which program writes to the file
	// # a page is overwritten
	// damaged page
	// => reindex if all events are there; else restore a backup, or salvage
	// damaged page
	// => reindex if all events are there; else restore a backup, or salvage
	// # a page that describes the file is overwritten
	// meta page
	// => append: that writes the page anew
	// # what the file says of itself is overwritten
	// description
	// => salvage
	// # the file is renamed
	// file
	// => back up before the store is closed
}
