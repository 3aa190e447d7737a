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

// The bounds of a page: of what is read in one transaction.
const (
	PageEvents = 256     // events at most
	PageBytes  = 1 << 20 // bytes of payload at most; a single larger event is a page of its own
)

// Page is a number of records as they lie in the log, copied.
type Page struct {
	positions []eventstore.Position
	Ends      []int  // where in bytes each ends
	Bytes     []byte // the records, one behind another
}

// Add copies a record to the end of the page.
func (r *Page) Add(p eventstore.Position, rec []byte) {
	r.Bytes = append(r.Bytes, rec...)
	r.Ends = append(r.Ends, len(r.Bytes))
	r.positions = append(r.positions, p)
}

// Reset empties the page and keeps its memory.
func (r *Page) Reset() {
	r.positions, r.Ends, r.Bytes = r.positions[:0], r.Ends[:0], r.Bytes[:0]
}

// Last returns the position of the last record. There must be one.
func (r *Page) Last() eventstore.Position { return r.positions[len(r.positions)-1] }

// All yields the records. They are valid until the page is reset.
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

// Access is how an open file is read.
type Access struct {
	// Usable returns why nothing more can be read, or nil.
	Usable func(context.Context) error
	// ReadTx runs a function in a read transaction.
	ReadTx func(func(*bolt.Tx) error) error
}

// CopyRecords calls use with the records from a position through another, a page
// at a time, outside of any transaction. The records are not decoded, nor
// checked; but one that is not there is a [*eventstore.CorruptError].
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

// fill adds the records from first on, at most through last, until the page is
// full. It adds one at least, or returns an error.
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

// Sequence holds records to what may follow what in a log.
type Sequence struct {
	// Gaps lets positions be missing, and so parts of commits.
	Gaps bool

	Head     eventstore.Position // of the last record
	recorded time.Time           // when it was recorded
	place    record.Place        // in its commit; none: the next may be in the middle of one
}

// Next decodes the record that is to come next. If it is damaged, or cannot come
// there, the error is a [*eventstore.CorruptError] and the sequence as before.
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

// End returns the error that the log ends in the middle of a commit, or nil.
func (s *Sequence) End() error {
	if s.Gaps || s.place.I+1 >= s.place.N {
		return nil
	}
	return &eventstore.CorruptError{Position: s.Head + 1, Reason: fmt.Sprintf("the log ends before it, in a commit of %d events", s.place.N)}
}

// refuses returns why the record cannot come next, or "".
func (s *Sequence) refuses(r *record.Record) string {
	p := r.Event.Position
	switch {
	case p <= s.Head:
		return fmt.Sprintf("comes behind position %d", s.Head)
	case p > s.Head+1 && !s.Gaps:
		return fmt.Sprintf("comes behind position %d, and what is between is missing", s.Head)
	case r.Event.Recorded.Before(s.recorded):
		return fmt.Sprintf("recorded at %v, before the event in front of it", r.Event.Recorded)
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

// IndexEntry returns what the index has of a record.
func IndexEntry(r *record.Record) index.Entry {
	return index.Entry{
		Position: r.Event.Position, Stream: r.Event.Stream, Version: r.Event.Version,
		Type: r.Event.Type, Tags: r.Event.Tags, Key: r.Key,
	}
}
