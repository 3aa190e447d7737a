package index

import (
	"sort"

	"github.com/yore-es/yore/eventstore"
)

// Walk is a walk over the positions that match a query, in one direction. It goes
// through the segments of the index one after the other.
type Walk struct {
	r        *Reader
	query    eventstore.Query
	backward bool
	segments []segment
	root     walker      // over the first segment; nil: not begun
	empty    bool        // nothing in the segment can match
	lists    []*postings // leaves of root
	spare    [][]posting // memory of lists that are done
}

// walker finds positions in one direction. seek returns the first match at or after
// p (at or before p, walking backward), or 0 if there is none. Successive calls go
// in the walker's direction. If matched is false, the walker has stopped early: the
// position is no match, but no match comes before it, and the next seek starts
// there.
type walker interface {
	seek(p eventstore.Position) (found eventstore.Position, matched bool)
}

// leaps is how many seeks an intersection makes in its parts before it stops early.
const leaps = 256

// Walk returns a walk over the matches of q in the positions from..to, both
// included. The query must be valid and must not be All.
func (r *Reader) Walk(q eventstore.Query, from, to eventstore.Position, backward bool) *Walk {
	return &Walk{r: r, query: q, backward: backward, segments: r.segments(from, to, backward)}
}

// Seek returns the first match at or after p (at or before p, walking backward), or
// 0 if there is none. If matched is false, Seek has stopped early, so that the
// caller can end its transaction: the position is no match, but where to seek next.
// The answer counts only if the reader's Err is nil.
func (w *Walk) Seek(p eventstore.Position) (found eventstore.Position, matched bool) {
	if w.backward {
		p = min(p, w.r.last)
	}
	for len(w.segments) > 0 && w.r.err == nil {
		s := w.segments[0]
		if w.backward && p >= s.from || !w.backward && p <= s.to {
			if w.root == nil && !w.empty {
				w.root = w.walker(s)
				w.empty = w.root == nil
			}
			if !w.empty {
				// Begin with the segment, if p is before it.
				start := max(p, s.from)
				if w.backward {
					start = min(p, s.to)
				}
				if found, matched := w.root.seek(start); found != 0 {
					return found, matched
				}
			}
		}
		w.leave()
	}
	return 0, false
}

// leave moves to the next segment.
func (w *Walk) leave() {
	w.segments, w.root, w.empty = w.segments[1:], nil, false
	for _, l := range w.lists {
		w.spare = append(w.spare, l.buffer)
	}
	w.lists = w.lists[:0]
}

// Steps returns how many seeks in posting lists the reader has made.
func (w *Walk) Steps() int { return w.r.steps }

// Exact reports whether all positions that the walk has returned match. If not, the
// walk has left out dense lists, and some positions may not match; nor may an event
// that could not be read. No match is ever left out.
func (w *Walk) Exact() bool { return !w.r.guessed }

// walker returns the walker over the matches in a segment, or nil if nothing can
// match.
func (w *Walk) walker(s segment) walker {
	var items []walker
	for _, item := range w.query.Items() {
		if part := w.item(s, item); part != nil {
			items = append(items, part)
		}
	}
	if unknown := w.r.list(s, kindUnknown, ""); unknown != nil {
		items = append(items, w.over(unknown))
		w.r.guessed = true
	}
	return newUnion(items, w.backward)
}

