package projection

import (
	"context"
	"iter"
	"math"

	"github.com/yore-es/yore/eventstore"
)

// Page is a part of the rows of a range.
type Page[K comparable, V any] struct {
	// Rows are in the order of the range; nil if there are none.
	Rows []Row[K, V]
	// At is the position of the view's checkpoint when the page was read, also if
	// the page is empty. A page of more than 256 rows or 1 MiB is read in parts:
	// rows of later parts may be as of a later position, as Row.At says.
	At eventstore.Position
	// Next is the cursor for the next page, for [Range.After]; "" if there are no
	// more rows.
	Next Cursor
}

// Page returns the rows of a range of keys, up to its Limit. Range.After with the page's
// Next is the rest of the range.
func (t *Table[K, V]) Page(ctx context.Context, r Reader, keys Range[K]) (Page[K, V], error) {
	return t.source().page(ctx, r, keys.span)
}

// Page returns the rows whose indexed value is in a range, as [Table.Page] does. Successive
// pages neither repeat nor leave out a row whose value does not change meanwhile, also if
// many rows have the same value.
func (x *Index[K, V, I]) Page(ctx context.Context, r Reader, values Range[I]) (Page[K, V], error) {
	return x.source().page(ctx, r, values.span)
}

// source is the source of a table's rows: the table itself, or an index.
type source[K comparable, V any] struct {
	p *Projection
	storedTable
	decode func(eventstore.Row) (K, V, error)
	wrap   func(verb string, err error) error
}

// pages yields the stored rows of a span, in at least one page.
func (s source[K, V]) pages(ctx context.Context, r Reader, in span) iter.Seq2[eventstore.RowSet, error] {
	scan, err := in.scan(s.storedTable)
	if err != nil {
		return func(yield func(eventstore.RowSet, error) bool) { yield(eventstore.RowSet{}, err) }
	}
	return s.p.scanPages(ctx, r, scan)
}

// row decodes a stored row.
func (s source[K, V]) row(stored eventstore.Row, at eventstore.Position) (row Row[K, V], err error) {
	row.At = at
	row.Key, row.Value, err = s.decode(stored)
	return row, err
}

// scan yields the rows of a span.
func (s source[K, V]) scan(ctx context.Context, r Reader, in span) iter.Seq2[Row[K, V], error] {
	return func(yield func(Row[K, V], error) bool) {
		for page, err := range s.pages(ctx, r, in) {
			if err != nil {
				yield(Row[K, V]{}, s.wrap("scan", err))
				return
			}
			for _, stored := range page.Rows {
				row, err := s.row(stored, page.Checkpoint.Position)
				if err != nil {
					yield(Row[K, V]{}, s.wrap("scan", err))
					return
				}
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// page returns the rows of a span up to its limit.
func (s source[K, V]) page(ctx context.Context, r Reader, in span) (Page[K, V], error) {
	limit := in.limit
	if limit > 0 && limit < math.MaxInt {
		in.limit++ // to know whether there are more
	}
	var page Page[K, V]
	var last []byte
	first := true
	for part, err := range s.pages(ctx, r, in) {
		if err != nil {
			return Page[K, V]{}, s.wrap("page", err)
		}
		if first {
			page.At, first = part.Checkpoint.Position, false
		}
		for _, stored := range part.Rows {
			if limit > 0 && len(page.Rows) == limit {
				page.Next = s.cursor(last)
				return page, nil
			}
			row, err := s.row(stored, part.Checkpoint.Position)
			if err != nil {
				return Page[K, V]{}, s.wrap("page", err)
			}
			page.Rows, last = append(page.Rows, row), stored.Key
		}
	}
	return page, nil
}

// scanTx yields the rows of a span as a handler sees them.
func (s source[K, V]) scanTx(tx Tx, in span, inHandler func(error) error) iter.Seq2[Row[K, V], error] {
	return func(yield func(Row[K, V], error) bool) {
		scan, err := in.scan(s.storedTable)
		if err != nil {
			yield(Row[K, V]{}, inHandler(err))
			return
		}
		for stored, err := range tx.rows.Scan(scan) {
			var row Row[K, V]
			if err == nil {
				row, err = s.row(stored, 0)
			}
			if err != nil {
				yield(Row[K, V]{}, inHandler(err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}
