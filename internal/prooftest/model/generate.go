package model

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// The names that a run draws from. They are few, so that they repeat, and similar.
var (
	streams = []eventstore.StreamID{
		"cart-1", "cart-10", "cart", "cartoon-1", "order-1-x", "order", "Cart-1", "a b/%", "caf\u00e9-1", "cafe\u0301-1",
	}
	categories = []string{"cart", "cartoon", "order", "a b/%", "car"}
	types      = []string{"added", "removed", "placed", "noted"}
	tags       = []eventstore.Tag{"sku:1", "sku:2", "sku:10", "customer:1"}
	tables     = []string{"t", "T", "latest"}
	rowKeys    = []string{"\x00", "a", "a\x00", "aa", "b", "\xff", "\xff\xff"}
)

const (
	maxFollowers = 3
	keepSent     = 30
)

// generator makes steps, which depend on the outcome of earlier steps.
type generator struct {
	*rand.Rand
	pair *pair

	clock    time.Time
	made     uint64 // steps
	learned  int    // commits
	versions map[eventstore.StreamID]eventstore.Version
	head     eventstore.Position
	recorded []time.Time // of the commits
	sent     []commit
	keys     []string
}

func newGenerator(random *rand.Rand, p *pair) *generator {
	return &generator{
		Rand: random, pair: p, clock: time.Unix(1_700_000_000, 0).UTC(),
		versions: make(map[eventstore.StreamID]eventstore.Version),
	}
}

// learn takes over the accepted commits. There may be fewer of them than before.
func (g *generator) learn(log []accepted) {
	if len(log) < g.learned {
		g.learned, g.head = 0, 0
		clear(g.versions)
	}
	for _, a := range log[g.learned:] {
		g.head = a.receipt.Last
		g.recorded = append(g.recorded, a.receipt.Recorded)
		for _, h := range a.receipt.Heads {
			g.versions[h.Stream] = h.Version
		}
	}
	g.learned = len(log)
}

// next returns the next step.
func (g *generator) next() step {
	s := g.choose()
	g.made++
	s.IDs = g.made
	g.clock = g.clock.Add(time.Duration(g.IntN(1_000_000)-100_000) * time.Microsecond)
	s.Recorded = g.clock
	return s
}

func (g *generator) choose() step {
	switch n := g.IntN(1000); {
	case n < 300:
		return step{Do: doAppend, Commit: g.newCommit()}
	case n < 380:
		return step{Do: doAppend, Commit: g.oldCommit()}
	case n < 420:
		return step{Do: doLookup, Key: g.key()}
	case n < 550:
		return step{Do: doRead, Query: g.query(), Read: g.options()}
	case n < 560:
		return step{Do: doHead}
	case n < 565:
		return step{Do: doInfo}
	case n < 600:
		return step{Do: doFollow, Query: g.query(), After: g.position()}
	case n < 620:
		return step{Do: doBegin, Query: g.query(), After: g.position(), Number: g.IntN(maxFollowers)}
	case n < 660:
		return step{Do: doGoOn, Number: g.IntN(maxFollowers)}
	case n < 935:
		return g.chooseRows()
	default:
		return g.chooseLife()
	}
}

func (g *generator) chooseRows() step {
	view := pick(g, viewIDs)
	switch n := g.IntN(100); {
	case n < 40:
		return step{Do: doCommitRows, Rows: g.rowCommit(view)}
	case n < 55:
		return step{Do: doGetRows, View: view, RowKeys: g.rowKeys()}
	case n < 78:
		return step{Do: doScanRows, View: view, RowScan: g.rowScan()}
	case n < 84:
		return step{Do: doCheckpoints}
	case n < 90:
		return step{Do: doDropRows, View: view, Number: 1 + g.IntN(6)}
	default:
		return step{Do: doAttach, View: viewIDs[len(viewIDs)-1-g.IntN(2)]}
	}
}

