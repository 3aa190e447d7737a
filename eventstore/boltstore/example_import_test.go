package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// importLog appends the events of an export that goes through a position to the log at path,
// which need not be there. After an interruption, the same call goes on.
func importLog(ctx context.Context, path, name string, through eventstore.Position) (boltstore.ImportReport, error) {
	file, err := os.Open(name)
	if err != nil {
		return boltstore.ImportReport{}, err
	}
	defer file.Close()
	imported, err := boltstore.Import(ctx, path, file, &boltstore.ImportOptions{
		LockTimeout: time.Minute, // an interrupted import may still be closing the log
		FileMode:    0o640,       // a new log can be read by the group
	})
	if err == nil && imported.Head < through {
		err = fmt.Errorf("the log ends at position %d, the export at %d", imported.Head, through)
	}
	return imported, err
}

// How to make a log from exports, one after another. Import compares events that the log has
// already.
func ExampleImport() {
	defer inShop("mug", "plate")()
	ctx := context.Background()
	store, err := boltstore.Open("shop.yore", nil)
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

	through := map[string]eventstore.Position{"first.jsonl": first.Through, "second.jsonl": second.Through}
	for _, name := range []string{"first.jsonl", "first.jsonl", "second.jsonl"} {
		imported, err := importLog(ctx, "copy.yore", name, through[name])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, "appended:", imported.Appended, "- there before:", imported.Present)
	}

	// A line of another log is refused.
	lines, err := os.ReadFile("first.jsonl")
	if err != nil {
		log.Fatal(err)
	}
	other := strings.NewReader(strings.Replace(string(lines), "mug", "cup", 1))
	_, err = boltstore.Import(ctx, "copy.yore", other, nil)
	fmt.Println("another log:", errors.Is(err, eventstore.ErrInvalid))
	// Output:
	// first.jsonl appended: 2 - there before: 0
	// first.jsonl appended: 0 - there before: 2
	// second.jsonl appended: 1 - there before: 0
	// another log: true
}
