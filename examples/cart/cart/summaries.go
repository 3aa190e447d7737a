package cart

import (
	"context"
	"iter"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// Summary is the summary of a cart.
type Summary struct {
	Cart       string             `json:"cart"`
	Version    eventstore.Version `json:"version"`
	Lines      int64              `json:"lines"`
	Pieces     int64              `json:"pieces"`
	Total      Money              `json:"total"`
	CheckedOut bool               `json:"checkedOut"`
	// Changed is the time at which the last event of the cart was recorded.
	Changed time.Time `json:"changed"`
}

// Summaries is a read model of the current state of all carts. It is meant to be attached,
// so that a shopper sees a change at once.
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
	p.Timeout = 10 * time.Second // for a busy machine; the handlers take microseconds
	// Negative numbers put the largest total first, and the lower name first among equals.
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

// count returns 1 for a line with pieces, else 0.
func count(line Line) int64 { return min(line.Quantity, 1) }

// Load returns the current state of a cart and its version, which is 0 for a cart without
// events.
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
		if cart := after.Value; cart.Version == before.Value.Version { // unchanged between the reads
			return State{Lines: lines, CheckedOut: cart.CheckedOut}, cart.Version, nil
		}
	}
}

// ByTotal returns the n carts with the largest totals, in descending order.
func (s *Summaries) ByTotal(ctx context.Context, r projection.Reader, n int) ([]Summary, error) {
	return values(s.byTotal.Scan(ctx, r, projection.Range[Money]{}.Limit(n)))
}

// ByChange returns the n carts that were changed last, the most recent first.
func (s *Summaries) ByChange(ctx context.Context, r projection.Reader, n int) ([]Summary, error) {
	return values(s.byChange.Scan(ctx, r, projection.Range[time.Time]{}.Backward().Limit(n)))
}

// values returns the values of the rows, or the error of the sequence.
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
