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

// exportLog writes the events after a position, 0 for all, as lines of JSON to a new file.
func exportLog(ctx context.Context, store *boltstore.Store, name string, after eventstore.Position) (boltstore.ExportReport, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return boltstore.ExportReport{}, err
	}
	defer file.Close()
	exported, err := store.Export(ctx, file, &boltstore.ExportOptions{After: after})
	if err != nil {
		return exported, err
	}
	return exported, errors.Join(file.Sync(), file.Close())
}

// How to write a log as text: once all of it, and then what is new. Appends go on meanwhile.
func ExampleStore_Export() {
	defer inShop("mug", "plate")()
	ctx := context.Background()
	store, err := boltstore.Open("shop.yore", repeatable(2))
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	first, err := exportLog(ctx, store, "first.jsonl", 0)
	if err != nil {
		log.Fatal(err)
	}
	sell(ctx, store, "spoon")
	second, err := exportLog(ctx, store, "second.jsonl", first.Through)
	if err != nil {
		log.Fatal(err)
	}
	lines, err := os.ReadFile("second.jsonl")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(first.Events, "events, and then", second.Events, "- through position", second.Through)
	fmt.Println("bytes:", second.Bytes == int64(len(lines)))
	fmt.Print(string(lines))
	// Output:
	// 2 events, and then 1 - through position 3
	// bytes: true
	// {"position":3,"stream":"till-1","version":3,"commit":{"i":0,"n":1},"id":"00000000-0000-0000-0000-000000000003","type":"shop.sold","codec":"json","recorded":"2026-01-02T03:04:05Z","data":{"sku":"spoon"}}
}
