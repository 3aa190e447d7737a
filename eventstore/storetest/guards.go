package storetest

import (
	"errors"
	"fmt"
	"math"

	"github.com/yore-es/yore/eventstore"
)

func guardRules() []rule {
	return []rule{
		{"event at After does not conflict, at After+1 it does", guardBoundary},
		{"After 0 means any match anywhere", guardAfterZero},
		{"After beyond the head holds", guardBeyondHead},
		{"events after After that do not match do not conflict", guardOthers},
		{"events of the commit itself do not conflict", guardOwnEvents},
		{"several guards are independent, the failing one is named", guardNamed},
		{"the first of two failing guards is named", guardFirstNamed},
		{"every guard has its own After", guardOwnAfter},
		{"a guard on a type", guardOn(byType("added"), 0, 1)},
		{"a guard on a tag", guardOn(byTag("sku:1"), 0, 2, 5, 6)},
		{"a guard on a stream", guardOn(eventstore.Stream("cart-2"), 1, 9)},
		{"a guard on a category", guardOn(eventstore.Category("cart"), 0, 1, 2, 4, 9)},
		{"a guard on types and tags together", guardOn(eventstore.Match(
			eventstore.Item{Types: []string{"added", "placed"}, Tags: []eventstore.Tag{"customer:1"}}), 0, 1, 6)},
		{"a guard on mixed items", guardOn(eventstore.Union(
			eventstore.Stream("cartoon-1"), eventstore.Category("car"), byType("noted"), byTag("sku:2")), 1, 3, 5, 6, 7, 8)},
		{"a guard on All", guardOn(eventstore.All(), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)},
		{"a conflict names the guard, and position and type of the first match", guardConflictSays},
		{"a guard and an expectation must both hold", guardAndExpectation},
		{"a failed guard writes nothing", guardWritesNothing},
		{"exactly one of two racing commits with overlapping guards wins", guardsOverlap},
		{"both of two racing commits with disjoint guards win", guardsDisjoint},
		{"write skew is impossible", writeSkew},
		{"a decision that reads, decides and appends under a guard is never wrong", lastSeats},
	}
}

func guardBoundary(h *harness) {
	log := h.seed(event("a", "x"), event("", "x", "t"), event("a", "x"))
	at := log[1].Position
	h.append(guarded(eventstore.Guard{Query: byTag("t"), After: at}))
	h.append(guarded(eventstore.Guard{Query: byTag("t"), After: at + 1}))
	conflict := h.conflicts(guarded(eventstore.Guard{Query: byTag("t"), After: at - 1}))
	h.equal("position of the conflict", at, conflict.Position)

	last := h.seed(event("", "x", "t"))[0]
	h.append(guarded(eventstore.Guard{Query: byTag("t"), After: last.Position}))
	conflict = h.conflicts(guarded(eventstore.Guard{Query: byTag("t"), After: last.Position - 1}))
	h.equal("position of the conflict", last.Position, conflict.Position)
	conflict = h.conflicts(guarded(eventstore.Guard{Query: byTag("t"), After: at}))
	h.equal("position of the conflict", last.Position, conflict.Position)
}

func guardAfterZero(h *harness) {
	h.append(guarded(eventstore.Guard{Query: byTag("t")}))
	h.append(guarded(eventstore.Guard{Query: eventstore.Stream("a")}))
	log := h.seed(event("a", "x", "t"))
	h.write(event("b", "x"))
	h.equal("position", log[0].Position, h.conflicts(guarded(eventstore.Guard{Query: byTag("t")})).Position)
	h.equal("position", log[0].Position, h.conflicts(guarded(eventstore.Guard{Query: eventstore.Stream("a")})).Position)
}

func guardBeyondHead(h *harness) {
	h.append(guarded(eventstore.Guard{Query: eventstore.All(), After: 1_000}))
	h.write(event("a", "x", "t"))
	for _, after := range []eventstore.Position{h.head() + 1, h.head() + 1_000_000, math.MaxUint64} {
		h.append(guarded(
			eventstore.Guard{Query: eventstore.All(), After: after},
			eventstore.Guard{Query: byTag("t"), After: after},
			eventstore.Guard{Query: eventstore.Stream("a"), After: after}))
	}
}

