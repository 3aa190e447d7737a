package cart

import (
	"context"

	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// Ranking is a read model of the best sellers. It has the same numbers as the fold
// [BestSellers], in indexes that are sorted already when they are read.
type Ranking struct {
	*projection.Projection
	sellers   *projection.Table[string, Seller] // by SKU
	byPieces  *projection.Index[string, Seller, int64]
	byRevenue *projection.Index[string, Seller, Money]
}

// NewRanking defines the read model.
func NewRanking() *Ranking {
	p := projection.New("best-sellers", 1)
	r := &Ranking{Projection: p, sellers: projection.NewTable[string, Seller](p, "sellers")}
	// An index is in ascending order, and then by key. Negative numbers put the highest
	// first and keep the lower SKU first among equals.
	r.byPieces = projection.NewIndex(r.sellers, "pieces", func(s Seller) (int64, bool) { return -s.Pieces, true })
	r.byRevenue = projection.NewIndex(r.sellers, "revenue", func(s Seller) (Money, bool) { return -s.Revenue, true })
	OnSold(p, r.sell)
	return r
}

// OnSold adds a handler to a projection that calls sold with the lines of each cart that
// is checked out. The handler keeps the lines of open carts in a table of the projection,
// "lines".
func OnSold(p *projection.Projection, sold func(tx projection.Tx, lines []Line) error) {
	open := newLineTable(p)
	projection.On(p, func(tx projection.Tx, e fold.Event[Event]) error {
		if _, ok := e.Data.(CartCheckedOut); !ok {
			_, _, err := open.apply(tx, e)
			return err
		}
		lines, err := open.take(tx, e.Stream.ID())
		if err != nil {
			return err
		}
		return sold(tx, lines)
	})
}

func (r *Ranking) sell(tx projection.Tx, lines []Line) error {
	for _, line := range lines {
		err := r.sellers.In(tx).Update(line.SKU, func(s Seller) Seller { return s.with(line) })
		if err != nil {
			return err
		}
	}
	return nil
}

// ByPieces returns the n items with the most pieces sold, in the order of
// [Sales.ByPieces].
func (r *Ranking) ByPieces(ctx context.Context, from projection.Reader, n int) ([]Seller, error) {
	return values(r.byPieces.Scan(ctx, from, projection.Range[int64]{}.Limit(n)))
}

// ByRevenue returns the n items with the highest revenue, in the order of
// [Sales.ByRevenue].
func (r *Ranking) ByRevenue(ctx context.Context, from projection.Reader, n int) ([]Seller, error) {
	return values(r.byRevenue.Scan(ctx, from, projection.Range[Money]{}.Limit(n)))
}
