package cart

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
)

// Seller is an item with its pieces sold and its revenue.
type Seller struct {
	SKU         string `json:"sku"`
	Description string `json:"description"`
	Pieces      int64  `json:"pieces"`
	Revenue     Money  `json:"revenue"`
}

// with returns the seller with another line sold, or an error if a sum overflows.
func (s Seller) with(line Line) (Seller, error) {
	pieces, piecesFit := Sum(s.Pieces, line.Quantity)
	revenue, revenueFits := Sum(s.Revenue, line.Amount())
	if !piecesFit || !revenueFits {
		return s, errSales
	}
	return Seller{
		SKU: line.SKU, Description: cmp.Or(s.Description, line.Description), Pieces: pieces, Revenue: revenue,
	}, nil
}

// Sales are the pieces and the revenue of each item. The lines of a cart count as sold
// when the cart is checked out.
type Sales struct {
	open map[eventstore.StreamID]State // the carts that are not checked out
	sold map[string]Seller             // by SKU
	err  error
}

// errSales is the error of a sum that overflows.
var errSales = errors.New("more was sold than can be counted")

// BestSellers returns the fold of the log into [Sales]. It uses the Evolve of the decider,
// so the fold and the rules cannot disagree about the content of a cart.
func BestSellers() fold.Fold[*Sales] {
	return fold.Fold[*Sales]{
		Initial: func() *Sales {
			return &Sales{open: make(map[eventstore.StreamID]State), sold: make(map[string]Seller)}
		},
		Evolve: []fold.Handler[*Sales]{fold.OnEvent((*Sales).after)},
	}
}

func (s *Sales) after(e fold.Event[Event]) *Sales {
	if _, sold := e.Data.(CartCheckedOut); sold {
		return s.sell(e.Stream)
	}
	s.open[e.Stream] = Evolve(s.open[e.Stream], e.Data)
	return s
}

func (s *Sales) sell(cart eventstore.StreamID) *Sales {
	for _, line := range s.open[cart].Lines {
		seller, err := s.sold[line.SKU].with(line)
		if err != nil {
			s.err = err
			return s
		}
		s.sold[line.SKU] = seller
	}
	delete(s.open, cart)
	return s
}

// ByPieces returns the n items with the most pieces sold, in descending order; among
// equals the lower SKU is first. It returns an error if a sum overflowed.
func (s *Sales) ByPieces(n int) ([]Seller, error) {
	return s.top(n, func(a, b Seller) int { return cmp.Compare(b.Pieces, a.Pieces) })
}

// ByRevenue returns the n items with the highest revenue, in descending order; among
// equals the lower SKU is first. It returns an error if a sum overflowed.
func (s *Sales) ByRevenue(n int) ([]Seller, error) {
	return s.top(n, func(a, b Seller) int { return cmp.Compare(b.Revenue, a.Revenue) })
}

func (s *Sales) top(n int, order func(a, b Seller) int) ([]Seller, error) {
	if s.err != nil {
		return nil, s.err
	}
	sellers := slices.SortedFunc(maps.Values(s.sold), func(a, b Seller) int {
		return cmp.Or(order(a, b), cmp.Compare(a.SKU, b.SKU))
	})
	return sellers[:min(n, len(sellers))], nil
}
