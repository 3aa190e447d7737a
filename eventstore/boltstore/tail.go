package boltstore

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

// The bounds of the tail. The oldest groups are dropped, whole.
const (
	tailEvents = 8192
	tailBytes  = 8 << 20
)

// tail is the end of the log in memory: the last group, which ends at the head, and a
// bounded number of groups before it. Followers at the head read from it without touching
// the disk.
//
// A published group is linked from the group before it. Waking is a broadcast: a goroutine
// that waits at the head waits for the ready channel of the last group. A group keeps all
// later ones in memory, so followers must not refer to a group while the user's code runs;
// they remember a position instead.
type tail struct {
	newest  atomic.Pointer[group] // the last of groups
	waiting atomic.Int32          // followers and others that wait for the next group

	mu     sync.RWMutex
	groups []*group // consecutive; the last one ends at the head
	events int      // the weight of groups
	bytes  int      // of groups
}

// newTail returns a tail that begins with an empty group.
func newTail(g *group) *tail {
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

// publish makes a durable group visible and wakes the waiting followers. It reports whether
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

// after returns at most n groups, beginning with the one that has the event after p, and
// whether the tail reaches back that far.
func (t *tail) after(p eventstore.Position, n int) ([]*group, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if p+1 < t.groups[0].first {
		return nil, false
	}
	i := sort.Search(len(t.groups), func(i int) bool { return t.groups[i].through > p })
	return slices.Clone(t.groups[i:min(i+n, len(t.groups))]), true
}
