package projection_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

type ReminderSet struct {
	Text string    `json:"text"`
	Due  time.Time `json:"due"`
}

// What is due by now? An index by time, and a range up to a time, inclusive.
func ExampleAtMost() {
	b := codec.NewBuilder()
	codec.Register[ReminderSet](b, "reminder.set", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	p := projection.New("reminders", 1)
	texts := projection.NewTable[string, ReminderSet](p, "by-text")
	byDue := projection.NewIndex(texts, "due", func(r ReminderSet) (time.Time, bool) { return r.Due, true })
	projection.On(p, func(tx projection.Tx, e fold.Event[ReminderSet]) error {
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

// products are rows for the examples: names by SKU, with an index by price.
type products struct {
	*projection.Projection
	names   *projection.Table[string, Product]
	byPrice *projection.Index[string, Product, int]
}

type Product struct {
	SKU, Name string
	Cents     int
}

func newProducts(ctx context.Context, store eventstore.RowStore) *products {
	b := codec.NewBuilder()
	codec.Register[Product](b, "product.listed", 1)
	registry, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	p := &products{Projection: projection.New("products", 1)}
	p.names = projection.NewTable[string, Product](p.Projection, "by-sku")
	p.byPrice = projection.NewIndex(p.names, "price", func(p Product) (int, bool) { return p.Cents, true })
	projection.On(p.Projection, func(tx projection.Tx, e fold.Event[Product]) error {
		return p.names.In(tx).Put(e.Data.SKU, e.Data)
	})
	if err := newViews(store, registry).Attach(ctx, p.Projection); err != nil {
		log.Fatal(err)
	}
	for i, name := range []string{"lamp", "sofa", "vase", "bowl", "hook"} {
		put(ctx, store, registry, "products", Product{SKU: fmt.Sprint("23-", i), Name: name, Cents: 500 * (1 + i%2)})
	}
	put(ctx, store, registry, "products", Product{SKU: "24-0", Name: "desk", Cents: 900})
	return p
}

func ExampleRange() {
	ctx, store := context.Background(), memstore.New(nil)
	defer store.Close()
	p := newProducts(ctx, store)
	for _, keys := range []projection.Range[string]{
		projection.Prefix("24"),
		projection.AtLeast("23-3"),
		projection.Between("23-1", "23-3"),
		projection.LessThan("23-2").Backward(),
		projection.Equal("23-4"),
	} {
		var names []string
		for row, err := range p.names.Scan(ctx, store, keys) {
			if err != nil {
				log.Fatal(err)
			}
			names = append(names, row.Value.Name)
		}
		fmt.Println(names)
	}
	// Output:
	// [desk]
	// [bowl hook desk]
	// [sofa vase]
	// [sofa lamp]
	// [hook]
}

// A page at a time: the cursor is text for the link to the next page, and "" after the
// last one.
func ExampleTable_Page() {
	ctx, store := context.Background(), memstore.New(nil)
	defer store.Close()
	p := newProducts(ctx, store)
	page := func(cursor projection.Cursor) projection.Cursor {
		page, err := p.names.Page(ctx, store, projection.Prefix("23").Limit(3).After(cursor))
		if err != nil {
			log.Fatal(err)
		}
		for _, row := range page.Rows {
			fmt.Print(row.Key, " ", row.Value.Name, ", ")
		}
		fmt.Println("more:", page.Next != "")
		return page.Next
	}
	page(page(""))
	// Output:
	// 23-0 lamp, 23-1 sofa, 23-2 vase, more: true
	// 23-3 bowl, 23-4 hook, more: false
}

// A page at a time, of an index in which many rows have the same value. Rows that are added
// meanwhile do not move the pages.
func ExampleIndex_Page() {
	ctx, store := context.Background(), memstore.New(nil)
	defer store.Close()
	p := newProducts(ctx, store)
	show := func(cursor projection.Cursor) projection.Cursor { // from the last page's link, say
		page, err := p.byPrice.Page(ctx, store, projection.Range[int]{}.Limit(2).After(cursor))
		if err != nil {
			log.Fatal(err)
		}
		for _, row := range page.Rows {
			fmt.Print(row.Value.Name, " for ", row.Value.Cents, ", ")
		}
		fmt.Println("at", page.At)
		return page.Next
	}
	for next := show(""); next != ""; {
		next = show(next)
	}
	// Output:
	// lamp for 500, vase for 500, at 6
	// hook for 500, desk for 900, at 6
	// sofa for 1000, bowl for 1000, at 6
}
