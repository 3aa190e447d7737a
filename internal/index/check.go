package index

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"sort"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
)

// A Checker compares the index on disk with the log, without memory for each
// posting. For each run it sums the hashes of the postings that the run's events
// must have, and those of the postings that the run has. The sums are equal if the
// postings are. They differ otherwise, except with a probability of one in 2^64. If they
// differ, [Reader.Check] and [Checker.Stray] find the postings.
//
// The runs that the Checker reads stay in the file until Close, even if they are
// merged meanwhile.
type Checker struct {
	snapshot *Snapshot
	release  func()
	seed     maphash.Seed
	want     []digest // of the events, by run
	have     []digest // of the runs
	filters  []filter // of the runs, from the file; nil: not read, damaged or too large
	walk     *merge
	term     []byte  // of the last posting
	before   posting // the last posting
}

// digest is the number of postings and the sum of their hashes.
type digest struct {
	count int
	sum   uint64
}

// Check returns a Checker of the index as it is now.
func (x *Index) Check() *Checker {
	snapshot, release := x.pin()
	n := len(snapshot.runs)
	return &Checker{snapshot: snapshot, release: release, seed: maphash.MakeSeed(), want: make([]digest, n), have: make([]digest, n), walk: newMerge(snapshot.runs)}
}

// Close releases the runs. It must be called once.
func (c *Checker) Close() { c.release() }

// Through returns the last position that the Checker compares.
func (c *Checker) Through() eventstore.Position { return c.snapshot.runs.through() }

// runOf returns the index of the run that covers a position, or -1.
func (c *Checker) runOf(p eventstore.Position) int {
	runs := c.snapshot.runs
	i := sort.Search(len(runs), func(i int) bool { return runs[i].through >= p })
	if p == 0 || i == len(runs) {
		return -1
	}
	return i
}

// Event adds an event of the log. Events after Through are ignored.
func (c *Checker) Event(e Entry) {
	i := c.runOf(e.Position)
	if i < 0 {
		return
	}
	d := &c.want[i]
	e.each(func(kind byte, name string, p posting) {
		d.count++
		d.sum += c.hash(maphash.String(c.seed, name)+uint64(kind), p)
	})
}

func (c *Checker) hash(term uint64, p posting) uint64 {
	return maphash.Comparable(c.seed, [3]uint64{term, uint64(p.position), uint64(p.version)})
}

// Problem is a fault that a check has found.
type Problem struct {
	Kind     ProblemKind
	Position eventstore.Position // of the event concerned; 0 if unknown
	Text     string
}

// ProblemKind is the kind of a problem.
type ProblemKind int

const (
	// WrongEntry means that the index is damaged or disagrees with the log.
	WrongEntry ProblemKind = iota
	// BrokenStream means that an event's version does not follow the one before it
	// in its stream.
	BrokenStream
	// RepeatedKey means that two commits have the same key.
	RepeatedKey
)

// Walk checks a part of the index and returns false when it has checked all. Damage
// does not end the walk: it is reported, and the rest of the damaged run is left
// out. If gaps is true, the versions of a stream may skip numbers, but must
// increase.
func (c *Checker) Walk(readTx func(func(*pages.Tx) error) error, gaps bool, report func(Problem)) (more bool, err error) {
	if c.walk.done() {
		for _, damage := range c.walk.bad {
			report(Problem{Text: damage.Error()})
		}
		return false, nil
	}
	if c.filters == nil {
		if err := readTx(func(tx *pages.Tx) error { return c.readFilters(tx, report) }); err != nil {
			return false, err
		}
	}
	if err := readTx(c.walk.fill); err != nil {
		return false, err
	}
	for piece := c.walk.next(); piece != nil; piece = c.walk.next() {
		run := c.walk.last.number
		if f := c.filters[run]; f != nil && !f.has(fingerprint(piece.term)) {
			report(Problem{Position: piece.at.position, Text: "the filter lacks " + describe(piece.term)})
		}
		term := maphash.Bytes(c.seed, piece.term[1:len(piece.term)-1]) + uint64(piece.term[0])
		for more := true; more; more = piece.step() {
			c.have[run].count++
			c.have[run].sum += c.hash(term, piece.at)
			c.follow(piece.term, piece.at, gaps, report)
		}
	}
	return true, nil
}

// readFilters reads filters into memory, up to maxFilters bytes, and reports the
// damaged ones.
func (c *Checker) readFilters(tx *pages.Tx, report func(Problem)) error {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return errNone
	}
	c.filters = make([]filter, len(c.snapshot.runs))
	used := uint64(0)
	for i, r := range c.snapshot.runs {
		fits := used+r.size <= maxFilters
		if fits {
			used += r.size
		}
		var f filter
		err := r.eachFilterPart(b, func(part []byte) {
			if fits {
				f = append(f, part...)
			}
		})
		if err != nil {
			report(Problem{Position: r.from, Text: err.Error()})
			continue
		}
		c.filters[i] = f
	}
	return nil
}

