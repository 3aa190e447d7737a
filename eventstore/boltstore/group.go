package boltstore

import (
	"bytes"
	"maps"
	"sort"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/record"
)

// group is the commits that one transaction of the writer appends, in order. The writer's
// turn forms it; once it is published it does not change, except for next.
type group struct {
	seed     record.Seed         // of the store's checksums
	chain    record.Chain        // up to its last event
	first    eventstore.Position // of its first event
	through  eventstore.Position // of its last event; first-1 while it has none
	recorded time.Time           // of its last commit
	entries  []entry
	commits  []span
	heads    map[eventstore.StreamID]eventstore.Version // of the streams written
	keys     map[string]int                             // to the index in commits
	bytes    int                                        // of the records

	terms termIndex

	next  atomic.Pointer[group] // set when the next group is published
	ready chan struct{}         // closed when next is set
}

// span is the place of a commit in its group's entries.
type span struct {
	start, n int
	recorded time.Time
	digest   []byte
}

// newGroup returns an empty group that begins after the end of a log. recorded is the time of
// the commit before.
func newGroup(seed record.Seed, end logfile.Head, recorded time.Time) *group {
	return &group{
		seed: seed, chain: end.Chain, first: end.Position + 1, through: end.Position,
		recorded: recorded, ready: make(chan struct{}),
	}
}

// end returns the head of the log after the group.
func (g *group) end() logfile.Head { return logfile.Head{Position: g.through, Chain: g.chain} }

// weight is the number of events that the group counts for in the tail: at least one, so
// that the tail also drops groups without events.
func (g *group) weight() int { return max(1, len(g.entries)) }

// add appends the events of a judged request to the group and returns the receipt. It brings
// the request's versions up to date.
func (g *group) add(r *request) eventstore.Receipt {
	g.recorded = later(g.recorded, r.recorded)
	commit := span{start: len(g.entries), n: len(r.entries), recorded: g.recorded, digest: bytes.Clone(r.commit.Digest)}
	if r.commit.Key != "" {
		if g.keys == nil {
			g.keys = make(map[string]int)
		}
		g.keys[r.commit.Key] = len(g.commits)
	}
	if g.heads == nil {
		g.heads = make(map[eventstore.StreamID]eventstore.Version)
	}
	for i := range r.entries {
		e := &r.entries[i]
		g.through++
		if e.stream != "" {
			r.versions[e.expect]++
			e.version = r.versions[e.expect]
			if i+1 == len(r.entries) || r.entries[i+1].stream != e.stream {
				g.heads[e.stream] = e.version
			}
		}
		g.chain = record.Seal(e.record, g.seed, g.chain, g.through, e.version, g.recorded)
	}
	g.entries = append(g.entries, r.entries...)
	g.commits = append(g.commits, commit)
	g.bytes += r.bytes
	return g.receipt(len(g.commits) - 1)
}

// later returns the later of two times, in UTC and to the nanosecond, as a record holds it.
func later(a, b time.Time) time.Time {
	if b = time.Unix(0, b.UnixNano()).UTC(); b.After(a) {
		return b
	}
	return a
}

// receipt returns the receipt of the group's i-th commit.
func (g *group) receipt(i int) eventstore.Receipt {
	commit := g.commits[i]
	var b receiptBuilder
	for _, e := range g.entries[commit.start:][:commit.n] {
		b.add(e.stream, e.version)
	}
	b.receipt.First = g.position(commit.start)
	b.receipt.Last = b.receipt.First + eventstore.Position(commit.n) - 1
	b.receipt.Recorded, b.receipt.Digest = commit.recorded, bytes.Clone(commit.digest)
	return b.receipt
}

// position returns the position of the group's i-th entry.
func (g *group) position(i int) eventstore.Position { return g.first + eventstore.Position(i) }

// commitOf returns the index of the commit that has an entry.
func (g *group) commitOf(entry int) int {
	after := sort.Search(len(g.commits), func(i int) bool { return g.commits[i].start > entry })
	return after - 1
}

// sighting returns the group's i-th entry as a sighting.
func (g *group) sighting(i int) sighting {
	return sighting{position: g.position(i), eventType: g.entries[i].kind, id: g.entries[i].id}
}

// merge returns one group with the content of the groups from g through last, to judge
// against.
func merge(g, last *group) *group {
	m := newGroup(g.seed, logfile.Head{Position: g.first - 1}, time.Time{})
	m.through = last.through
	m.heads = make(map[eventstore.StreamID]eventstore.Version)
	m.keys = make(map[string]int)
	for ; ; g = g.next.Load() {
		for key, i := range g.keys {
			m.keys[key] = len(m.commits) + i
		}
		for _, c := range g.commits {
			c.start += len(m.entries)
			m.commits = append(m.commits, c)
		}
		maps.Copy(m.heads, g.heads)
		m.entries = append(m.entries, g.entries...)
		if g == last {
			return m
		}
	}
}

// decode returns the events of the entries with the given indexes. They share no memory with
// the group.
func (g *group) decode(indexes []int) ([]eventstore.Event, error) {
	events := make([]eventstore.Event, len(indexes))
	for i, j := range indexes {
		r, err := record.Decode(g.seed, g.position(j), g.entries[j].record)
		if err != nil {
			return nil, err
		}
		events[i] = r.Event
	}
	return events, nil
}
