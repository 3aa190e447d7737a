package linear

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"github.com/yore-es/yore/eventstore"
)

// This file is the contract once more, sequential, by brute force, and independent
// of the stores: the answer of each call is a function of the log. It has its own
// Matches, so that the one of eventstore is tested too.

// log is the state of the model: all events, the first at position 1. It never
// changes; appending makes another one.
type log struct {
	events []logged
	hash   uint64 // of the ids, in their order
}

// logged is an event in the log: the i-th of the n of its commit.
type logged struct {
	event
	version uint64
	key     string // of its commit
	i, n    int
}

// newModel is the model as porcupine wants it.
func newModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return &log{} },
		Step: func(state, input, output any) (bool, any) {
			l, c, a := state.(*log), input.(*call), output.(*answer)
			next, expected := l.answer(c)
			if a.Unknown {
				return true, next
			}
			return expected.equal(a), next
		},
		Equal: func(a, b any) bool {
			x, y := a.(*log), b.(*log)
			return x == y || x.hash == y.hash && slices.EqualFunc(x.events, y.events, func(e, f logged) bool { return e.ID == f.ID })
		},
		Hash:              func(state any) uint64 { return state.(*log).hash },
		DescribeOperation: func(input, output any) string { return describe(input.(*call), output.(*answer)) },
		DescribeState:     func(state any) string { return fmt.Sprintf("head %d", len(state.(*log).events)) },
	}
}

// answer returns what the call must answer, and the log after it.
func (l *log) answer(c *call) (*log, answer) {
	switch c.Kind {
	case appendCall:
		return l.append(c.Commit)
	case headCall:
		return l, answer{Head: uint64(len(l.events))}
	case lookupCall:
		for i := range l.events {
			if c.Key == l.events[i].key {
				return l, answer{Receipt: l.receipt(i, false), Found: true}
			}
		}
		return l, answer{}
	case followCall:
		return l, answer{Head: uint64(len(l.events)), Seen: l.read(&call{Query: c.Query, From: c.From + 1})}
	default:
		return l, answer{Seen: l.read(c)}
	}
}

func (l *log) append(c *commit) (*log, answer) {
	if c.Key != "" {
		for i := range l.events {
			if l.events[i].key == c.Key {
				return l, answer{Receipt: l.receipt(i, true)}
			}
		}
	}
	failed := l.conflicts(c)
	if c.Key == "" {
		for _, f := range failed {
			if f.Position > 0 && l.wrote(c, int(f.Position)-1) {
				return l, answer{Receipt: l.receipt(int(f.Position)-1, true)}
			}
		}
	}
	if len(failed) > 0 {
		return l, answer{Conflict: &failed[0]}
	}
	next := l.with(c)
	return next, answer{Receipt: next.receipt(len(l.events), false)}
}

// conflicts returns all conflicts of the conditions of c.
func (l *log) conflicts(c *commit) []conflict {
	var failed []conflict
	for _, x := range c.Expect {
		actual := l.version(x.Stream)
		if holds(x.At, actual) {
			continue
		}
		f := conflict{Guard: -1, Stream: x.Stream, Actual: actual}
		if x.At >= eventstore.NoStream {
			f.Position = l.find(x.Stream, uint64(x.At-eventstore.NoStream)+1)
		}
		failed = append(failed, f)
	}
	for i, g := range c.Guards {
		for p := g.After; p < uint64(len(l.events)); p++ {
			if g.Query.matches(&l.events[p].event) {
				failed = append(failed, conflict{Guard: i, Position: p + 1})
				break
			}
		}
	}
	return failed
}

func holds(at eventstore.Expectation, actual uint64) bool {
	switch at {
	case eventstore.Any:
		return true
	case eventstore.Exists:
		return actual > 0
	default:
		return actual == uint64(at-eventstore.NoStream)
	}
}

func (l *log) version(stream string) uint64 {
	for i := len(l.events) - 1; i >= 0; i-- {
		if l.events[i].Stream == stream {
			return l.events[i].version
		}
	}
	return 0
}

// find returns the position of a version of a stream, or 0.
func (l *log) find(stream string, version uint64) uint64 {
	for i := range l.events {
		if e := &l.events[i]; e.Stream == stream && e.version == version {
			return uint64(i) + 1
		}
	}
	return 0
}

// wrote reports whether the event at the index is of commit c.
func (l *log) wrote(c *commit, index int) bool {
	written := l.commitAt(index)
	return slices.EqualFunc(written, c.Events, func(a logged, b event) bool { return a.ID == b.ID })
}

// commitAt returns the events of the commit of the event at the index.
func (l *log) commitAt(index int) []logged {
	e := &l.events[index]
	return l.events[index-e.i:][:e.n]
}

// receipt returns the receipt of the commit of the event at the index.
func (l *log) receipt(index int, repeated bool) receipt {
	first := index - l.events[index].i
	r := receipt{First: uint64(first) + 1, Last: uint64(first + l.events[index].n), Repeated: repeated}
	for _, e := range l.commitAt(index) {
		if e.Stream == "" {
			continue
		}
		at := slices.IndexFunc(r.Heads, func(h streamHead) bool { return h.Stream == e.Stream })
		if at < 0 {
			at = len(r.Heads)
			r.Heads = append(r.Heads, streamHead{Stream: e.Stream})
		}
		r.Heads[at].Version = e.version
	}
	return r
}

// with returns the log with the commit at its end.
func (l *log) with(c *commit) *log {
	next := &log{events: slices.Grow(slices.Clip(l.events), len(c.Events))}
	h := fnv.New64a()
	fmt.Fprint(h, l.hash)
	for i, e := range c.Events {
		added := logged{event: e, key: c.Key, i: i, n: len(c.Events)}
		if e.Stream != "" {
			added.version = next.version(e.Stream) + 1
		}
		next.events = append(next.events, added)
		fmt.Fprint(h, " ", e.ID)
	}
	next.hash = h.Sum64()
	return next
}

// read returns the events of a read.
func (l *log) read(c *call) []seen {
	var found []seen
	for i := range l.events {
		if c.Backward {
			i = len(l.events) - 1 - i
		}
		p, e := uint64(i)+1, &l.events[i]
		if p < c.From || c.To > 0 && p > c.To || !c.Query.matches(&e.event) {
			continue
		}
		if found = append(found, seen{Position: p, Version: e.version, ID: e.ID}); len(found) == c.Limit {
			break
		}
	}
	return found
}

func (q query) matches(e *event) bool {
	return len(q) == 0 || slices.ContainsFunc(q, func(it item) bool {
		category, _, _ := strings.Cut(e.Stream, "-")
		return (it.Stream == "" || it.Stream == e.Stream) && (it.Category == "" || it.Category == category) &&
			(it.Type == "" || it.Type == e.Type) && (it.Tag == "" || slices.Contains(e.Tags, it.Tag))
	})
}

func (a *answer) equal(b *answer) bool {
	sameConflict := a.Conflict == b.Conflict || a.Conflict != nil && b.Conflict != nil && *a.Conflict == *b.Conflict
	return a.Error == b.Error && sameConflict && a.Receipt.equal(&b.Receipt) && a.Found == b.Found && a.Head == b.Head &&
		slices.Equal(a.Seen, b.Seen)
}

func (r *receipt) equal(b *receipt) bool {
	return r.First == b.First && r.Last == b.Last && r.Repeated == b.Repeated && slices.Equal(r.Heads, b.Heads)
}