// follow checks a posting against the one before it in its list.
func (c *Checker) follow(term []byte, p posting, gaps bool, report func(Problem)) {
	before := c.before
	if !bytes.Equal(term, c.term) {
		c.term, before = append(c.term[:0], term...), posting{}
	}
	c.before = p
	switch term[0] {
	case kindStream:
		if p.version != before.version+1 && (!gaps || p.version <= before.version) {
			report(Problem{Kind: BrokenStream, Position: p.position, Text: fmt.Sprintf("version %d of stream %q, where version %d comes next", p.version, term[1:len(term)-1], before.version+1)})
		}
	case kindKey:
		if before.position > 0 {
			report(Problem{Kind: RepeatedKey, Position: p.position, Text: fmt.Sprintf("key %q is also the key of the commit at position %d", term[1:len(term)-1], before.position)})
		}
	}
}

// Postings returns the number of postings in the runs.
func (c *Checker) Postings() int {
	n := 0
	for _, d := range c.have {
		n += d.count
	}
	return n
}

// Differs reports whether the run that covers a position differs from the events
// that were added.
func (c *Checker) Differs(p eventstore.Position) bool {
	i := c.runOf(p)
	return i >= 0 && c.want[i] != c.have[i]
}

// Differing returns the ranges of positions of the runs that differ.
func (c *Checker) Differing() (ranges [][2]eventstore.Position) {
	for i, r := range c.snapshot.runs {
		if c.want[i] != c.have[i] {
			ranges = append(ranges, [2]eventstore.Position{r.from, r.through})
		}
	}
	return ranges
}

// Stray walks over the index again and reports, in the runs that differ, postings
// that their events do not have. Given a position, entry returns the Entry of its
// event, and false if that is not known.
func (c *Checker) Stray(readTx func(func(*pages.Tx) error) error, entry func(eventstore.Position) (Entry, bool), report func(p eventstore.Position, problem string)) error {
	for m := newMerge(c.snapshot.runs); !m.done(); {
		if err := readTx(m.fill); err != nil {
			return err
		}
		for piece := m.next(); piece != nil; piece = m.next() {
			for more := true; more; more = piece.step() {
				if p := piece.at.position; c.Differs(p) {
					if e, known := entry(p); known && !e.has(piece.term, piece.at) {
						report(p, fmt.Sprintf("the index has %s, which it must not have", describe(appendPosition(bytes.Clone(piece.term), p))))
					}
				}
			}
		}
	}
	return nil
}

// has reports whether the posting belongs to the entry.
func (e *Entry) has(term []byte, at posting) (found bool) {
	e.each(func(kind byte, name string, p posting) {
		found = found || p == at && term[0] == kind && string(term[1:len(term)-1]) == name
	})
	return found
}

// Check reports the postings of the event that are missing or wrong in the index,
// and a version or a key that is wrong after the events before it. It returns how
// many postings are right. An event that could not be read when it was indexed has
// none.
func (r *Reader) Check(e Entry, report func(Problem)) (found int, err error) {
	if r.first(kindUnknown, "", e.Position, e.Position).position > 0 {
		return 0, r.err
	}
	e.each(func(kind byte, name string, want posting) {
		got := r.first(kind, name, want.position, want.position)
		if r.err != nil {
			return
		}
		term := describe(appendPosition(appendTerm(nil, kind, name), want.position))
		switch {
		case got.position == 0:
			report(Problem{Position: e.Position, Text: "the index lacks " + term})
		case got != want:
			report(Problem{Position: e.Position, Text: "the index has something else for " + term})
		default:
			found++
		}
	})
	if e.Stream != "" {
		if before := r.before(e.Stream, e.Position-1); r.err == nil && before.version+1 != e.Version {
			report(Problem{Kind: BrokenStream, Position: e.Position, Text: fmt.Sprintf("version %d of stream %q, where version %d comes next", e.Version, e.Stream, before.version+1)})
		}
	}
	if e.Key != "" {
		if first := r.Key(e.Key); r.err == nil && first > 0 && first < e.Position {
			report(Problem{Kind: RepeatedKey, Position: e.Position, Text: fmt.Sprintf("key %q is also the key of the commit at position %d", e.Key, first)})
		}
	}
	return found, r.err
}

// Finish writes all postings, so that the index on disk reaches the end of the log,
// and checks their order. It returns a [*eventstore.CorruptError] if the versions of
// a stream do not follow each other (unless gaps is true) or if two commits have the
// same key. It is for an index that was built from a log that has not been checked
// for that.
func (x *Index) Finish(file File, gaps bool) (err error) {
	if err := x.Save(file); err != nil {
		return err
	}
	c := x.Check()
	defer c.Close()
	for more := true; more && err == nil; {
		var walkErr error
		more, walkErr = c.Walk(file.ReadTx, gaps, func(p Problem) {
			if err == nil && p.Kind == WrongEntry {
				err = fmt.Errorf("%w: %s", ErrUnusable, p.Text)
			} else if err == nil {
				err = &eventstore.CorruptError{Position: p.Position, Reason: p.Text}
			}
		})
		err = errors.Join(err, walkErr)
	}
	return err
}
