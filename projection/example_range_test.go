package projection_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/projection"
)

type ReminderSet struct {
	Text string    `json:"text"`
	Due  time.Time `json:"due"`
}

// What is due by now? An index by time, and a range that ends with a time and has
// it, too.
func ExampleAtMost() {
	b := codec.NewBuilder()
	codec.Register[ReminderSet](b, "reminder.set", 1, nil)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	p := projection.New("reminders", 1)
	texts := projection.NewTable[string, ReminderSet](p, "by-text")
	byDue := projection.NewIndex(texts, "due", func(r ReminderSet) (time.Time, bool) { return r.Due, true })
	projection.On(p, func(tx projection.Tx, e projection.Event[ReminderSet]) error {
		return texts.In(tx).Put(e.Data.Text, e.Data)
	})

	ctx, store := context.Background(), memstore.New(nil)
	defer store.Close()
	nine := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	put(ctx, store, registry, "reminder-1", ReminderSet{Text: "water the plants", Due: nine.Add(time.Hour)})
	put(ctx, store, registry, "reminder-2", ReminderSet{Text: "call Ann", Due: nine})
	put(ctx, store, registry, "reminder-3", ReminderSet{Text: "pay the rent", Due: nine.AddDate(0, 0, -1)})
	if err := newViews(store, registry).CatchUp(ctx, p); err != nil {
		log.Fatal(err)
	}
	for row, err := range byDue.Scan(ctx, store, projection.AtMost(nine)) {
		fmt.Println(row.Key, err)
	}
	// Output:
	// pay the rent <nil>
	// call Ann <nil>
}
