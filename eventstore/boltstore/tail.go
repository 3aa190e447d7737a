package boltstore

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// group is what one transaction of the writer appended: commits in their
// order. Once published it never changes.
type group struct {
	first    eventstore.Position // of its first event
	through  eventstore.Position // of its last event; first-1 while it has none
	recorded time.Time           // of its last commit
	entries  []entry
	commits  []span
	heads    map[eventstore.StreamID]eventstore.Version // of the streams written
	keys     map[string]int                             // index in commits
	bytes    int                                        // of the records
	views    map[eventstore.ViewID]*viewChange          // what it does to views
	spared   map[eventstore.ViewID]error                // what it does not do, and why
	slices   []*indexWrite                              // what it does to the index
	batches  []*batch                                   // the jobs that it consists of
	indexed  func(durable bool)                         // ends what indexGroup has begun

	terms termIndex

	next  atomic.Pointer[group] // set when the next group is published
	ready chan struct{}         // closed when next is set
}

// span is the place of a commit in its group's entries.
type span struct {
	start, n int
	recorded time.Time
}

// newGroup returns an empty group that follows a position.
func newGroup(after eventstore.Position, recorded time.Time) *group {
	return &group{first: after + 1, through: after, recorded: recorded, ready: make(chan struct{})}
}

// weight is what the group counts for in the tail; at least one, so that groups
// without events do not pile up.
func (g *group) weight() int { return max(1, len(g.entries)) }

// add appends a request that has been judged to the group, and returns its
// receipt. It brings the request's versions up to date.
func (g *group) add(r *request) eventstore.Receipt {
	g.recorded = later(g.recorded, r.recorded)
	commit := span{start: len(g.entries), n: len(r.entries), recorded: g.recorded}
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
		record.Seal(e.record, g.through, e.version, g.recorded)
	}
	g.entries = append(g.entries, r.entries...)
	g.commits = append(g.commits, commit)
	g.bytes += r.bytes
	return g.receipt(len(g.commits) - 1)
}

// later returns the later of two times, as a record can hold it.
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
	b.receipt.Recorded = commit.recorded
	return b.receipt
}

// position returns the position of the group's i-th entry.
func (g *group) position(i int) eventstore.Position { return g.first + eventstore.Position(i) }

// commitOf returns the index of the commit that wrote the entry.
func (g *group) commitOf(entry int) int {
	after := sort.Search(len(g.commits), func(i int) bool { return g.commits[i].start > entry })
	return after - 1
}

// sighting returns the group's i-th entry as one.
func (g *group) sighting(i int) sighting {
	return sighting{position: g.position(i), eventType: g.entries[i].kind, id: g.entries[i].id}
}

// recent is the past that came after what a request's caller judged it against:
// groups that have been published since, and one more, the one that is being
// formed.
type recent struct {
	expect    []eventstore.Expect
	versions  []eventstore.Version // before these groups, of each expectation's stream
	published *group               // the first of them, or nil
	more      *group
}

// first returns the first group.
func (p *recent) first() *group { return cmp.Or(p.published, p.more) }

// after returns the group that follows another, or nil.
func (p *recent) after(g *group) *group {
	if g == p.more {
		return nil
	}
	return cmp.Or(g.next.Load(), p.more)
}

// merge returns groups that follow each other, up to the last one, as one to be
// judged against.
func merge(g, last *group) *group {
	m := newGroup(g.first-1, time.Time{})
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

func (p *recent) byKey(key string) (eventstore.Receipt, bool, error) {
	for g := p.first(); g != nil; g = p.after(g) {
		if i, ok := g.keys[key]; ok {
			return g.receipt(i), true, nil
		}
	}
	return eventstore.Receipt{}, false, nil
}

func (p *recent) version(i int) (eventstore.Version, error) {
	v := p.versions[i]
	for g := p.first(); g != nil; g = p.after(g) {
		if head, ok := g.heads[p.expect[i].Stream]; ok {
			v = head
		}
	}
	return v, nil
}

func (p *recent) event(i int, v eventstore.Version) (sighting, error) {
	stream := p.expect[i].Stream
	for g := p.first(); g != nil; g = p.after(g) {
		for j := range g.entries {
			if e := &g.entries[j]; e.version == v && e.stream == stream {
				return g.sighting(j), nil
			}
		}
	}
	return sighting{}, nil
}

func (p *recent) firstMatch(q eventstore.Query, after eventstore.Position) (sighting, error) {
	for g := p.first(); g != nil; g = p.after(g) {
		if i := g.firstMatch(q, after); i >= 0 {
			return g.sighting(i), nil
		}
	}
	return sighting{}, nil
}

func (p *recent) commit(s sighting) ([]uuid.UUID, eventstore.Receipt, error) {
	g := p.first()
	for s.position > g.through {
		g = p.after(g)
	}
	i := g.commitOf(int(s.position - g.first))
	commit := g.commits[i]
	ids := make([]uuid.UUID, commit.n)
	for j := range ids {
		ids[j] = g.entries[commit.start+j].id
	}
	return ids, g.receipt(i), nil
}

// How much the tail keeps for followers. Groups are dropped whole, the oldest
// first.
const (
	tailEvents = 8192
	tailBytes  = 8 << 20
)

// tail is the end of the log in memory: the last group, whose end is the head,
// and a bounded number of groups before it, from which followers at the head
// read without touching the disk.
//
// A published group is linked from the one before it, and waking is a
// broadcast: whoever waits at the head waits for its group's ready channel.
// Who holds a group can reach all later ones, so followers must not hold one
// while their user's code runs; they come back with a position.
type tail struct {
	newest  atomic.Pointer[group] // the last of groups
	waiting atomic.Int32          // followers, and others, that wait for the next one

	mu     sync.RWMutex
	groups []*group // consecutive; the last one's end is the head
	events int      // in groups
	bytes  int
}

func newTail(head eventstore.Position, recorded time.Time) *tail {
	g := newGroup(head, recorded)
	t := &tail{groups: []*group{g}}
	t.newest.Store(g)
	return t
}

// last returns the group at the end of the log.
func (t *tail) last() *group { return t.newest.Load() }

func (t *tail) stats() TailStats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return TailStats{Head: t.groups[len(t.groups)-1].through, Events: t.events, Bytes: t.bytes}
}

// publish makes a durable group visible, and wakes the followers. It reports whether
// there were any.
func (t *tail) publish(g *group) (woke bool) {
	previous := t.last()
	previous.next.Store(g)
	t.mu.Lock()
	t.groups = append(t.groups, g)
	t.events += g.weight()
	t.bytes += g.bytes
	for len(t.groups) > 1 && (t.events > tailEvents || t.bytes > tailBytes) {
		t.events -= t.groups[0].weight()
		t.bytes -= t.groups[0].bytes
		t.groups[0] = nil
		t.groups = t.groups[1:]
	}
	t.newest.Store(g)
	t.mu.Unlock()
	close(previous.ready)
	return t.waiting.Load() > 0
}

// after returns groups that hold the events after a position, at most n of
// them, and whether the tail reaches back that far.
func (t *tail) after(p eventstore.Position, n int) ([]*group, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p+1 < t.groups[0].first {
		return nil, false
	}
	i := sort.Search(len(t.groups), func(i int) bool { return t.groups[i].through > p })
	return slices.Clone(t.groups[i:min(i+n, len(t.groups))]), true
}
