package logfile

import (
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// Sequence checks that records may follow each other in a log: positions without gaps,
// times that do not decrease, whole commits, the running checksum; and that an Append could
// have written each ([record.Contract]).
type Sequence struct {
	seed     record.Seed
	gaps     bool                // positions may be missing, and so parts of commits
	head     eventstore.Position // of the last record
	chain    record.Chain        // up to it
	chained  bool                // whether chain is known
	recorded time.Time           // of the last record
	place    record.Place        // of the last record; zero: the next may be inside a commit
	contract record.Contract
}

// NewSequence returns a sequence of records with a seed that begins after a position. With
// gaps, positions may be missing, and so parts of commits; the running checksum is then
// not checked.
func NewSequence(seed record.Seed, after eventstore.Position, gaps bool) Sequence {
	return Sequence{seed: seed, gaps: gaps, head: after, chained: after == 0 && !gaps}
}

// Head returns the position of the last record.
func (s *Sequence) Head() eventstore.Position { return s.head }

// HasGaps reports whether positions may be missing.
func (s *Sequence) HasGaps() bool { return s.gaps }

// Next decodes the next record. If it is damaged, may not follow the last one, or is none
// that an Append could have written, the error is a [*eventstore.CorruptError] and the
// sequence does not change.
func (s *Sequence) Next(p eventstore.Position, rec []byte) (record.Record, error) {
	r, err := record.Decode(s.seed, p, rec)
	if err != nil {
		return record.Record{}, err
	}
	reason := s.refuses(&r)
	if reason == "" {
		reason = s.contract.Check(&r)
	}
	if reason != "" {
		return record.Record{}, &eventstore.CorruptError{Position: p, Reason: reason}
	}
	s.head, s.recorded, s.place = p, r.Event.Recorded, r.Place
	if r.Last() && !s.gaps {
		s.chain, s.chained = r.Before, true
	}
	s.chain = r.Chain(s.chain)
	return r, nil
}

// End returns a [*eventstore.CorruptError] if the last commit is not complete.
func (s *Sequence) End() error {
	if s.gaps || s.place.I+1 >= s.place.N {
		return nil
	}
	return &eventstore.CorruptError{Position: s.head + 1, Reason: fmt.Sprintf("the log ends before it, in a commit of %d events", s.place.N)}
}

// refuses returns why the record may not come next, or "".
func (s *Sequence) refuses(r *record.Record) string {
	p := r.Event.Position
	switch {
	case p <= s.head:
		return fmt.Sprintf("follows position %d", s.head)
	case p > s.head+1 && !s.gaps:
		return fmt.Sprintf("follows position %d, and the positions between are missing", s.head)
	case r.Event.Recorded.Before(s.recorded):
		return fmt.Sprintf("recorded at %v, before the preceding event", r.Event.Recorded)
	case s.chained && r.Last() && r.Before != s.chain:
		return fmt.Sprintf("the running checksum before it is %08x, the record says %08x: events before it are not those that it followed", s.chain, r.Before)
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