// chooseLife returns a step about the file. Most of these steps close the store.
func (g *generator) chooseLife() step {
	switch n := g.IntN(100); {
	case n < 30:
		return step{Do: doReopen}
	case n < 40:
		return step{Do: doVerify}
	case n < 47:
		return step{Do: doCompact}
	case n < 50:
		return step{Do: doSalvage}
	case n < 55:
		return step{Do: doRebuild, Number: g.IntN(2)}
	case n < 65:
		return step{Do: doBackup, Number: g.IntN(2)}
	case n < 70:
		return step{Do: doRestore}
	case n < 77:
		return step{Do: doImport, Number: g.IntN(2) * g.IntN(int(g.head)+1)}
	case n < 87:
		return step{Do: doCloseInRead, Query: g.query(), Read: g.options(), Number: g.IntN(20)}
	default:
		return step{
			Do: doCallClosed, Commit: g.newCommit(), Key: g.key(), Query: g.query(), Read: g.options(),
			View: pick(g, viewIDs), RowKeys: g.rowKeys(), RowScan: g.rowScan(), Number: 1,
		}
	}
}

// chance is true with a probability in percent.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// some returns up to most of the names, in random order.
func some[T any](g *generator, names []T, most int) (picked []T) {
	for range g.IntN(most + 1) {
		picked = append(picked, pick(g, names))
	}
	return picked
}

// position returns a position of the log, 0, or one a little beyond the head.
func (g *generator) position() eventstore.Position {
	switch n := g.IntN(100); {
	case n < 30:
		return g.head
	case n < 34:
		return g.head + 1 + eventstore.Position(g.IntN(3))
	default:
		return eventstore.Position(g.Uint64N(uint64(g.head) + 1))
	}
}

func (g *generator) key() string {
	if len(g.keys) > 0 && g.chance(70) {
		return pick(g, g.keys)
	}
	return fmt.Sprintf("key %d", g.IntN(60))
}

func (g *generator) query() query {
	if g.chance(15) {
		return query{All: true}
	}
	if g.chance(1) {
		return query{}
	}
	var q query
	for range 1 + g.IntN(3) {
		it := eventstore.Item{Types: some(g, types, 2), Tags: some(g, tags, 2)}
		if g.chance(50) {
			it.Streams = some(g, streams, 3)
		}
		if g.chance(40) {
			it.Categories = some(g, categories, 2)
		}
		if len(it.Types)+len(it.Tags)+len(it.Streams)+len(it.Categories) == 0 {
			it.Streams = []eventstore.StreamID{pick(g, streams)}
		}
		q.Items = append(q.Items, it)
	}
	return q
}

func (g *generator) options() *eventstore.ReadOptions {
	o := &eventstore.ReadOptions{Backward: g.chance(40)}
	if g.chance(40) {
		o.From = g.position()
	}
	if g.chance(40) {
		o.To = g.position()
	}
	if g.chance(40) {
		o.Limit = 1 + g.IntN(10)
	}
	if len(g.recorded) > 0 && g.chance(20) {
		o.AsOf = pick(g, g.recorded).Add(time.Duration(g.IntN(3) - 1))
	}
	if g.chance(2) {
		o.Limit = -1
	}
	return o
}

// newCommit returns a commit whose conditions mostly hold.
func (g *generator) newCommit() *commit {
	n := 1 + g.IntN(4)
	most := 60
	switch {
	case g.chance(1):
		n = 250 + g.IntN(300) // more than a page of a read, more than a batch
	case g.chance(4):
		n, most = 6+g.IntN(12), 3000 // packs of a few records
	}
	c := &commit{}
	withIDs := g.chance(40)
	for range n {
		e := g.newEvent(most)
		if withIDs {
			e.ID = g.newID()
		}
		c.Events = append(c.Events, e)
	}
	c.Expect = g.expectations(c.Events)
	for range max(0, g.IntN(5)-2) {
		c.Guards = append(c.Guards, guard{g.query(), max(g.position(), g.position())})
	}
	if g.chance(25) {
		c.Key = g.key()
	}
	if g.chance(4) {
		g.spoil(c)
	}
	if g.keys = append(g.keys, c.Key); c.Key == "" || len(c.Key) > 255 {
		g.keys = g.keys[:len(g.keys)-1]
	}
	if g.sent = append(g.sent, *c); len(g.sent) > keepSent {
		g.sent = g.sent[1:]
	}
	return c
}

