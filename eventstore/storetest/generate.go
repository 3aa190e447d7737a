package storetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// The names that a run draws from. They are few, so that they repeat, and similar.
var (
	modelStreams = []eventstore.StreamID{
		"cart-1", "cart-2", "cart", "cartoon-1", "order-1-x", "order-2", "a b/%",
		"cart-10", "Cart-1", "order", "order-1", "caf\u00e9-1", "cafe\u0301-1",
	}
	modelCategories = []string{"cart", "cartoon", "order", "a b/%", "car"}
	modelTypes      = []string{"added", "removed", "placed", "noted"}
	modelTags       = []eventstore.Tag{"sku:1", "sku:2", "sku:3", "customer:1", "customer:2"}
)

// chance is true with a probability in percent.
func (m *model) chance(percent int) bool { return m.rnd.IntN(100) < percent }

// some returns up to most of the names, in random order.
func some[T any](m *model, names []T, most int) []T {
	var picked []T
	for range m.rnd.IntN(most + 1) {
		picked = append(picked, names[m.rnd.IntN(len(names))])
	}
	return picked
}

// position returns a position of the log, 0, or one a little beyond the head.
func (m *model) position() eventstore.Position {
	switch n := m.rnd.IntN(100); {
	case n < 25:
		return m.last()
	case n < 30:
		return m.last() + 1 + eventstore.Position(m.rnd.IntN(3))
	default:
		return eventstore.Position(m.rnd.Uint64N(uint64(m.last()) + 1))
	}
}

func (m *model) query() eventstore.Query {
	if m.chance(15) {
		return eventstore.All()
	}
	var items []eventstore.Item
	for range 1 + m.rnd.IntN(3) {
		var item eventstore.Item
		for item.String() == (eventstore.Item{}).String() {
			item = eventstore.Item{
				Streams: some(m, modelStreams, 2), Categories: some(m, modelCategories, 1),
				Types: some(m, modelTypes, 2), Tags: some(m, modelTags, 2),
			}
			if m.chance(50) {
				item.Streams = nil
			}
			if m.chance(50) {
				item.Categories = nil
			}
		}
		items = append(items, item)
	}
	return eventstore.Match(items...)
}

// everyStream returns queries for all streams, and for some without events.
func (m *model) everyStream() []eventstore.Query {
	queries := []eventstore.Query{eventstore.Stream("never written"), eventstore.Category("car"), eventstore.Category("cart")}
	for _, stream := range slices.Sorted(maps.Keys(m.versions)) {
		queries = append(queries, eventstore.Stream(stream))
	}
	return queries
}

// newCommit returns a commit whose conditions mostly hold.
func (m *model) newCommit() eventstore.Commit {
	n := 1 + m.rnd.IntN(4)
	if m.chance(1) {
		n = min(200+m.rnd.IntN(1_000), m.h.store.Info().Limits.EventsPerCommit)
	}
	var c eventstore.Commit
	for range n {
		c.Events = append(c.Events, m.newEvent())
	}
	if m.chance(40) {
		for i := range c.Events {
			c.Events[i].ID = m.newID()
		}
	}
	c.Expect = m.expectations(c.Events)
	for range max(0, m.rnd.IntN(5)-2) {
		g := eventstore.Guard{Query: m.query(), After: m.last()}
		if m.chance(40) {
			g.After = m.position()
		}
		c.Guards = append(c.Guards, g)
	}
	if m.chance(25) {
		c.Key = fmt.Sprintf("key %d", m.rnd.IntN(40))
	}
	if m.chance(4) {
		m.spoilCommit(&c)
	}
	return c
}

// newID returns an id that depends on the seed only.
func (m *model) newID() uuid.UUID {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(m.rnd.Uint32())
	}
	id[0] |= 1 // never the zero UUID
	return id
}

