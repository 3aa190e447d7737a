package cart

import (
	"cmp"
	"iter"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// lineTable is the lines of carts as a table of a read model. It has a row for
// each line, not one for each cart: an event costs the same however much is in
// the cart.
type lineTable struct {
	*projection.Table[lineKey, lineRow]
}

// lineKey is a cart, and what tells its lines apart: item and unit price.
type lineKey = projection.Pair[string, lineID]

type lineID = projection.Pair[string, Money]

type lineRow struct {
	Description string `json:"description"`
	Quantity    int64  `json:"quantity"`
	// Since is the version of the cart with which the line began: the order of
	// the lines.
	Since eventstore.Version `json:"since"`
}

func newLineTable(p *projection.Projection) lineTable {
	return lineTable{projection.NewTable[lineKey, lineRow](p, "lines")}
}

// apply is [Evolve] for the rows of a cart. It returns the line that the event
// is about, before and after it; a Quantity of 0 stands for no line.
func (t lineTable) apply(tx projection.Tx, stored fold.Event[Event]) (before, after Line, err error) {
	id := stored.Stream.ID()
	switch e := stored.Data.(type) {
	case ItemAdded:
		return t.change(tx, id, e.SKU, e.UnitPrice, func(row lineRow, there bool) lineRow {
			if !there {
				return lineRow{Description: e.Description, Quantity: e.Quantity, Since: stored.Version}
			}
			row.Quantity += e.Quantity
			return row
		})
	case ItemQuantityChanged:
		return t.change(tx, id, e.SKU, e.UnitPrice, func(row lineRow, there bool) lineRow {
			if there {
				row.Quantity = e.Quantity
			}
			return row
		})
	case ItemRemoved:
		return t.change(tx, id, e.SKU, e.UnitPrice, func(lineRow, bool) lineRow { return lineRow{} })
	default:
		return Line{}, Line{}, nil
	}
}

// change puts what to makes of a line, or deletes the line if that is nothing.
func (t lineTable) change(
	tx projection.Tx, id, sku string, price Money, to func(row lineRow, there bool) lineRow,
) (before, after Line, err error) {
	key := projection.PairOf(id, projection.PairOf(sku, price))
	row, there, err := t.In(tx).Get(key)
	if err != nil {
		return Line{}, Line{}, err
	}
	changed := to(row, there)
	if changed.Quantity == 0 {
		err = t.In(tx).Delete(key)
	} else {
		err = t.In(tx).Put(key, changed)
	}
	return lineOf(key, row), lineOf(key, changed), err
}

// take deletes the lines of a cart and returns them in their order.
func (t lineTable) take(tx projection.Tx, id string) ([]Line, error) {
	lines, err := collectLines(t.In(tx).Scan(projection.FirstEqual[lineID](id)))
	for _, line := range lines {
		if err == nil {
			err = t.In(tx).Delete(projection.PairOf(id, projection.PairOf(line.SKU, line.UnitPrice)))
		}
	}
	return lines, err
}

func lineOf(key lineKey, row lineRow) Line {
	return Line{
		SKU: key.Second.First, Description: row.Description, Quantity: row.Quantity, UnitPrice: key.Second.Second,
	}
}

// collectLines returns the lines that rows of one cart are, in the order in which
// they were first added.
func collectLines(rows iter.Seq2[projection.Row[lineKey, lineRow], error]) ([]Line, error) {
	var found []projection.Row[lineKey, lineRow]
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	slices.SortFunc(found, func(a, b projection.Row[lineKey, lineRow]) int {
		return cmp.Compare(a.Value.Since, b.Value.Since)
	})
	var lines []Line
	for _, row := range found {
		lines = append(lines, lineOf(row.Key, row.Value))
	}
	return lines, nil
}
