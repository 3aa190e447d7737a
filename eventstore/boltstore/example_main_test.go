package boltstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// The examples use the log of a shop, the file "shop.yore" in the current directory.

// inShop makes a new directory the current one, and in it the log of a shop that has sold
// these articles, with an event for each. leave goes back and removes the directory.
func inShop(skus ...string) (leave func()) {
	before, err := os.Getwd()
	check(err)
	dir, err := os.MkdirTemp("", "yore")
	check(err)
	check(os.Chdir(dir))
	store, err := boltstore.Open("shop.yore", repeatable(0))
	check(err)
	sell(context.Background(), store, skus...)
	check(store.Close())
	return func() {
		check(os.Chdir(before))
		check(os.RemoveAll(dir))
	}
}

// repeatable are the options of a store of some events whose times and ids are the same in
// each run.
func repeatable(events int) *boltstore.Options {
	ids := uint64(events)
	return &boltstore.Options{
		Clock: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		NewID: func() (id uuid.UUID, err error) {
			ids++
			binary.BigEndian.PutUint64(id[8:], ids)
			return id, nil
		},
	}
}

// sell appends an event for each article, each in a commit of its own.
func sell(ctx context.Context, store *boltstore.Store, skus ...string) {
	for _, sku := range skus {
		event := eventstore.NewEvent{Type: "shop.sold", Codec: "json", Data: fmt.Appendf(nil, `{"sku":%q}`, sku)}
		_, err := eventstore.AppendTo(ctx, store, "till-1", eventstore.Any, event)
		check(err)
	}
}

// keepView adds a view to the log, with a row for each article. Its value is the article's
// name, repeated.
func keepView(ctx context.Context, store *boltstore.Store, view eventstore.ViewID, times int, skus ...string) {
	head, err := store.Head(ctx)
	check(err)
	commit := eventstore.RowCommit{View: view, Checkpoint: eventstore.Checkpoint{Position: head}}
	for _, sku := range skus {
		key := eventstore.RowKey{Table: "by-sku", Key: []byte(sku)}
		commit.Rows = append(commit.Rows, eventstore.Row{RowKey: key, Value: bytes.Repeat([]byte(sku), times)})
	}
	check(store.CommitRows(ctx, commit))
}

// dropView drops a view and its rows.
func dropView(ctx context.Context, store *boltstore.Store, view eventstore.ViewID) {
	for more := true; more; {
		var err error
		more, err = store.DropRows(ctx, view, 1_000)
		check(err)
	}
}

// takeBackups makes two backups: sunday.bak, of all events, and monday.bak, of one that was
// appended later.
func takeBackups(ctx context.Context) {
	store, err := boltstore.Open("shop.yore", repeatable(2))
	check(err)
	sunday, err := writeBackup(ctx, store, "sunday.bak", 0)
	check(err)
	sell(ctx, store, "spoon")
	_, err = writeBackup(ctx, store, "monday.bak", sunday.Through)
	check(errors.Join(err, store.Close()))
}

// tamper changes the log's file behind the store's back.
func tamper(change func(*bolt.Tx) error) {
	db, err := bolt.Open("shop.yore", 0, nil)
	check(err)
	check(errors.Join(db.Update(func(tx *bolt.Tx) error {
		head, _, _ := logfile.ReadHead(pages.View(tx), seed(tx)) // it is of the transaction before
		return errors.Join(change(tx), logfile.PutHead(pages.Write(tx), seed(tx), head))
	}), db.Close()))
}

// seed returns the seed of the checksums in the log's file.
func seed(tx *bolt.Tx) record.Seed {
	identity, err := logfile.LoadIdentity(pages.View(tx))
	check(err)
	return identity.Seed()
}

// overwriteText replaces each occurrence of a text in the log's file by zeros. The log may be
// open.
func overwriteText(text string) {
	content, err := os.ReadFile("shop.yore")
	check(err)
	f, err := os.OpenFile("shop.yore", os.O_WRONLY, 0)
	check(err)
	for at := bytes.Index(content, []byte(text)); at >= 0; at = bytes.Index(content, []byte(text)) {
		_, err := f.WriteAt(make([]byte, len(text)), int64(at))
		check(err)
		clear(content[at : at+len(text)])
	}
	check(f.Close())
}

// overwritePageAt overwrites the page around an offset in the log's file. The log may be open.
func overwritePageAt(offset int) {
	page := os.Getpagesize()
	f, err := os.OpenFile("shop.yore", os.O_WRONLY, 0)
	check(err)
	_, err = f.WriteAt(bytes.Repeat([]byte("?"), page), int64(offset/page*page))
	check(errors.Join(err, f.Close()))
}

// olderMeta returns the offset of the older one of the two pages that describe the log's file.
func olderMeta() (offset int) {
	db, err := bolt.Open("shop.yore", 0, &bolt.Options{ReadOnly: true})
	check(err)
	check(db.View(func(tx *bolt.Tx) error {
		offset = (tx.ID() + 1) % 2 * os.Getpagesize()
		return nil
	}))
	check(db.Close())
	return offset
}

// toOutput logs to standard output: no times, no directories, and messages up to a colon.
func toOutput() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey:
				return slog.Attr{}
			case slog.MessageKey:
				message, _, _ := strings.Cut(a.Value.String(), ":")
				return slog.String(a.Key, message)
			case "file":
				return slog.String(a.Key, filepath.Base(a.Value.String()))
			}
			return a
		},
	}))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
