package boltstore_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// A full backup and an incremental one make the log again. Appends may go on
// while a backup is taken.
func ExampleStore_Backup() {
	dir, err := os.MkdirTemp("", "yore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	store, err := boltstore.Open(filepath.Join(dir, "shop.yore"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	sell(ctx, store, "mug", "plate")
	var sunday, monday bytes.Buffer
	full, err := store.Backup(ctx, &sunday, nil)
	if err != nil {
		log.Fatal(err)
	}
	sell(ctx, store, "spoon")
	more, err := store.Backup(ctx, &monday, &boltstore.BackupOptions{After: full.Through})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("sunday:", full.Events, "events, monday:", more.Events)

	// To know whether they are whole, read them.
	if _, err := boltstore.VerifyBackup(ctx, bytes.NewReader(sunday.Bytes()), bytes.NewReader(monday.Bytes())); err != nil {
		log.Fatal(err)
	}

	again := filepath.Join(dir, "restored.yore")
	all, err := boltstore.Restore(ctx, again, nil, &sunday, &monday)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("restored:", all.Events, "events, in a new epoch:", all.Epoch > 1)
	printLog(ctx, again)
	// Output:
	// sunday: 2 events, monday: 1
	// restored: 3 events, in a new epoch: true
	// 1 mug
	// 2 plate
	// 3 spoon
}

// sell appends an event for each article.
func sell(ctx context.Context, store *boltstore.Store, skus ...string) {
	for _, sku := range skus {
		event := eventstore.NewEvent{Type: "shop.sold", Data: []byte(sku)}
		if _, err := store.Append(ctx, eventstore.Commit{Events: []eventstore.NewEvent{event}}); err != nil {
			log.Fatal(err)
		}
	}
}

// printLog prints the events of a log.
func printLog(ctx context.Context, path string) {
	store, err := boltstore.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	for event, err := range store.Read(ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Position, string(event.Data))
	}
}

// A file keeps the pages of rows that were changed. Compact frees them. No other
// opener may have the file open.
func ExampleCompact() {
	dir, err := os.MkdirTemp("", "yore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "shop.yore")
	ctx := context.Background()
	writeChangingRows(ctx, path)

	c, err := boltstore.Compact(ctx, path, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Head, "event,", c.Rows, "row, smaller:", c.After < c.Before)
	// Output: 1 event, 1 row, smaller: true
}

// Whatever is derived from the log can be thrown away: Rebuild makes a file of
// the records alone.
func ExampleRebuild() {
	dir, err := os.MkdirTemp("", "yore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "shop.yore")
	ctx := context.Background()
	writeChangingRows(ctx, path)

	kept, err := boltstore.Rebuild(ctx, path, &boltstore.RebuildOptions{KeepViews: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(kept.Head, "event,", kept.Rows, "row")
	rebuilt, err := boltstore.Rebuild(ctx, path, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rebuilt.Head, "event,", rebuilt.Rows, "rows")
	// Output:
	// 1 event, 1 row
	// 1 event, 0 rows
}

// writeChangingRows makes a log of one event and a view whose only row is
// written ten times.
func writeChangingRows(ctx context.Context, path string) {
	store, err := boltstore.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	event := eventstore.NewEvent{Type: "shop.opened"}
	if _, err := store.Append(ctx, eventstore.Commit{Events: []eventstore.NewEvent{event}}); err != nil {
		log.Fatal(err)
	}
	var before eventstore.Checkpoint
	for i := range 10 {
		after := eventstore.Checkpoint{Position: 1, Data: []byte{byte(i)}}
		row := eventstore.Row{RowKey: eventstore.RowKey{Table: "reports", Key: []byte("today")}, Value: make([]byte, (i+1)<<20)}
		if err := store.CommitRows(ctx, eventstore.RowCommit{View: "reports", Expected: before, Checkpoint: after, Rows: []eventstore.Row{row}}); err != nil {
			log.Fatal(err)
		}
		before = after
	}
}
