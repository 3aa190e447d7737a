package boltstore

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
	pageEvents = 256     // events at most
	pageBytes  = 1 << 20 // bytes of payload at most; a single larger event is a page of its own
)

// recordPage is a number of records as they lie in the log, copied.
type recordPage struct {
	positions []eventstore.Position
	ends      []int  // where in bytes each ends
	bytes     []byte // the records, one behind another
}

func (r *recordPage) add(p eventstore.Position, rec []byte) {
	r.bytes = append(r.bytes, rec...)
	r.ends = append(r.ends, len(r.bytes))
	r.positions = append(r.positions, p)
}

func (r *recordPage) reset() {
	r.positions, r.ends, r.bytes = r.positions[:0], r.ends[:0], r.bytes[:0]
}

// last returns the position of the last record. There must be one.
func (r *recordPage) last() eventstore.Position { return r.positions[len(r.positions)-1] }

// all yields the records. They are valid until the page is reset.
func (r *recordPage) all() iter.Seq2[eventstore.Position, []byte] {
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

// viewer runs short read transactions.
type viewer struct {
	// usable returns why nothing more can be read, or nil.
	usable func(context.Context) error
	// view runs a function in a read transaction.
	view func(func(*bolt.Tx) error) error
}

// copyRecords calls use with the records from a position through another, a page
// at a time, outside of any transaction. The records are not decoded, nor
// checked; but one that is not there is a [*eventstore.CorruptError].
func copyRecords(ctx context.Context, from viewer, first, last eventstore.Position, use func(*recordPage) error) error {
	var page recordPage
	for first <= last {
		if err := from.usable(ctx); err != nil {
			return err
		}
		page.reset()
		err := from.view(func(tx *bolt.Tx) error { return page.fill(tx.Bucket(logBucket), first, last) })
		if err != nil {
			return err
		}
		if err := use(&page); err != nil {
			return err
		}
		first = page.last() + 1
	}
	return nil
}

// fill adds the records from first on, at most through last, until the page is
// full. It adds one at least, or returns an error.
func (r *recordPage) fill(log *bolt.Bucket, first, last eventstore.Position) error {
	records := newLogReader(log)
	for p := first; p <= last; p++ {
		rec, err := records.at(p)
		if err != nil {
			return err
		}
		if len(r.ends) > 0 && (len(r.ends) >= pageEvents || len(r.bytes)+len(rec) > pageBytes) {
			return nil
		}
		r.add(p, rec)
	}
	return nil
}

// sequence holds records to what may follow what in a log.
type sequence struct {
	// gaps lets positions be missing, and so parts of commits.
	gaps bool

	head     eventstore.Position // of the last record
	recorded time.Time           // when it was recorded
	place    record.Place        // in its commit; none: the next may be in the middle of one
}

// next decodes the record that is to come next. If it is damaged, or cannot come
// there, the error is a [*eventstore.CorruptError] and the sequence as before.
func (s *sequence) next(p eventstore.Position, rec []byte) (record.Record, error) {
	r, err := record.Decode(p, rec)
	if err != nil {
		return record.Record{}, err
	}
	if reason := s.refuses(&r); reason != "" {
		return record.Record{}, &eventstore.CorruptError{Position: p, Reason: reason}
	}
	s.head, s.recorded, s.place = p, r.Event.Recorded, r.Place
	return r, nil
}

// end returns the error that the log ends in the middle of a commit, or nil.
func (s *sequence) end() error {
	if s.gaps || s.place.I+1 >= s.place.N {
		return nil
	}
	return &eventstore.CorruptError{Position: s.head + 1, Reason: fmt.Sprintf("the log ends before it, in a commit of %d events", s.place.N)}
}

// refuses returns why the record cannot come next, or "".
func (s *sequence) refuses(r *record.Record) string {
	p := r.Event.Position
	switch {
	case p <= s.head:
		return fmt.Sprintf("comes behind position %d", s.head)
	case p > s.head+1 && !s.gaps:
		return fmt.Sprintf("comes behind position %d, and what is between is missing", s.head)
	case r.Event.Recorded.Before(s.recorded):
		return fmt.Sprintf("recorded at %v, before the event in front of it", r.Event.Recorded)
	case s.gaps:
		return ""
	}
	want := record.Place{I: s.place.I + 1, N: s.place.N}
	if want.I >= want.N {
		want = record.Place{I: 0, N: r.Place.N}
	}
	if begins := s.head == 0 || s.place.N > 0; begins && r.Place != want {
		return fmt.Sprintf("event %d of a commit of %d, where event %d of %d comes next", r.Place.I, r.Place.N, want.I, want.N)
	}
	return ""
}

// indexEntry returns what the index has of a record.
func indexEntry(r *record.Record) index.Entry {
	return index.Entry{
		Position: r.Event.Position, Stream: r.Event.Stream, Version: r.Event.Version,
		Type: r.Event.Type, Tags: r.Event.Tags, Key: r.Key,
	}
}
