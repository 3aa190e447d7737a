package linear

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// The names that clients use. They are few, so that calls meet.
var (
	streams    = []string{"cart-1", "cart-2", "order-1"}
	categories = []string{"cart", "order"}
	types      = []string{"added", "placed"}
	tags       = []string{"x", "y", "z"}
)

const keys = 12 // number of different keys

// target is the store of a segment, as clients call it.
type target interface {
	do(ctx context.Context, c *call) answer
}

// known is the clients' knowledge of the log in a segment. It is a little behind, as the
// knowledge of a client always is.
type known struct {
	mu       sync.Mutex
	head     uint64
	versions map[string]uint64
	sent     []*commit // the latest commits that may be sent again
}

func newKnown() *known { return &known{versions: make(map[string]uint64)} }

// learn takes over what an answer tells.
func (k *known) learn(a *answer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.head = max(k.head, a.Head, a.Receipt.Last)
	for _, h := range a.Receipt.Heads {
		k.versions[h.Stream] = max(k.versions[h.Stream], h.Version)
	}
	if a.Conflict != nil {
		k.versions[a.Conflict.Stream] = max(k.versions[a.Conflict.Stream], a.Conflict.Actual)
	}
}

// look returns the known head and the known version of a stream.
func (k *known) look(stream string) (head, version uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.head, k.versions[stream]
}

// keep remembers a commit as one that may be sent again.
func (k *known) keep(c *commit) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sent = append(k.sent, c); len(k.sent) > 6 {
		k.sent = k.sent[1:]
	}
}

// again returns one of the latest commits that may be sent again, or nil.
func (k *known) again(random *rand.Rand) *commit {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.sent) == 0 {
		return nil
	}
	return k.sent[random.IntN(len(k.sent))]
}

// client makes calls.
type client struct {
	id     int
	random *rand.Rand
	known  *known
	events uint32 // made so far
}

// next returns the client's next call.
func (c *client) next() *call {
	switch n := c.random.IntN(100); {
	case n < 60:
		return &call{Kind: appendCall, Commit: c.commit()}
	case n < 80:
		return c.read()
	case n < 87:
		return &call{Kind: headCall}
	case n < 93:
		return &call{Kind: lookupCall, Key: c.key()}
	default:
		return &call{Kind: followCall, Query: c.query(), From: c.position()}
	}
}

func (c *client) chance(percent int) bool { return c.random.IntN(100) < percent }

func pick[T any](c *client, from []T) T { return from[c.random.IntN(len(from))] }

func (c *client) key() string { return fmt.Sprintf("key %d", c.random.IntN(keys)) }

// position returns one up to the known head.
func (c *client) position() uint64 {
	head, _ := c.known.look("")
	if c.chance(50) {
		return head
	}
	return c.random.Uint64N(head + 1)
}

func (c *client) read() *call {
	r := &call{Kind: readCall, Query: c.query(), Backward: c.chance(40)}
	if c.chance(50) {
		r.From = c.position()
	}
	if c.chance(20) {
		r.To = c.position()
	}
	if c.chance(30) {
		r.Limit = 1 + c.random.IntN(4)
	}
	return r
}

func (c *client) query() query {
	if c.chance(30) {
		return nil
	}
	var q query
	for range 1 + c.random.IntN(2) {
		switch c.random.IntN(5) {
		case 0:
			q = append(q, item{Stream: pick(c, streams)})
		case 1:
			q = append(q, item{Category: pick(c, categories), Type: pick(c, types)})
		case 2:
			q = append(q, item{Type: pick(c, types), Tag: pick(c, tags)})
		default:
			q = append(q, item{Tag: pick(c, tags)})
		}
	}
	return q
}

// commit returns a new commit, or one that this or another client has sent.
func (c *client) commit() *commit {
	if c.chance(12) {
		if sent := c.known.again(c.random); sent != nil {
			return sent
		}
	}
	made := c.newCommit()
	if landsOnce(made) {
		c.known.keep(made)
	}
	return made
}

func (c *client) newCommit() *commit {
	made := &commit{}
	if c.chance(15) {
		made.Key = c.key()
	}
	for range 1 + max(0, c.random.IntN(5)-2) {
		made.Events = append(made.Events, c.newEvent())
	}
	for _, e := range made.Events {
		if e.Stream != "" && !expects(made, e.Stream) {
			made.Expect = append(made.Expect, expect{e.Stream, c.expectation(e.Stream)})
		}
	}
	if other := pick(c, streams); c.chance(10) && !expects(made, other) {
		made.Expect = append(made.Expect, expect{other, c.expectation(other)})
	}
	for range max(0, c.random.IntN(5)-2) {
		made.Guards = append(made.Guards, guard{c.query(), c.position()})
	}
	return made
}

func (c *client) newEvent() event {
	c.events++
	e := event{ID: uint32(c.id)<<24 | c.events, Type: pick(c, types)}
	if c.chance(75) {
		e.Stream = pick(c, streams)
	}
	for _, tag := range tags {
		if c.chance(30) {
			e.Tags = append(e.Tags, tag)
		}
	}
	return e
}

func (c *client) expectation(stream string) eventstore.Expectation {
	_, version := c.known.look(stream)
	switch n := c.random.IntN(20); {
	case n < 10:
		return eventstore.At(eventstore.Version(version))
	case n < 15:
		return eventstore.Any
	case n < 18:
		return eventstore.Exists
	case n < 19:
		return eventstore.NoStream
	default:
		return eventstore.At(eventstore.Version(version + 1))
	}
}

func expects(c *commit, stream string) bool {
	return slices.ContainsFunc(c.Expect, func(x expect) bool { return x.Stream == stream })
}

// landsOnce reports whether a commit can be in the log only once, however often it
// is sent: because of its key, or of an expectation that its own events break.
func landsOnce(c *commit) bool {
	return c.Key != "" || slices.ContainsFunc(c.Events, func(e event) bool {
		return slices.ContainsFunc(c.Expect, func(x expect) bool { return x.Stream == e.Stream && x.At >= eventstore.NoStream })
	})
}