func (g *generator) newID() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(g.Uint32())
	}
	id[0] = id[0]&0x7f | 1 // never the zero UUID, and never an id that NewID returns
	return id
}

// newEvent returns an event with a payload of mostly less than most bytes.
func (g *generator) newEvent(most int) eventstore.NewEvent {
	e := eventstore.NewEvent{Type: pick(g, types), Tags: some(g, tags, 3), SchemaVersion: uint32(g.IntN(3)), Data: []byte{}}
	if g.chance(85) {
		e.Stream = pick(g, streams)
	}
	size := g.IntN(most)
	if g.IntN(1000) < 3 {
		size = g.IntN(700_000)
	}
	if size == 7 || size == 8 {
		size *= 1 + g.IntN(3) // the poisoned view should live for a while
	}
	e.Data = make([]byte, size)
	for i := 0; i < size; i += 1 + size/100 {
		e.Data[i] = byte(g.Uint32())
	}
	if g.chance(30) {
		e.Metadata = eventstore.Metadata{"actor": fmt.Sprint(g.IntN(100)), "empty": ""}
		e.Codec = "json"
	}
	if g.chance(20) {
		e.Time = time.Unix(g.Int64N(1<<33)-1<<32, g.Int64N(1e9)).UTC()
	}
	return e
}

// expectations returns one for every stream written, and sometimes one for another.
func (g *generator) expectations(events []eventstore.NewEvent) (expect []eventstore.Expect) {
	seen := map[eventstore.StreamID]bool{"": true}
	if g.chance(15) {
		events = append([]eventstore.NewEvent{{Stream: pick(g, streams)}}, events...)
	}
	for _, e := range events {
		if seen[e.Stream] {
			continue
		}
		seen[e.Stream] = true
		actual := g.versions[e.Stream]
		at := []eventstore.Expectation{eventstore.At(actual), eventstore.Any}[g.IntN(2)]
		if actual > 0 && g.chance(10) {
			at = eventstore.Exists
		}
		if g.chance(8) {
			at = pick(g, []eventstore.Expectation{
				eventstore.NoStream, eventstore.Exists, eventstore.At(actual + 1), eventstore.At(actual / 2), eventstore.At(1 << 63),
			})
		}
		expect = append(expect, eventstore.Expect{Stream: e.Stream, At: at})
	}
	return expect
}

// spoil makes the commit invalid.
func (g *generator) spoil(c *commit) {
	last := &c.Events[len(c.Events)-1]
	switch g.IntN(7) {
	case 0:
		last.Type = ""
	case 1:
		last.Tags = []eventstore.Tag{"a\x00b"}
	case 2:
		last.Stream = "-dash"
	case 3:
		c.Expect = append(c.Expect, eventstore.Expect{Stream: "cart-9"})
	case 4:
		c.Guards = append(c.Guards, guard{})
	case 5:
		c.Key = strings.Repeat("k", 256)
	default:
		c.Events = nil
	}
}

// oldCommit returns a commit that was sent before, as it was or with a small change.
func (g *generator) oldCommit() *commit {
	if len(g.sent) == 0 {
		return g.newCommit()
	}
	c := pick(g, g.sent)
	c.Events = append([]eventstore.NewEvent{}, c.Events...)
	if g.chance(30) {
		c.Key = ""
	}
	if len(c.Events) == 0 {
		return &c
	}
	switch g.IntN(8) {
	case 0:
		c.Events[g.IntN(len(c.Events))].ID = g.newID()
	case 1:
		c.Events = c.Events[:1+g.IntN(len(c.Events))]
	case 2:
		c.Events[0], c.Events[len(c.Events)-1] = c.Events[len(c.Events)-1], c.Events[0]
	case 3:
		c.Guards = append([]guard{{Query: g.query()}}, c.Guards...)
	}
	return &c
}
