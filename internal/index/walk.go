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
	return l.inOrder(l.take(l.cursor.Seek(l.key(p))), p)
}

func (l *postings) seekBackward(p eventstore.Position) eventstore.Position {
	if l.started && l.at <= p {
		return l.at
	}
	if l.started && l.take(l.cursor.Prev()) <= p {
		return l.at
	}
	l.started = true
	key, value := l.cursor.Seek(l.key(p))
	if key == nil {
		key, value = l.cursor.Last()
	}
	if bytes.Compare(key, l.key(p)) > 0 {
		key, value = l.cursor.Prev()
	}
	return l.inOrder(l.take(key, value), p)
}

// inOrder returns what was found when p was sought, unless it is on the wrong
// side of p: then the keys are out of order, and who goes on from there may
// never come to an end.
func (l *postings) inOrder(found, p eventstore.Position) eventstore.Position {
	if found == 0 || found == p || l.backward == (found < p) {
		return found
	}
	l.r.err = fmt.Errorf("%w: it leads to position %d when %d is sought", ErrUnusable, found, p)
	l.at = 0
	return 0
}

func (l *postings) key(p eventstore.Position) []byte {
	return binary.BigEndian.AppendUint64(l.prefix, uint64(p))
}

// take notes where the cursor stands.
func (l *postings) take(key, sealed []byte) eventstore.Position {
	l.at, l.value = 0, nil
	if !bytes.HasPrefix(key, l.prefix) {
		return 0
	}
	value, ok := unseal(key, sealed)
	if !ok || len(key) != len(l.prefix)+8 {
		l.r.err = fmt.Errorf("%w: the posting %q is damaged", ErrUnusable, key)
		return 0
	}
	if p := eventstore.Position(binary.BigEndian.Uint64(key[len(l.prefix):])); p <= l.r.last {
		l.at, l.value = p, value
	}
	return l.at
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
