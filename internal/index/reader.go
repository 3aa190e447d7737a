package index

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
)

// Reader looks up postings in the index as of one moment, up to a position. It is
// not safe for concurrent use.
type Reader struct {
	last   eventstore.Position
	runs   manifest
	tables []*table

	bucket *pages.Tree // nil: without the file
	cursor *pages.Cursor
	open   block // the block that was read last
	openOf *run

	steps   int // seeks made in posting lists
	guessed bool
	err     error // nil, or all answers are void
}

// ErrNeedsFile means that a reader without a transaction cannot answer from memory.
var ErrNeedsFile = errors.New("the index has to be read from the file")

// Err returns [ErrUnusable] if the reader has met damage, and [ErrNeedsFile] if it
// has no transaction and needed one. All answers of the reader are then void.
func (r *Reader) Err() error { return r.err }

// Key returns the position of the first event of the commit with that key, or 0.
func (r *Reader) Key(key string) eventstore.Position {
	return r.first(kindKey, key, 1, r.last).position
}

// Head returns the position and version of a stream's last event, or zeros.
func (r *Reader) Head(stream eventstore.StreamID) (eventstore.Position, eventstore.Version) {
	head := r.before(stream, r.last)
	return head.position, head.version
}

// Unknown returns the position of the first event after a position that could not be
// read when it was indexed, or 0.
func (r *Reader) Unknown(after eventstore.Position) eventstore.Position {
	return r.first(kindUnknown, "", after+1, r.last).position
}

// first returns the first posting of a term within a range of positions, or zeros.
func (r *Reader) first(kind byte, name string, from, to eventstore.Position) posting {
	var found [1]posting
	for _, s := range r.segments(from, to, false) {
		l := r.list(s, kind, name)
		if l == nil {
			continue
		}
		first := l.load(from, false, found[:0])
		if len(first) > 0 && first[0].position <= min(to, r.last) {
			return first[0]
		}
	}
	return posting{}
}

// before returns the stream's last posting up to p, or zeros.
func (r *Reader) before(stream eventstore.StreamID, p eventstore.Position) posting {
	var found [1]posting
	for _, s := range r.segments(1, p, true) {
		if l := r.list(s, kindStream, string(stream)); l != nil {
			if last := l.load(p, true, found[:0]); len(last) > 0 {
				return last[0]
			}
		}
	}
	return posting{}
}

// At returns the position of the event with a version in a stream, or 0. It searches
// from the stream's end.
func (r *Reader) At(stream eventstore.StreamID, v eventstore.Version) eventstore.Position {
	for _, s := range r.segments(1, r.last, true) {
		l := r.list(s, kindStream, string(stream))
		if l == nil {
			continue
		}
		walk := postings{r: r, list: l, backward: true}
		for p := r.last; ; {
			at, ok := walk.at(p)
			if !ok {
				break
			}
			if at.version <= v {
				if at.version < v {
					return 0
				}
				return at.position
			}
			p = at.position - 1
		}
	}
	return 0
}

// segment is a part of the index that covers a range of positions: a run or a
// table.
type segment struct {
	from, to eventstore.Position
	run      *run
	table    *table
}

// segments returns the segments that overlap the positions from..to, in the
// direction of a walk.
func (r *Reader) segments(from, to eventstore.Position, backward bool) []segment {
	segments := make([]segment, 0, len(r.runs)+len(r.tables))
	to = min(to, r.last)
	for _, run := range r.runs {
		if run.from <= to && run.through >= from {
			segments = append(segments, segment{from: run.from, to: run.through, run: run})
		}
	}
	start := r.runs.through() + 1
	for i, t := range r.tables {
		end := r.last
		if i+1 < len(r.tables) {
			end = r.tables[i+1].first - 1
		}
		if start <= end && end >= from && t.first <= to {
			segments = append(segments, segment{from: max(t.first, start), to: end, table: t})
		}
	}
	if backward {
		slices.Reverse(segments)
	}
	return segments
}

// list is the postings of a term in one segment.
type list interface {
	// load returns postings that lie side by side, in the direction of the walk: the
	// first is the first at or after p or, backward, the last at or before p. It
	// returns as many as fit into into, or fewer, and none only if there are none.
	load(p eventstore.Position, backward bool, into []posting) []posting
	// dense reports whether the list has, by an estimate, so large a share of the
	// segment's positions that it is not worth asking.
	dense() bool
}

// A list is dense if it has at least denseCount postings, and one in denseGap
// positions.
const (
	denseGap   = 16
	denseCount = 64
)

// list returns the list of a term in a segment, or nil if the segment has none.
func (r *Reader) list(s segment, kind byte, name string) list {
	if s.table != nil {
		if l := s.table.list(kind, name); l != nil {
			return l
		}
		return nil
	}
	if kind == kindUnknown && !s.run.unknown {
		return nil
	}
	var room [maxTerm]byte
	term := appendTerm(room[:0], kind, name)
	print := fingerprint(term)
	if s.run.filter.Load() == nil && r.bucket != nil && r.err == nil && r.filterFits(s.run) {
		r.err = s.run.loadFilter(r.bucket)
	}
	if !s.run.mayHave(print) {
		return nil
	}
	if r.bucket == nil {
		r.fail(ErrNeedsFile)
		return nil
	}
	return &runList{r: r, run: s.run, term: append(make([]byte, 0, len(term)+positionSize), term...)}
}

