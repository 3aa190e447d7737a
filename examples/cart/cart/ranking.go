package cart

import (
	"context"

	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// Ranking is a read model: the best sellers, as the fold [BestSellers] counts
// them, kept in order so that nothing has to be counted when they are asked for.
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
	// Less than nothing comes first: most pieces lead, and of equals the lower SKU.
	r.byPieces = projection.NewIndex(r.sellers, "pieces", func(s Seller) (int64, bool) { return -s.Pieces, true })
	r.byRevenue = projection.NewIndex(r.sellers, "revenue", func(s Seller) (Money, bool) { return -s.Revenue, true })
	OnSold(p, r.sell)
	return r
}

// OnSold makes a projection call sold for each cart that is checked out, with
// what is in it. What is in carts meanwhile it keeps in a table of the
// projection, "lines".
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
		seller, _, err := r.sellers.In(tx).Get(line.SKU)
		if err != nil {
			return err
		}
		if seller, err = seller.with(line); err != nil {
			return err
		}
		if err := r.sellers.In(tx).Put(line.SKU, seller); err != nil {
			return err
		}
	}
	return nil
}

// ByPieces returns the n items of which most pieces were sold, as
// [Sales.ByPieces] does.
func (r *Ranking) ByPieces(ctx context.Context, from projection.Reader, n int) ([]Seller, error) {
	return values(r.byPieces.Scan(ctx, from, projection.Range[int64]{}.Limit(n)))
}

// ByRevenue returns the n items that brought in most, as [Sales.ByRevenue] does.
func (r *Ranking) ByRevenue(ctx context.Context, from projection.Reader, n int) ([]Seller, error) {
	return values(r.byRevenue.Scan(ctx, from, projection.Range[Money]{}.Limit(n)))
}