func (m *model) newEvent() eventstore.NewEvent {
	e := eventstore.NewEvent{
		Type: modelTypes[m.rnd.IntN(len(modelTypes))], Tags: some(m, modelTags, 3),
		SchemaVersion: uint32(m.rnd.IntN(3)), Data: make([]byte, m.rnd.IntN(40)),
	}
	if m.chance(85) {
		e.Stream = modelStreams[m.rnd.IntN(len(modelStreams))]
	}
	if m.chance(1) {
		e.Data = make([]byte, m.rnd.IntN(min(200_000, m.h.store.Info().Limits.PayloadBytes)))
	}
	for i := range e.Data {
		e.Data[i] = byte(m.rnd.Uint32())
	}
	if m.chance(30) {
		e.Metadata = eventstore.Metadata{"actor": fmt.Sprint(m.rnd.IntN(100)), "empty": ""}
		e.Codec = "json"
	}
	if m.chance(20) {
		e.Time = time.Unix(m.rnd.Int64N(1<<33)-1<<32, m.rnd.Int64N(1e9)).UTC()
	}
	return e
}

// expectations returns one for every stream written, and sometimes one for another.
func (m *model) expectations(events []eventstore.NewEvent) []eventstore.Expect {
	var expect []eventstore.Expect
	seen := map[eventstore.StreamID]bool{"": true}
	other := eventstore.NewEvent{Stream: modelStreams[m.rnd.IntN(len(modelStreams))]}
	if m.chance(85) {
		other.Stream = ""
	}
	for _, e := range append([]eventstore.NewEvent{other}, events...) {
		if seen[e.Stream] {
			continue
		}
		seen[e.Stream] = true
		actual := m.versions[e.Stream]
		at := []eventstore.Expectation{eventstore.At(actual), eventstore.Any}[m.rnd.IntN(2)]
		if actual > 0 && m.chance(10) {
			at = eventstore.Exists
		}
		if m.chance(10) {
			wrong := []eventstore.Expectation{eventstore.NoStream, eventstore.Exists, eventstore.At(actual + 1), eventstore.At(actual / 2)}
			at = wrong[m.rnd.IntN(len(wrong))]
		}
		expect = append(expect, eventstore.Expect{Stream: e.Stream, At: at})
	}
	return expect
}

// spoilCommit makes the commit invalid.
func (m *model) spoilCommit(c *eventstore.Commit) {
	last := &c.Events[len(c.Events)-1]
	switch m.rnd.IntN(7) {
	case 0:
		last.Type = ""
	case 1:
		last.Tags = []eventstore.Tag{"a\x00b"}
	case 2:
		last.Stream = "-dash"
	case 3:
		c.Expect = append(c.Expect, eventstore.Expect{Stream: "cart-9"})
	case 4:
		c.Guards = append(c.Guards, eventstore.Guard{})
	case 5:
		c.Key = strings.Repeat("k", 256)
	default:
		c.Events = nil
	}
}

// oldCommit returns a commit that was sent before, as it was or with a small change.
func (m *model) oldCommit() eventstore.Commit {
	if len(m.sent) == 0 {
		return m.newCommit()
	}
	c := m.sent[m.rnd.IntN(len(m.sent))]
	c.Events = slices.Clone(c.Events)
	if m.chance(30) {
		c.Key = ""
	}
	if len(c.Events) == 0 {
		return c
	}
	switch m.rnd.IntN(8) {
	case 0:
		c.Events[m.rnd.IntN(len(c.Events))].ID = m.newID()
	case 1:
		c.Events = c.Events[:1+m.rnd.IntN(len(c.Events))]
	case 2:
		slices.Reverse(c.Events)
	case 3:
		c.Guards = append(slices.Clone(c.Guards), eventstore.Guard{Query: m.query()})
	}
	return c
}

// sayCommit formats a commit in one line.
func sayCommit(c eventstore.Commit) string {
	var b strings.Builder
	for i, e := range c.Events {
		if i == 6 {
			fmt.Fprintf(&b, "… %d events; ", len(c.Events))
			break
		}
		fmt.Fprintf(&b, "%q %s %q", e.Stream, e.Type, e.Tags)
		if e.ID != uuid.Nil {
			fmt.Fprintf(&b, " id %.8s", e.ID)
		}
		b.WriteString("; ")
	}
	if c.Key != "" {
		fmt.Fprintf(&b, "key %.20q; ", c.Key)
	}
	for _, x := range c.Expect {
		fmt.Fprintf(&b, "%q at %v; ", x.Stream, x.At)
	}
	for _, g := range c.Guards {
		fmt.Fprintf(&b, "guard (%v) after %d; ", g.Query, g.After)
	}
	return strings.TrimSuffix(b.String(), "; ")
}
