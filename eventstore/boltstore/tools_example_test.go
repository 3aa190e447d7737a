package boltstore_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func ExampleStore_Verify() {
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
	if _, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream, eventstore.NewEvent{Type: "cart.opened"}); err != nil {
		log.Fatal(err)
	}

	v, err := store.Verify(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, finding := range v.Findings {
		fmt.Println(finding)
	}
	fmt.Println("all right:", v.OK(), "- events:", v.Events)
	// Output:
	// all right: true - events: 1
}

func ExampleStore_Export() {
	dir, err := os.MkdirTemp("", "yore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	store, err := boltstore.Open(filepath.Join(dir, "shop.yore"), &boltstore.Options{ // the same each time, for the example
		Clock: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		NewID: func() (uuid.UUID, error) { return uuid.MustParse("0194267a-1c88-7000-8000-000000000001"), nil },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	_, err = eventstore.AppendTo(ctx, store, "cart-7", eventstore.NoStream,
		eventstore.NewEvent{Type: "cart.opened"},
		eventstore.NewEvent{Type: "cart.item-added", Codec: "json", Data: []byte(`{"sku":"mug"}`), Tags: []eventstore.Tag{"sku:mug"}})
	if err != nil {
		log.Fatal(err)
	}

	var lines bytes.Buffer
	if _, err := store.Export(ctx, &lines, nil); err != nil {
		log.Fatal(err)
	}
	fmt.Print(lines.String())

	imported, err := boltstore.Import(ctx, filepath.Join(dir, "copy.yore"), &lines, nil)
	fmt.Println(imported.Appended, "events imported", err)
	// Output:
	// {"position":1,"stream":"cart-7","version":1,"commit":{"i":0,"n":2},"id":"0194267a-1c88-7000-8000-000000000001","type":"cart.opened","recorded":"2026-01-02T03:04:05Z"}
	// {"position":2,"stream":"cart-7","version":2,"commit":{"i":1,"n":2},"id":"0194267a-1c88-7000-8000-000000000001","type":"cart.item-added","codec":"json","recorded":"2026-01-02T03:04:05Z","tags":["sku:mug"],"data":{"sku":"mug"}}
	// 2 events imported <nil>
}

func ExampleSalvage() {
	dir, err := os.MkdirTemp("", "yore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	path := filepath.Join(dir, "shop.yore")
	store, err := boltstore.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, kind := range []string{"cart.opened", "cart.item-added", "cart.checked-out"} {
		if _, err := eventstore.AppendTo(ctx, store, "cart-7", eventstore.Any, eventstore.NewEvent{Type: kind}); err != nil {
			log.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		log.Fatal(err)
	}

	// Both pages that describe the file are overwritten: no program can open it.
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := file.WriteAt(make([]byte, 2*os.Getpagesize()), 0); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}

	saved, err := boltstore.Salvage(ctx, path, filepath.Join(dir, "saved.yore"), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("events saved:", saved.Events, "- missing:", saved.MissingEvents)
	// Output:
	// events saved: 3 - missing: 0
}