func guardOthers(h *harness) {
	log := h.seed(event("cart-1", "added", "sku:1"))
	after := log[0].Position
	h.bulk(1_000, func(i int) eventstore.NewEvent {
		return event(eventstore.StreamID(fmt.Sprintf("cartoon-%d", i%3)), "drawn", "sku:2")
	})
	for _, q := range []eventstore.Query{
		byTag("sku:1"), byType("added"), eventstore.Stream("cart-1"), eventstore.Category("cart"), byTag("sku:1", "sku:2"),
		eventstore.Match(eventstore.Item{Types: []string{"drawn"}, Tags: []eventstore.Tag{"sku:1"}}),
	} {
		h.append(guarded(eventstore.Guard{Query: q, After: after}))
	}
}

func guardOwnEvents(h *harness) {
	c := unconditional(event("a", "x", "t"), event("a", "x", "t"))
	c.Guards = []eventstore.Guard{
		{Query: byTag("t")}, {Query: byType("x")}, {Query: eventstore.Stream("a")}, {Query: eventstore.All()},
	}
	h.append(c)
	for i := range c.Guards {
		c.Guards[i].After = h.head()
	}
	h.append(c)
	h.conflicts(c)
}

func guardNamed(h *harness) {
	log := h.seed(event("a", "x", "t0"), event("a", "x", "t1"), event("a", "x", "t2"))
	for failing := range 3 {
		var guards []eventstore.Guard
		for i := range 3 {
			guards = append(guards, eventstore.Guard{Query: byTag(eventstore.Tag(fmt.Sprintf("t%d", i))), After: log[2].Position})
		}
		guards[failing].After = 0
		conflict := h.conflicts(guarded(guards...))
		h.equal("index of the failing guard", failing, conflict.GuardIndex)
		h.equal("position of the conflict", log[failing].Position, conflict.Position)
	}
}

func guardFirstNamed(h *harness) {
	log := h.seed(event("", "x", "early"), event("", "x", "late"))
	conflict := h.conflicts(guarded(
		eventstore.Guard{Query: byTag("absent")}, eventstore.Guard{Query: byTag("late")}, eventstore.Guard{Query: byTag("early")}))
	h.equal("index of the first failing guard", 1, conflict.GuardIndex)
	h.equal("position of the conflict", log[1].Position, conflict.Position)
}

func guardOwnAfter(h *harness) {
	log := h.seed(event("", "x", "t"), event("", "x", "u"))
	first, second := log[0].Position, log[1].Position
	h.append(guarded(eventstore.Guard{Query: byTag("t"), After: first}, eventstore.Guard{Query: byTag("u"), After: second}))
	conflict := h.conflicts(guarded(eventstore.Guard{Query: byTag("t"), After: second}, eventstore.Guard{Query: byTag("u"), After: first}))
	h.equal("index of the failing guard", 1, conflict.GuardIndex)
}

// guardOn is the rule that a guard on q conflicts with each of these events of the
// library until After reaches it, and with none after the last.
func guardOn(q eventstore.Query, indexes ...int) func(*harness) {
	return func(h *harness) {
		expected := pick(library(h), indexes...)
		after := eventstore.Position(0)
		for _, e := range expected {
			conflict := h.conflicts(guarded(eventstore.Guard{Query: q, After: after}))
			h.equal("position of the conflict", e.Position, conflict.Position)
			h.equal("type of the conflict", e.Type, conflict.Type)
			after = e.Position
		}
		h.append(guarded(eventstore.Guard{Query: q, After: after}))
	}
}

