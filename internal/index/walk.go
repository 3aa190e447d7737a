package index

import (
	"bytes"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// Walk is a walk over the positions that match a query, in one direction.
type Walk struct {
	r    *Reader
	root walker
}

// walker finds positions in one direction. seek returns the first match at or
// after p (at or before p, when walking backward), or 0 if there is none.
// Successive calls go in the walker's direction. When matched is false, the
// walker has stopped early: what it found is no match, but the place before
// which there is none and from which to seek again.
type walker interface {
	seek(p eventstore.Position) (found eventstore.Position, matched bool)
}

// leaps is how many seeks in its parts an intersection makes at the least
// before it stops early.
const leaps = 256

// Walk returns a walk over the matches of q, which is valid and not All.
func (r *Reader) Walk(q eventstore.Query, backward bool) *Walk {
	var items []walker
	for _, item := range q.Items() {
		items = append(items, r.item(item, backward))
	}
	return &Walk{r: r, root: newUnion(items, backward)}
}

// Seek returns the first match at or after p (at or before p, when walking
// backward), or 0 if there is none. When matched is false, the position found
// is not a match but where to seek next: Seek stops early rather than search
// for long, so that the caller can end its transaction. What it found counts
// only if the reader's Err is nil.
func (w *Walk) Seek(p eventstore.Position) (found eventstore.Position, matched bool) {
	return w.root.seek(p)
}

// Steps returns how many seeks in posting lists the reader has made so far.
func (w *Walk) Steps() int { return w.r.steps }

func (r *Reader) item(it eventstore.Item, backward bool) walker {
	var parts []walker
	for _, tag := range it.Tags {
		parts = append(parts, r.newPostings(kindTag, string(tag), backward))
	}
	parts = appendAlternatives(parts, r, kindStream, it.Streams, backward)
	parts = appendAlternatives(parts, r, kindType, it.Types, backward)
	parts = appendAlternatives(parts, r, kindCategory, it.Categories, backward)
	if len(parts) == 1 {
		return parts[0]
	}
	return &intersection{parts: parts}
}

// appendAlternatives appends the walker over the events with one of the names,
// if there are any names.
func appendAlternatives[S ~string](parts []walker, r *Reader, kind byte, names []S, backward bool) []walker {
	if len(names) == 0 {
		return parts
	}
	lists := make([]walker, len(names))
	for i, name := range names {
		lists[i] = r.newPostings(kind, string(name), backward)
	}
	return append(parts, newUnion(lists, backward))
}

// postings is the walker over one term's posting list.
type postings struct {
	r        *Reader
	cursor   *bolt.Cursor
	prefix   []byte
	backward bool
	started  bool
	at       eventstore.Position // where the cursor stands; 0 at the list's end
	value    []byte              // of the posting there, without its checksum
}

func (r *Reader) newPostings(kind byte, name string, backward bool) *postings {
	return &postings{r: r, cursor: r.bucket.Cursor(), prefix: prefix(kind, name), backward: backward}
}

func (l *postings) version() eventstore.Version {
	if l.at == 0 || len(l.value) != 8 {
		return 0
	}
	return eventstore.Version(binary.BigEndian.Uint64(l.value))
}

func (l *postings) seek(p eventstore.Position) (eventstore.Position, bool) {
	l.r.steps++
	if l.backward {
		return l.seekBackward(min(p, l.r.last)), true
	}
	return l.seekForward(p), true
}

func (l *postings) seekForward(p eventstore.Position) eventstore.Position {
	if l.started && (l.at == 0 || l.at >= p) {
		return l.at
	}
	// The next posting is often the one; else descend the tree.
	if l.started && (l.take(l.cursor.Next()) == 0 || l.at >= p) {
		return l.at
	}
	l.started = true
	return l.take(l.descend(p))
}

func (l *postings) seekBackward(p eventstore.Position) eventstore.Position {
	if l.started && l.at <= p {
		return l.at
	}
	if l.started && l.take(l.cursor.Prev()) <= p {
		return l.at
	}
	l.started = true
	return l.take(l.descend(p))
}

// descend puts the cursor on the posting at p, or else on what comes after that
// in the walker's direction, nil at the bucket's end. That there is nothing at p is told by the neighbours:
// damage to a key or to a page that leads there makes the search end beside the
// place where it should have, so both must be whole, and on the right sides.
func (l *postings) descend(p eventstore.Position) (key, sealed []byte) {
	want := l.key(p)
	key, sealed = l.cursor.Seek(want)
	if bytes.Equal(key, want) {
		return key, sealed
	}
	before, sealedBefore := l.cursor.Prev() // there is one: the status is the first
	_, whole := unseal(before, sealedBefore)
	if whole && key != nil {
		_, whole = unseal(key, sealed)
	}
	if !whole || bytes.Compare(before, want) >= 0 || key != nil && bytes.Compare(key, want) <= 0 {
		l.damaged(want)
		return nil, nil
	}
	switch {
	case l.backward:
		return before, sealedBefore
	case key == nil:
		return nil, nil
	}
	return l.cursor.Next()
}

func (l *postings) key(p eventstore.Position) []byte {
	return binary.BigEndian.AppendUint64(l.prefix, uint64(p))
}

// take notes where the cursor stands.
func (l *postings) take(key, sealed []byte) eventstore.Position {
	was := l.at
	l.at, l.value = 0, nil
	if key == nil || l.r.err != nil {
		return 0
	}
	value, whole := unseal(key, sealed)
	if !whole {
		l.damaged(key)
		return 0
	}
	if !bytes.HasPrefix(key, l.prefix) || len(key) != len(l.prefix)+8 {
		return 0 // the list has ended
	}
	p := eventstore.Position(binary.BigEndian.Uint64(key[len(l.prefix):]))
	if was != 0 && l.backward != (p < was) {
		l.damaged(key) // out of order: who goes on may never come to an end
		return 0
	}
	if p <= l.r.last {
		l.at, l.value = p, value
	}
	return l.at
}

// damaged notes that the index is, around a key.
func (l *postings) damaged(key []byte) {
	l.at, l.value = 0, nil
	l.r.err = fmt.Errorf("%w: damaged at %s", ErrUnusable, describe(key))
}

// union is the walker over what any of its parts has.
type union struct {
	parts    []walker
	at       []place
	backward bool
}

// place is where a walker stands: what its last seek returned.
type place struct {
	sought  bool
	found   eventstore.Position
	matched bool
}

func newUnion(parts []walker, backward bool) walker {
	if len(parts) == 1 {
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

// before reports whether the walk comes by p before q.
func (u *union) before(p, q eventstore.Position) bool {
	if u.backward {
		return p > q
	}
	return p < q
}

// intersection is the walker over what all of its parts have. Its parts always
// match what they find.
type intersection struct {
	parts []walker
}

func (x *intersection) seek(p eventstore.Position) (eventstore.Position, bool) {
	agree := 0 // how many parts, up to the last one asked, have p
	for n := 0; n < leaps+2*len(x.parts); n++ {
		found, _ := x.parts[n%len(x.parts)].seek(p)
		if found == 0 {
			return 0, false
		}
		if found != p {
			p, agree = found, 0
		}
		if agree++; agree == len(x.parts) {
			return p, true
		}
	}
	return p, false
}
