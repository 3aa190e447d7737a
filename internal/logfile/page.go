package logfile

import (
	"context"
	"fmt"
	"iter"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/record"
)

// The bounds of a page, which is what one transaction reads.
const (
	PageEvents = 256     // events at most
	PageBytes  = 1 << 20 // bytes at most; a single larger event is a page of its own
)

// Page holds copies of encoded records. The zero Page is empty. It is not safe for
// concurrent use.
type Page struct {
	positions []eventstore.Position
	Ends      []int  // the offset in Bytes at which each record ends
	Bytes     []byte // the records, one after the other
}

// Add appends a copy of a record to the page.
func (r *Page) Add(p eventstore.Position, rec []byte) {
	r.Bytes = append(r.Bytes, rec...)
	r.Ends = append(r.Ends, len(r.Bytes))
	r.positions = append(r.positions, p)
}

// Reset empties the page and keeps its memory for later records.
func (r *Page) Reset() {
	r.positions, r.Ends, r.Bytes = r.positions[:0], r.Ends[:0], r.Bytes[:0]
}

// Last returns the position of the last record. The page must not be empty.
func (r *Page) Last() eventstore.Position { return r.positions[len(r.positions)-1] }

// All yields the records in the order in which they were added. They are parts of Bytes,
// valid until Reset.
func (r *Page) All() iter.Seq2[eventstore.Position, []byte] {
	return func(yield func(eventstore.Position, []byte) bool) {
		start := 0
		for i, end := range r.Ends {
			if !yield(r.positions[i], r.Bytes[start:end]) {
				return
			}
			start = end
		}
	}
}

// Access reads an open file.
type Access struct {
	// Usable returns the error with which a read must end, such as that of the context,
	// or nil.
	Usable func(context.Context) error
	// ReadTx runs a function in a read transaction.
	ReadTx func(func(*bolt.Tx) error) error
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
		err := from.ReadTx(func(tx *bolt.Tx) error { return page.fill(tx.Bucket(LogBucket), first, last) })
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
func (r *Page) fill(log *bolt.Bucket, first, last eventstore.Position) error {
	records := NewReader(log)
	for p := first; p <= last; p++ {
		rec, err := records.At(p)
		if err != nil {
			return err
		}
		if len(r.Ends) > 0 && (len(r.Ends) >= PageEvents || len(r.Bytes)+len(rec) > PageBytes) {
			return nil
		}
		r.Add(p, rec)
	}
	return nil
}

// Sequence checks that records may follow each other in a log: positions without gaps,
// times that do not decrease, whole commits. The zero Sequence begins at position 1.
type Sequence struct {
	// Gaps allows missing positions, and so incomplete commits.
	Gaps bool

	Head     eventstore.Position // of the last record; a sequence may begin after any position
	recorded time.Time           // of the last record
	place    record.Place        // of the last record; zero: the next may be inside a commit
}

// Next decodes the next record. If it is damaged, or may not follow the last one, the
// error is a [*eventstore.CorruptError] and the sequence does not change.
func (s *Sequence) Next(p eventstore.Position, rec []byte) (record.Record, error) {
	r, err := record.Decode(p, rec)
	if err != nil {
		return record.Record{}, err
	}
	if reason := s.refuses(&r); reason != "" {
		return record.Record{}, &eventstore.CorruptError{Position: p, Reason: reason}
	}
	s.Head, s.recorded, s.place = p, r.Event.Recorded, r.Place
	return r, nil
}

// End returns a [*eventstore.CorruptError] if the last commit is not complete.
func (s *Sequence) End() error {
	if s.Gaps || s.place.I+1 >= s.place.N {
		return nil
	}
	return &eventstore.CorruptError{Position: s.Head + 1, Reason: fmt.Sprintf("the log ends before it, in a commit of %d events", s.place.N)}
}

// refuses returns why the record may not come next, or "".
func (s *Sequence) refuses(r *record.Record) string {
	p := r.Event.Position
	switch {
	case p <= s.Head:
		return fmt.Sprintf("follows position %d", s.Head)
	case p > s.Head+1 && !s.Gaps:
		return fmt.Sprintf("follows position %d, and the positions between are missing", s.Head)
	case r.Event.Recorded.Before(s.recorded):
		return fmt.Sprintf("recorded at %v, before the preceding event", r.Event.Recorded)
	case s.Gaps:
		return ""
	}
	want := record.Place{I: s.place.I + 1, N: s.place.N}
	if want.I >= want.N {
		want = record.Place{I: 0, N: r.Place.N}
	}
	if begins := s.Head == 0 || s.place.N > 0; begins && r.Place != want {
		return fmt.Sprintf("event %d of a commit of %d, where event %d of %d comes next", r.Place.I, r.Place.N, want.I, want.N)
	}
	return ""
}

// IndexEntry returns the entry of the index for a record.
func IndexEntry(r *record.Record) index.Entry {
	return index.Entry{
		Position: r.Event.Position, Stream: r.Event.Stream, Version: r.Event.Version,
		Type: r.Event.Type, Tags: r.Event.Tags, Key: r.Key,
	}
}
