package cart

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
)

// Seller is an item with its pieces sold and its revenue. Both are at most [math.MaxInt64]:
// of more, they say that they are at least that (AtLeast).
type Seller struct {
	SKU         string `json:"sku"`
	Description string `json:"description"`
	Pieces      int64  `json:"pieces"`
	Revenue     Money  `json:"revenue"`
	AtLeast     bool   `json:"atLeast,omitempty"` // Pieces, Revenue or both are not exact any more
}

// with returns the seller with another line sold.
func (s Seller) with(line Line) Seller {
	pieces, piecesFit := Sum(s.Pieces, line.Quantity)
	revenue, revenueFits := Sum(s.Revenue, line.Amount())
	if !piecesFit {
		pieces = math.MaxInt64
	}
	if !revenueFits {
		revenue = math.MaxInt64
	}
	return Seller{
		SKU: line.SKU, Description: cmp.Or(s.Description, line.Description), Pieces: pieces, Revenue: revenue,
		AtLeast: s.AtLeast || !piecesFit || !revenueFits,
	}
}

// Sales are the pieces and the revenue of each item. The lines of a cart count as sold
// when the cart is checked out.
type Sales struct {
	open map[eventstore.StreamID]State // the carts that are not checked out
	sold map[string]Seller             // by SKU
}

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
		s.sold[line.SKU] = s.sold[line.SKU].with(line)
	}
	delete(s.open, cart)
	return s
}

// ByPieces returns the n items with the most pieces sold, in descending order; among
// equals the lower SKU is first.
func (s *Sales) ByPieces(n int) []Seller {
	return s.top(n, func(a, b Seller) int { return cmp.Compare(b.Pieces, a.Pieces) })
}

// ByRevenue returns the n items with the highest revenue, in descending order; among
// equals the lower SKU is first.
func (s *Sales) ByRevenue(n int) []Seller {
	return s.top(n, func(a, b Seller) int { return cmp.Compare(b.Revenue, a.Revenue) })
}

func (s *Sales) top(n int, order func(a, b Seller) int) []Seller {
	sellers := slices.SortedFunc(maps.Values(s.sold), func(a, b Seller) int {
		return cmp.Or(order(a, b), cmp.Compare(a.SKU, b.SKU))
	})
	return sellers[:min(n, len(sellers))]
}
