package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// This file has the parts of the tour that rebuild read models: as another version, and
// after a fault.

// busyDay returns an order book of 150 carts, which have 450 events.
func busyDay() *orderBook {
	book := &orderBook{}
	for i := range 150 {
		order := &invoice{number: fmt.Sprintf("order-%03d", i)}
		for line, item := range []cart.AddItem{heart, lantern} {
			order.lines = append(order.lines, orderLine{line: line + 1, item: pieces(1, item, order.number)})
		}
		book.invoices = append(book.invoices, order)
	}
	return book
}

// reach is version 2 of the best sellers, which also counts the carts of an item.
type reach struct {
	*projection.Projection
	items   *projection.Table[string, reachRow] // by SKU
	byCarts *projection.Index[string, reachRow, int64]
}

type reachRow struct {
	Pieces int64 `json:"pieces"`
	Carts  int64 `json:"carts"`
}

func newReach() *reach {
	p := projection.New("best-sellers", 2)
	r := &reach{Projection: p, items: projection.NewTable[string, reachRow](p, "items")}
	r.byCarts = projection.NewIndex(r.items, "carts", func(row reachRow) (int64, bool) { return -row.Carts, true })
	cart.OnSold(p, r.sell)
	return r
}

func (r *reach) sell(tx projection.Tx, lines []cart.Line) error {
	counted := make(map[string]bool) // an item may be on several lines
	for _, line := range lines {
		err := r.items.In(tx).Update(line.SKU, func(row reachRow) reachRow {
			row.Pieces += line.Quantity
			if !counted[line.SKU] {
				row.Carts++
			}
			return row
		})
		if err != nil {
			return err
		}
		counted[line.SKU] = true
	}
	return nil
}

func (t *tour) rebuild(ctx context.Context) error {
	orders := busyDay()
	if err := newImporter(t.store, t.dispatch, orders).run(ctx, orders.invoices); err != nil {
		return err
	}
	if err := t.update(ctx, t.ranking.Projection); err != nil {
		return err
	}
	t.say(`
		%d more orders have come in. The best sellers now also count the carts in which an
		item was sold. The rows have another shape, so this is version 2. It is built from
		the log beside version 1, which can be read meanwhile.`, len(orders.invoices))
	v2 := newReach()
	t.out.printf("    before:      version 1: %s\n                 version 2: %s\n", t.asked(ctx, t.first), t.asked(ctx, v2.first))
	err := t.views.Rebuild(ctx, &projection.RebuildOptions{
		Progress: func(p eventstore.Progress) {
			t.out.printf("    %3d of %3d:  version 1: %s\n", p.Done, p.Total, t.asked(ctx, t.first))
		},
	}, v2.Projection)
	if err != nil {
		return err
	}
	t.out.printf("    afterwards:  version 1: %s\n                 version 2: %s\n", t.asked(ctx, t.first), t.asked(ctx, v2.first))
	t.say(`
		When the new version reached the end of the log, it replaced the old one in one
		commit. The rows of the old version are gone.`)
	return nil
}

// first formats the answer of version 1.
func (t *tour) first(ctx context.Context, from projection.Reader) (string, error) {
	sellers, err := t.ranking.ByPieces(ctx, from, 1)
	if err != nil || len(sellers) == 0 {
		return "nothing was sold", err
	}
	return fmt.Sprintf("%s leads with %s", sellers[0].SKU, countPieces(sellers[0].Pieces)), nil
}

// first formats the answer of version 2.
func (r *reach) first(ctx context.Context, from projection.Reader) (string, error) {
	for row, err := range r.byCarts.Scan(ctx, from, projection.Range[int64]{}.Limit(1)) {
		return fmt.Sprintf("%s leads with %s, in %d carts", row.Key, countPieces(row.Value.Pieces), row.Value.Carts), err
	}
	return "nothing was sold", nil
}

// asked returns the answer of a version of the best sellers, or the text of its error.
func (t *tour) asked(ctx context.Context, first func(context.Context, projection.Reader) (string, error)) string {
	answer, err := first(ctx, t.store)
	var building *projection.RebuildingError
	var replaced *projection.ReplacedError
	switch {
	case err == nil:
		return answer
	case errors.As(err, &building):
		return building.Error()
	case errors.As(err, &replaced):
		return replaced.Error()
	case errors.Is(err, projection.ErrNeverRun):
		return projection.ErrNeverRun.Error() // without the name of the table
	default:
		return err.Error()
	}
}

// shelves is a read model of the pieces added to carts, by shelf. Its handler has a
// mistake.
type shelves struct {
	*projection.Projection
	pieces *projection.Table[string, int64]
}

// newShelves defines the read model; of returns the shelf of an item.
func newShelves(of map[string]string) *shelves {
	p := projection.New("shelves", 1)
	s := &shelves{Projection: p, pieces: projection.NewTable[string, int64](p, "pieces")}
	projection.On(p, func(tx projection.Tx, e fold.Event[cart.ItemAdded]) error {
		shelf, ok := of[e.Data.SKU]
		if !ok {
			return fmt.Errorf("item %s is on no shelf", e.Data.SKU)
		}
		return s.pieces.In(tx).Update(shelf, func(n int64) int64 { return n + e.Data.Quantity })
	})
	return s
}

func (t *tour) fault(ctx context.Context) error {
	t.say(`
		Handlers have mistakes. This read model counts pieces by the shelf that they are on,
		and does not know the clock, which is new in the shop. It is attached, so its
		handler runs while an append waits.`)
	wrong := newShelves(map[string]string{heart.SKU: "A", lantern.SKU: "A", stand.SKU: "B"})
	if err := t.views.Attach(ctx, wrong.Projection); err != nil {
		return err
	}
	for _, item := range []cart.AddItem{stand, clock, stand} {
		if _, err := t.do(ctx, pieces(1, item, "dora")); err != nil {
			return err
		}
		t.out.printf("    shelves  %s\n", t.onShelves(ctx, wrong))
	}
	t.say(`
		Dora's commands were carried out: a read model cannot stop an append. This one
		stopped at the event that it failed on. It keeps its last good state, and returns an
		error when it is read. With the mistake corrected, it is rebuilt from the log and
		attached again:`)
	right := newShelves(map[string]string{heart.SKU: "A", lantern.SKU: "A", stand.SKU: "B", clock.SKU: "B"})
	if err := t.views.Rebuild(ctx, nil, right.Projection); err != nil {
		return err
	}
	t.out.printf("    shelves  %s\n", t.onShelves(ctx, right))
	if _, err := t.do(ctx, pieces(4, clock, "dora")); err != nil {
		return err
	}
	t.out.printf("    shelves  %s\n", t.onShelves(ctx, right))
	return nil
}

// onShelves formats the rows of the read model, or returns the text of its error.
func (t *tour) onShelves(ctx context.Context, s *shelves) string {
	var shown []string
	for row, err := range s.pieces.Scan(ctx, t.store, projection.Range[string]{}) {
		var faulted *eventstore.FaultedError
		if errors.As(err, &faulted) {
			return fmt.Sprintf("stopped after position %d, at %s:\n      %s",
				faulted.Through, faulted.Fault.Type, faulted.Fault.Reason)
		}
		if err != nil {
			return err.Error()
		}
		shown = append(shown, fmt.Sprintf("%s: %s", row.Key, countPieces(row.Value)))
	}
	return strings.Join(shown, ", ")
}
