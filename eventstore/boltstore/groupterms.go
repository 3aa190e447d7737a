package boltstore

import (
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// A guard may have thousands of items and a group thousands of events, and the writer must
// not compare all of them with each other. So a group that guards are judged against gets a
// small index of its own: an item without a name in common with the group costs one map
// access.

// termIndex is an index of the entries of a group. It is made when it is first needed and
// extended while the group is formed. Once it has all entries of a published group, it does
// not change.
type termIndex struct {
	mu      sync.Mutex
	entries map[term][]int // to indexes of entries, ascending
	through int            // how many entries are in it
}

type term struct {
	kind byte
	name string
}

const (
	streamTerm   = 's'
	categoryTerm = 'c'
	typeTerm     = 't'
	tagTerm      = 'g'
)

// byTerm returns the index of all entries that the group has now.
func (g *group) byTerm() map[term][]int {
	x := &g.terms
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.entries == nil {
		x.entries = make(map[term][]int)
	}
	for ; x.through < len(g.entries); x.through++ {
		e := &g.entries[x.through]
		x.add(typeTerm, e.kind)
		if e.stream != "" {
			x.add(streamTerm, string(e.stream))
			x.add(categoryTerm, e.stream.Category())
		}
		for _, tag := range e.tags {
			x.add(tagTerm, string(tag))
		}
	}
	return x.entries
}

func (x *termIndex) add(kind byte, name string) {
	t := term{kind, name}
	x.entries[t] = append(x.entries[t], x.through)
}

// firstMatch returns the index of the group's first entry after a position that matches the
// query, or -1.
func (g *group) firstMatch(q eventstore.Query, after eventstore.Position) int {
	if g.through <= after {
		return -1
	}
	from := 0
	if after >= g.first {
		from = int(after - g.first + 1)
	}
	if q.IsAll() {
		return from
	}
	byTerm, first := g.byTerm(), len(g.entries)
	for _, item := range q.Items() {
		for _, list := range candidates(byTerm, item) {
			for _, i := range list {
				if i >= first {
					break
				}
				if e := &g.entries[i]; i >= from && q.Matches(e.stream, e.kind, e.tags) {
					first = i
				}
			}
		}
	}
	if first == len(g.entries) {
		return -1
	}
	return first
}

// candidates returns lists of entries that contain all entries that match the item: those
// with its rarest tag, or, without tags, those with each of its streams, types or
// categories.
func candidates(byTerm map[term][]int, item eventstore.Item) [][]int {
	if len(item.Tags) > 0 {
		rarest := byTerm[term{tagTerm, string(item.Tags[0])}]
		for _, tag := range item.Tags[1:] {
			if list := byTerm[term{tagTerm, string(tag)}]; len(list) < len(rarest) {
				rarest = list
			}
		}
		return [][]int{rarest}
	}
	switch {
	case len(item.Streams) > 0:
		return listsOf(byTerm, streamTerm, item.Streams)
	case len(item.Types) > 0:
		return listsOf(byTerm, typeTerm, item.Types)
	default:
		return listsOf(byTerm, categoryTerm, item.Categories)
	}
}

func listsOf[S ~string](byTerm map[term][]int, kind byte, names []S) [][]int {
	var lists [][]int
	for _, name := range names {
		if list := byTerm[term{kind, string(name)}]; len(list) > 0 {
			lists = append(lists, list)
		}
	}
	return lists
}