func guardConflictSays(h *harness) {
	log := h.seed(event("a", "1", "t"), event("a", "2", "t"), event("a", "3", "t"))
	guards := []eventstore.Guard{{Query: byTag("u")}, {Query: byTag("t"), After: log[0].Position}}
	c := expecting(eventstore.At(3), event("a", "x"))
	c.Guards = guards
	conflict := h.conflicts(c)
	if conflict.Guard == nil {
		h.Fatalf("conflict: expected the guard, found %+v", conflict)
	}
	h.equal("guard", guards[1], *conflict.Guard)
	conflict.Guard = nil
	h.equal("conflict", eventstore.ConflictError{GuardIndex: 1, Position: log[1].Position, Type: "2"}, conflict)
}

func guardAndExpectation(h *harness) {
	h.write(event("a", "x", "t"))
	c := expecting(eventstore.At(1), event("a", "x"))
	c.Guards = []eventstore.Guard{{Query: byTag("t")}}
	h.conflicts(c)
	c.Guards[0].After, c.Expect[0].At = h.head(), eventstore.At(0)
	h.conflicts(c)
	c.Expect[0].At = eventstore.At(1)
	h.append(c)
}

func guardWritesNothing(h *harness) {
	h.write(event("", "x", "t"))
	c := unconditional(event("a", "x"), event("b", "x"))
	c.Guards = []eventstore.Guard{{Query: byTag("absent")}, {Query: byTag("t")}}
	h.conflicts(c)
	h.append(expecting(eventstore.NoStream, event("a", "x")))
	h.append(expecting(eventstore.NoStream, event("b", "x")))
}

// booking is a commit that takes something that no other commit may take.
func booking(stream eventstore.StreamID, after eventstore.Position, tags ...eventstore.Tag) eventstore.Commit {
	c := unconditional(event(stream, "booked", tags...))
	for _, tag := range tags {
		c.Guards = append(c.Guards, eventstore.Guard{Query: byTag(tag), After: after})
	}
	return c
}

func guardsOverlap(h *harness) {
	for range 10 {
		after := h.head()
		h.equal("winners among three whose guards overlap", 1, h.race(
			booking("a", after, "seat:1", "seat:2"), booking("b", after, "seat:2", "seat:3"), booking("c", after, "seat:2", "seat:4")))
	}
}

func guardsDisjoint(h *harness) {
	for range 10 {
		after := h.head()
		h.equal("winners among three whose guards are disjoint", 3, h.race(
			booking("a", after, "seat:1"), booking("b", after, "seat:2"), booking("c", after, "seat:3")))
	}
}

// writeSkew races two commits. Each writes an event that the other one's guard forbids.
func writeSkew(h *harness) {
	h.write(event("", "on call", "alice"), event("", "on call", "bob"))
	for range 10 {
		after := h.head()
		alice := guarded(eventstore.Guard{Query: byTag("bob"), After: after})
		alice.Events[0].Tags = []eventstore.Tag{"alice"}
		bob := guarded(eventstore.Guard{Query: byTag("alice"), After: after})
		bob.Events[0].Tags = []eventstore.Tag{"bob"}
		h.equal("winners", 1, h.race(alice, bob))
	}
}

// lastSeats sells seats to concurrent buyers. Each reads how many seats are sold and
// buys while one is left. No seat may be sold twice.
func lastSeats(h *harness) {
	const buyers, seats = 4, 12
	sold := byType("sold")
	h.parallel(buyers, func(int) error {
		for {
			head, err := h.store.Head(h.ctx)
			if err != nil {
				return err
			}
			var taken []eventstore.Event
			if head > 0 {
				if taken, err = h.tryRead(h.ctx, sold, eventstore.ReadOptions{To: head}); err != nil {
					return err
				}
			}
			if len(taken) >= seats {
				return nil
			}
			c := guarded(eventstore.Guard{Query: sold, After: head})
			c.Events = []eventstore.NewEvent{event("", "sold", eventstore.Tag(fmt.Sprintf("seat:%d", len(taken))))}
			if _, err = h.try(c); err != nil && !errors.Is(err, eventstore.ErrConflict) {
				return err
			}
		}
	})
	log := h.read(sold, everything)
	h.equal("seats sold", seats, len(log))
	for i, e := range log {
		h.equal("tags", []eventstore.Tag{eventstore.Tag(fmt.Sprintf("seat:%d", i))}, e.Tags)
	}
}
