package cart

import (
	"context"
	"iter"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// Summary is a cart on one line.
type Summary struct {
	Cart       string             `json:"cart"`
	Version    eventstore.Version `json:"version"`
	Lines      int64              `json:"lines"`
	Pieces     int64              `json:"pieces"`
	Total      Money              `json:"total"`
	CheckedOut bool               `json:"checkedOut"`
	// Changed is when the last event of the cart was recorded.
	Changed time.Time `json:"changed"`
}

// Summaries is a read model: all carts as they are now. It is meant to be
// attached to the log, so that what a shopper has done is seen at once.
type Summaries struct {
	*projection.Projection
	lines    lineTable
	carts    *projection.Table[string, Summary]
	byTotal  *projection.Index[string, Summary, Money]
	byChange *projection.Index[string, Summary, time.Time]
}

// NewSummaries defines the read model.
func NewSummaries() *Summaries {
	p := projection.New("carts", 1)
	s := &Summaries{
		Projection: p,
		lines:      newLineTable(p),
		carts:      projection.NewTable[string, Summary](p, "carts"),
	}
	p.Timeout = 10 * time.Second // the handlers take microseconds, but a busy machine is not their mistake
	// Less than nothing comes first: the largest total leads, and of equals the lower name.
	s.byTotal = projection.NewIndex(s.carts, "total", func(s Summary) (Money, bool) { return -s.Total, true })
	s.byChange = projection.NewIndex(s.carts, "change", func(s Summary) (time.Time, bool) { return s.Changed, true })
	projection.On(p, s.apply)
	return s
}

func (s *Summaries) apply(tx projection.Tx, e fold.Event[Event]) error {
	before, after, err := s.lines.apply(tx, e)
	if err != nil {
		return err
	}
	id := e.Stream.ID()
	return s.carts.In(tx).Update(id, func(row Summary) Summary {
		row.Cart, row.Version, row.Changed = id, e.Version, e.Recorded
		row.Pieces += after.Quantity - before.Quantity
		row.Total += after.Amount() - before.Amount()
		row.Lines += count(after) - count(before)
		if _, ok := e.Data.(CartCheckedOut); ok {
			row.CheckedOut = true
		}
		return row
	})
}

// count counts a line that is there.
func count(line Line) int64 { return min(line.Quantity, 1) }

// Load returns the cart as its last event left it, and its version; 0 if there
// is no such cart.
func (s *Summaries) Load(ctx context.Context, r projection.Reader, id string) (State, eventstore.Version, error) {
	for {
		before, _, err := s.carts.Get(ctx, r, id)
		if err != nil {
			return State{}, 0, err
		}
		lines, err := collectLines(s.lines.Scan(ctx, r, projection.FirstEqual[lineID](id)))
		if err != nil {
			return State{}, 0, err
		}
		after, _, err := s.carts.Get(ctx, r, id)
		if err != nil {
			return State{}, 0, err
		}
		if cart := after.Value; cart.Version == before.Value.Version { // it has not changed between the reads
			return State{Lines: lines, CheckedOut: cart.CheckedOut}, cart.Version, nil
		}
	}
}

// ByTotal returns the n carts with the largest totals, the largest first.
func (s *Summaries) ByTotal(ctx context.Context, r projection.Reader, n int) ([]Summary, error) {
	return values(s.byTotal.Scan(ctx, r, projection.Range[Money]{}.Limit(n)))
}

// ByChange returns the n carts that were changed last, the last one first.
func (s *Summaries) ByChange(ctx context.Context, r projection.Reader, n int) ([]Summary, error) {
	return values(s.byChange.Scan(ctx, r, projection.Range[time.Time]{}.Backward().Limit(n)))
}

// values returns the values of rows, or the error that ends them.
func values[K comparable, V any](rows iter.Seq2[projection.Row[K, V], error]) ([]V, error) {
	var all []V
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, row.Value)
	}
	return all, nil
}