// over returns the walker over one list.
func (w *Walk) over(l list) walker {
	p := &postings{r: w.r, list: l, backward: w.backward}
	if n := len(w.spare); n > 0 {
		p.buffer, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	w.lists = append(w.lists, p)
	return p
}

// item returns the walker over the matches of an item in a segment, or nil if
// nothing can match.
//
// To ask a list that has, for example, half of all positions costs about as much as
// to read the event, and excludes little. So dense lists are left out if another
// list of the item is not dense.
func (w *Walk) item(s segment, it eventstore.Item) walker {
	r := w.r
	parts := make([]walker, 0, len(it.Tags)+3)
	sparse := make([]walker, 0, cap(parts))
	add := func(lists []list) (possible bool) {
		if len(lists) == 0 {
			return false
		}
		dense := false
		walkers := make([]walker, len(lists))
		for i, l := range lists {
			walkers[i] = w.over(l)
			dense = dense || several(it) && l.dense()
		}
		part := newUnion(walkers, w.backward)
		if parts = append(parts, part); !dense {
			sparse = append(sparse, part)
		}
		return true
	}
	for _, tag := range it.Tags {
		if !add(listsOf(r, s, kindTag, []eventstore.Tag{tag})) {
			return nil
		}
	}
	if len(it.Streams) > 0 && !add(listsOf(r, s, kindStream, it.Streams)) ||
		len(it.Types) > 0 && !add(listsOf(r, s, kindType, it.Types)) ||
		len(it.Categories) > 0 && !add(listsOf(r, s, kindCategory, it.Categories)) {
		return nil
	}
	if n := len(sparse); n > 0 && n < len(parts) {
		parts = sparse
		r.guessed = true
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &intersection{parts: parts}
}

// several reports whether the item has more than one part.
func several(it eventstore.Item) bool {
	n := len(it.Tags)
	for _, names := range []int{len(it.Streams), len(it.Types), len(it.Categories)} {
		n += min(1, names)
	}
	return n > 1
}

// listsOf returns the lists that the segment has for names.
func listsOf[S ~string](r *Reader, s segment, kind byte, names []S) []list {
	var lists []list
	for _, name := range names {
		if l := r.list(s, kind, string(name)); l != nil {
			lists = append(lists, l)
		}
	}
	return lists
}

// postings is the walker over one list.
type postings struct {
	r        *Reader
	list     list
	backward bool
	begun    bool      // load was called
	buffer   []posting // for one posting
	loaded   []posting // the rest of the load, in the direction of the walk
	ended    bool
}

// The first load of a list is small, since it may be the only one.
const (
	firstLoad = 8
	maxLoad   = 256
)

func (l *postings) seek(p eventstore.Position) (eventstore.Position, bool) {
	at, ok := l.at(p)
	if !ok {
		return 0, false
	}
	return at.position, true
}

// at returns the first posting at or after p, or, backward, at or before p.
func (l *postings) at(p eventstore.Position) (posting, bool) {
	l.r.steps++
	l.skip(p)
	if len(l.loaded) == 0 && !l.ended {
		l.loaded = l.list.load(p, l.backward, l.room())
		l.ended = len(l.loaded) == 0
	}
	if l.r.err != nil || len(l.loaded) == 0 || l.loaded[0].position > l.r.last {
		return posting{}, false
	}
	return l.loaded[0], true
}

// room returns memory for the next load.
func (l *postings) room() []posting {
	size := maxLoad
	if !l.begun {
		size, l.begun = firstLoad, true
	}
	if cap(l.buffer) < size {
		l.buffer = make([]posting, size)
	}
	return l.buffer[:0:size]
}

// skip drops the postings that the walk has passed. Most often these are one or two,
// so it tries a few before it searches.
func (l *postings) skip(p eventstore.Position) {
	const near = 8
	for i := range l.loaded {
		if !l.passed(l.loaded[i], p) {
			l.loaded = l.loaded[i:]
			return
		}
		if i == near {
			rest := l.loaded[i:]
			l.loaded = rest[sort.Search(len(rest), func(i int) bool { return !l.passed(rest[i], p) }):]
			return
		}
	}
	l.loaded = nil
}

// passed reports whether the walk, at p, is past the posting.
func (l *postings) passed(at posting, p eventstore.Position) bool {
	if l.backward {
		return at.position > p
	}
	return at.position < p
}

// union is the walker over the positions that any of its parts has.
type union struct {
	parts    []walker
	at       []place
	backward bool
}

// place is the result of a walker's last seek.
type place struct {
	sought  bool
	found   eventstore.Position
	matched bool
}

// newUnion returns the walker over the positions that any of the parts has, or nil
// if there are no parts.
func newUnion(parts []walker, backward bool) walker {
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0]
	}
	return &union{parts: parts, at: make([]place, len(parts)), backward: backward}
}

func (u *union) seek(p eventstore.Position) (eventstore.Position, bool) {
	var nearest place
	for i, part := range u.parts {
		at := &u.at[i]
		if !at.sought || at.found != 0 && (!at.matched || u.before(at.found, p)) {
			at.sought = true
			at.found, at.matched = part.seek(p)
		}
		switch {
		case at.found == 0:
		case nearest.found == 0 || u.before(at.found, nearest.found):
			nearest = *at
		case at.found == nearest.found:
			nearest.matched = nearest.matched || at.matched
		}
	}
	return nearest.found, nearest.matched
}

// before reports whether the walk meets p before q.
func (u *union) before(p, q eventstore.Position) bool {
	if u.backward {
		return p > q
	}
	return p < q
}

// intersection is the walker over the positions that all of its parts have. Each
// part must always return matches.
type intersection struct {
	parts []walker
}

func (x *intersection) seek(p eventstore.Position) (eventstore.Position, bool) {
	agree := 0 // how many parts, up to the last one asked, have p
	for n := 0; n < leaps+2*len(x.parts); {
		for _, part := range x.parts {
			found, _ := part.seek(p)
			if found == 0 {
				return 0, false
			}
			if n++; found != p {
				p, agree = found, 0
			}
			if agree++; agree == len(x.parts) {
				return p, true
			}
		}
	}
	return p, false
}