// maxFilters is how many bytes of filters are kept in memory. The largest runs go
// without a filter if not all fit.
const maxFilters = 64 << 20

func (r *Reader) filterFits(of *run) bool {
	used := of.size
	for _, other := range r.runs {
		if other.filter.Load() != nil {
			used += other.size
		}
	}
	return used <= maxFilters
}

func (r *Reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// runList is a list in a run.
type runList struct {
	r    *Reader
	run  *run
	term []byte // has capacity for a position

	piece pieceReader // scratch memory
}

// find returns the block that covers the place. Damage fails the reader.
func (l *runList) find(place []byte) (block, bool) {
	r := l.r
	if r.err != nil {
		return block{}, false
	}
	if r.openOf == l.run && r.open.covers(place) {
		return r.open, true
	}
	if r.cursor == nil {
		r.cursor = r.bucket.Cursor()
	}
	found, ok := l.run.blockOf(r.cursor, place)
	if !ok {
		r.fail(fmt.Errorf("%w: damaged in run %d, at %s", ErrUnusable, l.run.id, describe(place)))
		return block{}, false
	}
	r.open, r.openOf = found, l.run
	return found, true
}

// load implements list.
func (l *runList) load(p eventstore.Position, backward bool, into []posting) []posting {
	into = into[:0]
	b, ok := l.find(appendPosition(l.term, p))
	if !ok {
		return into
	}
	if backward {
		return l.collectBackward(&b, p, into)
	}
	into = l.collect(&b, p, into)
	// The first at or after p may be the first of the next block.
	if len(into) == 0 && l.goesOn(&b) {
		if b, ok = l.find(b.end); ok {
			into = l.collect(&b, p, into)
		}
	}
	return into
}

// pieces calls fn for the term's pieces in the block until it returns false.
func (l *runList) pieces(b *block, fn func(*pieceReader) bool) {
	l.piece = pieceReader{rest: b.pieces, run: l.run, term: l.piece.term[:0]}
	for l.piece.next() {
		if order := bytes.Compare(l.piece.term, l.term); order > 0 || order == 0 && !fn(&l.piece) {
			break
		}
	}
	if l.piece.broken {
		l.r.fail(fmt.Errorf("%w: run %d has a malformed block at %s", ErrUnusable, l.run.id, describe(b.begin)))
	}
}

func (l *runList) collect(b *block, p eventstore.Position, into []posting) []posting {
	l.pieces(b, func(piece *pieceReader) bool {
		if piece.skipTo(p) {
			into = piece.fill(into)
		}
		return len(into) < cap(into)
	})
	return into
}

// collectBackward collects the last postings up to p, the last one first.
func (l *runList) collectBackward(b *block, p eventstore.Position, into []posting) []posting {
	ring := into[:cap(into)]
	n := 0
	l.pieces(b, func(piece *pieceReader) bool {
		for more := true; more; more = piece.step() {
			if piece.at.position > p {
				return false
			}
			ring[n%len(ring)] = piece.at
			n++
		}
		return true
	})
	// Bring the ring into the order of the walk.
	kept := min(n, len(ring))
	rotated := n % len(ring)
	if kept == len(ring) && rotated > 0 {
		slices.Reverse(ring[:rotated])
		slices.Reverse(ring[rotated:])
		return ring
	}
	slices.Reverse(ring[:kept])
	return ring[:kept]
}

// dense implements list. It estimates from the list's first piece and from where the
// list goes on after that piece's block.
func (l *runList) dense() (dense bool) {
	b, ok := l.find(appendPosition(l.term, l.run.from))
	if !ok {
		return false
	}
	begun := false
	judge := func(piece *pieceReader) bool {
		begun = true
		next := l.run.through
		if l.goesOn(&b) {
			next = positionOf(b.end[len(l.term):])
		}
		dense = piece.count >= denseCount && uint64(next-piece.at.position) <= denseGap*piece.count
		return false
	}
	l.pieces(&b, judge)
	if !begun && l.goesOn(&b) {
		if b, ok = l.find(b.end); ok {
			l.pieces(&b, judge)
		}
	}
	return dense
}

// goesOn reports whether the next block begins with a posting of the list.
func (l *runList) goesOn(b *block) bool {
	return len(b.end) == len(l.term)+positionSize && bytes.HasPrefix(b.end, l.term)
}

// describe describes a place: a term, and perhaps a position.
func describe(place []byte) string {
	end := bytes.IndexByte(place, 0)
	if end < 1 {
		return fmt.Sprintf("%q", place[:min(len(place), 32)])
	}
	text := fmt.Sprintf("%s %q", kinds[place[0]], place[1:end])
	if at := place[end+1:]; len(at) == positionSize {
		text += fmt.Sprintf(" at position %d", positionOf(at))
	}
	return text
}
