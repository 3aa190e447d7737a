package logfile

import (
	"context"
	"iter"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// The bounds of a page. One transaction reads one page.
const (
	PageEvents = 256     // events at most
	PageBytes  = 1 << 20 // bytes at most; a single larger event is a page of its own
)

// Page holds copies of encoded records. The zero Page is empty. It is not safe for
// concurrent use.
type Page struct {
	positions []eventstore.Position
	ends      []int  // the offset in bytes at which each record ends
	bytes     []byte // the records, one after the other
}

// Add appends a copy of a record to the page.
func (r *Page) Add(p eventstore.Position, rec []byte) {
	r.bytes = append(r.bytes, rec...)
	r.ends = append(r.ends, len(r.bytes))
	r.positions = append(r.positions, p)
}

// Reset empties the page and keeps its memory for later records.
func (r *Page) Reset() {
	r.positions, r.ends, r.bytes = r.positions[:0], r.ends[:0], r.bytes[:0]
}

// Len returns the number of records in the page.
func (r *Page) Len() int { return len(r.ends) }

// Size returns the size of the records in the page, in bytes.
func (r *Page) Size() int { return len(r.bytes) }

// Last returns the position of the last record. The page must not be empty.
func (r *Page) Last() eventstore.Position { return r.positions[len(r.positions)-1] }

// All yields the records in the order in which they were added. They are
// valid until Reset.
func (r *Page) All() iter.Seq2[eventstore.Position, []byte] {
	return func(yield func(eventstore.Position, []byte) bool) {
		start := 0
		for i, end := range r.ends {
			if !yield(r.positions[i], r.bytes[start:end]) {
				return
			}
			start = end
		}
	}
}

// CopyRecords calls use with the records at positions first to last, both included, in
// pages. No transaction is open while use runs. use may keep nothing of the page. The
// records are not checked, but a missing one is a [*eventstore.CorruptError]. Errors of
// use end the copying and are returned.
func CopyRecords(ctx context.Context, from Access, first, last eventstore.Position, use func(*Page) error) error {
	var page Page
	for first <= last {
		if err := from.Usable(ctx); err != nil {
			return err
		}
		page.Reset()
		err := from.ReadTx(func(tx *pages.Tx) error { return page.fill(tx.Bucket(LogBucket), first, last) })
		if err != nil {
			return err
		}
		if err := use(&page); err != nil {
			return err
		}
		first = page.Last() + 1
	}
	return nil
}

// fill adds the records from first to last until the page is full. It adds at least one,
// or returns an error.
func (r *Page) fill(log *pages.Tree, first, last eventstore.Position) error {
	records := NewReader(log)
	for p := first; p <= last; p++ {
		rec, err := records.At(p)
		if err != nil {
			return err
		}
		if len(r.ends) > 0 && (len(r.ends) >= PageEvents || len(r.bytes)+len(rec) > PageBytes) {
			return nil
		}
		r.Add(p, rec)
	}
	return nil
}

// IndexEntry returns the entry of the index for a record.
func IndexEntry(r *record.Record) index.Entry {
	return index.Entry{
		Position: r.Event.Position, Stream: r.Event.Stream, Version: r.Event.Version,
		Type: r.Event.Type, Tags: r.Event.Tags, Key: r.Key,
	}
}
