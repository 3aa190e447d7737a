package cart

import (
	"cmp"
	"iter"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// lineTable is a table of a read model with the lines of all carts. It has a row for each
// line and not for each cart, so the cost of an event does not grow with the cart.
type lineTable struct {
	*projection.Table[lineKey, lineRow]
}

// lineKey is the key of a line: its cart, item and unit price.
type lineKey = projection.Pair[string, lineID]

type lineID = projection.Pair[string, Money]

type lineRow struct {
	Description string `json:"description"`
	Quantity    int64  `json:"quantity"`
	// Since is the version of the event that began the line. Lines are ordered by it.
	Since eventstore.Version `json:"since"`
}

func newLineTable(p *projection.Projection) lineTable {
	return lineTable{projection.NewTable[lineKey, lineRow](p, "lines")}
}

// apply changes the rows of a cart as [Evolve] changes its state. It returns the line that
// the event is about, before and after the event; a Quantity of 0 stands for no line.
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

// change puts the row that to returns, or deletes the row if its Quantity is 0.
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

// take deletes the lines of a cart and returns them in order.
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

// collectLines returns the lines of the rows of one cart, ordered by Since.
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
