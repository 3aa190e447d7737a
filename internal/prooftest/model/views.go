package model

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// The views that a run draws from. The last two are attached.
var viewIDs = []eventstore.ViewID{"orders", "orders by day", countView, poisonedView}

const (
	countView    eventstore.ViewID = "count"
	poisonedView eventstore.ViewID = "poisoned"
)

// inlineView returns the inline view of this name.
func inlineView(id eventstore.ViewID) eventstore.InlineView {
	if id == poisonedView {
		return eventstore.InlineView{View: id, Query: eventstore.All(), Apply: applyUntilPoison}
	}
	q := eventstore.Match(eventstore.Item{Types: []string{"added", "placed"}}, eventstore.Item{Tags: []eventstore.Tag{"sku:1"}})
	return eventstore.InlineView{View: id, Query: q, Apply: applyCount}
}

// applyCount counts events by type, keeps the latest position of each stream, and
// keeps a list of at most three positions. So it puts, deletes, gets and scans.
func applyCount(_ context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
	for _, e := range events {
		key := rowKey("t", e.Type)
		rows, err := tx.Get(key)
		if err != nil {
			return err
		}
		var n int
		_, _ = fmt.Sscan(string(rows[0].Value), &n) // no value is zero
		err = tx.Put(
			eventstore.Row{RowKey: key, Value: fmt.Append(nil, n+1)},
			eventstore.Row{RowKey: rowKey("T", "last of "+string(e.Stream)), Value: fmt.Append(nil, e.Position)},
			eventstore.Row{RowKey: rowKey("latest", fmt.Sprintf("%08d", e.Position)), Value: []byte{}},
		)
		if err != nil {
			return err
		}
		if err := keepThree(tx); err != nil {
			return err
		}
	}
	return nil
}

func keepThree(tx eventstore.RowTx) error {
	kept := 0
	for row, err := range tx.Scan(eventstore.RowScan{Table: "latest", Backward: true}) {
		if err != nil {
			return err
		}
		if kept++; kept > 3 {
			return tx.Put(eventstore.Row{RowKey: row.RowKey})
		}
	}
	return nil
}

// applyUntilPoison keeps the size of each event and fails at the first poisonous
// one.
func applyUntilPoison(_ context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
	for _, e := range events {
		if err := tx.Put(eventstore.Row{RowKey: rowKey("T", e.ID.String()), Value: fmt.Append(nil, len(e.Data))}); err != nil {
			return err
		}
		switch {
		case len(e.Data) == 7:
			return errors.New("seven bytes")
		case len(e.Data) == 8:
			panic("eight bytes")
		}
	}
	return nil
}

func rowKey(table, key string) eventstore.RowKey {
	return eventstore.RowKey{Table: table, Key: []byte(key)}
}
