package eventstore_test

import (
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// Info describes the store. A checkpoint that is kept elsewhere belongs to the log if
// store id and epoch are the same; the epoch changes when an older copy is restored.
func ExampleStore_info() {
	var store eventstore.Store = memstore.New(nil)
	defer store.Close()

	info := store.Info()
	fmt.Println("events on disk:", info.Durable, "positions without gaps:", info.Gapless)
	for _, warning := range info.Warnings {
		fmt.Println("for the operator:", warning)
	}

	kept := struct {
		Log      string
		Position eventstore.Position
	}{fmt.Sprint(info.StoreID, info.Epoch), 42}
	now := store.Info()
	fmt.Println("go on from position 42:", kept.Log == fmt.Sprint(now.StoreID, now.Epoch))
	// Output:
	// events on disk: false positions without gaps: true
	// go on from position 42: true
}

// The limits of every store whose Info has no lower ones.
func ExampleStandardLimits() {
	l := eventstore.StandardLimits()
	fmt.Println("name:", l.NameBytes, "bytes")
	fmt.Println("event:", l.PayloadBytes, "bytes,", l.MetadataBytes, "of metadata,", l.TagsPerEvent, "tags")
	fmt.Println("commit:", l.EventsPerCommit, "events,", l.CommitBytes, "bytes,", l.ExpectationsPerCommit, "expectations")
	fmt.Println("tags:", l.TagsPerCommit, "in a commit")
	fmt.Println("guards:", l.GuardsPerCommit, "with", l.NamesPerCommit, "names")
	fmt.Println("query:", l.ItemsPerQuery, "items,", l.NamesPerItem, "names in each,", l.NamesPerQuery, "names")
	fmt.Println("row:", l.RowKeyBytes, "bytes of key,", l.RowValueBytes, "of value")
	fmt.Println("commit of rows:", l.RowsPerCommit, "rows,", l.CheckpointBytes, "bytes of checkpoint")
	// Output:
	// name: 255 bytes
	// event: 16777216 bytes, 65536 of metadata, 128 tags
	// commit: 65536 events, 67108864 bytes, 65536 expectations
	// tags: 1048576 in a commit
	// guards: 1024 with 65536 names
	// query: 128 items, 1024 names in each, 16384 names
	// row: 4096 bytes of key, 16777216 of value
	// commit of rows: 65536 rows, 65536 bytes of checkpoint
}
