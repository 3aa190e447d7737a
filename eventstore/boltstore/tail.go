package boltstore

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
)

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
