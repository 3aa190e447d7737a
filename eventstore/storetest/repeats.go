package storetest

import (
	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

func repeatRules() []rule {
	return []rule{
		{"ids again under an expectation that their own events break are a repeat", repeatExpectation},
		{"ids again under a guard that their own events break are a repeat", repeatGuard},
		{"ids again are a repeat also when foreign events came after them", repeatAfterForeign},
		{"ids again are a repeat also after reopening", repeatReopened},
		{"ids again return the heads of the first time", repeatHeads},
		{"ids again are a repeat when any failed condition was broken by them", repeatAnyCondition},
		{"ids again are found from an event in the middle of their commit", repeatFromMiddle},
		{"ids again of a commit that had a key are a repeat without it", repeatWithoutKey},
		{"ids again under another key are a conflict", idsUnderOtherKey},
		{"ids again after a foreign event broke the condition first are a conflict", foreignFirst},
		{"partly equal ids are a conflict", partlyEqual},
		{"fewer or more of the same ids are a conflict", fewerOrMore},
		{"the same ids in another order are a conflict", otherOrder},
		{"events without ids are never a repeat", withoutIDs},
		{"an unconditional re-send without a key lands twice", unconditionalTwice},
		{"a re-send conditioned on other events lands twice", otherConditionTwice},
	}
}

// resendable is a commit with ids whose condition its own events break.
func resendable() eventstore.Commit {
	return expecting(eventstore.NoStream, withIDs(event("a", "1"), event("a", "2"), event("a", "3"))...)
}

func repeatExpectation(h *harness) {
	h.write(event("b", "x"))
	c := resendable()
	first := h.append(c)
	h.repeats(c, first)
	h.repeats(c, first)

	c = expecting(eventstore.At(3), withIDs(event("a", "x"))...)
	h.repeats(c, h.append(c))
	h.equal("number of events", 5, len(h.all()))
}

func repeatGuard(h *harness) {
	h.write(event("", "x", "t"))
	c := guarded(eventstore.Guard{Query: byTag("t"), After: h.head()})
	c.Events = withIDs(event("", "x", "t"), event("", "x", "t"))
	h.repeats(c, h.append(c))
}

func repeatAfterForeign(h *harness) {
	c := resendable()
	first := h.append(c)
	h.write(event("a", "foreign"), event("b", "foreign"))
	h.write(event("a", "foreign"))
	h.repeats(c, first)
}

func repeatReopened(h *harness) {
	c := resendable()
	first := h.append(c)
	h.write(event("a", "foreign"))
	h.reopen()
	h.repeats(c, first)
}

func repeatHeads(h *harness) {
	h.write(event("b", "x"))
	c := unconditional(withIDs(event("b", "x"), event("a", "x"), event("b", "x"))...)
	c.Expect[1].At = eventstore.NoStream
	first := h.append(c)
	h.write(event("b", "x"), event("a", "x"))
	h.repeats(c, first)
}

func repeatAnyCondition(h *harness) {
	c := unconditional(withIDs(event("a", "x", "t"))...)
	c.Expect = append(c.Expect, eventstore.Expect{Stream: "other", At: eventstore.NoStream})
	c.Guards = []eventstore.Guard{{Query: byType("foreign")}, {Query: byTag("t")}}
	first := h.append(c)
	h.write(event("other", "foreign"))
	h.repeats(c, first)
}

func repeatFromMiddle(h *harness) {
	c := unconditional(withIDs(event("a", "x"), event("b", "x"), event("", "x", "t"), event("a", "x"))...)
	c.Guards = []eventstore.Guard{{Query: byTag("t")}}
	h.write(event("a", "x"))
	first := h.append(c)
	h.write(event("a", "x"))
	h.repeats(c, first)
}

func repeatWithoutKey(h *harness) {
	c := resendable()
	c.Key = "k"
	first := h.append(c)
	c.Key = ""
	h.repeats(c, first)
}

func idsUnderOtherKey(h *harness) {
	c := resendable()
	h.append(c)
	c.Key = "k"
	h.conflicts(c)
}

func foreignFirst(h *harness) {
	c := unconditional(withIDs(event("a", "x"))...)
	h.append(eventstore.Commit{Events: []eventstore.NewEvent{event("a", "foreign")}, Expect: c.Expect})
	h.append(c)
	c.Expect = []eventstore.Expect{{Stream: "a", At: eventstore.NoStream}}
	conflict := h.conflicts(c)
	h.equal("type of the first conflicting event", "foreign", conflict.Type)
}

func partlyEqual(h *harness) {
	c := resendable()
	h.append(c)
	for i := range c.Events {
		changed := expecting(eventstore.NoStream, append([]eventstore.NewEvent(nil), c.Events...)...)
		changed.Events[i].ID = uuid.New()
		h.conflicts(changed)
		changed.Events[i].ID = uuid.Nil
		h.conflicts(changed)
	}
}

func fewerOrMore(h *harness) {
	c := resendable()
	h.append(c)
	for _, events := range [][]eventstore.NewEvent{
		c.Events[:1], c.Events[:2], c.Events[1:],
		append(c.Events[:3:3], withIDs(event("a", "4"))...),
		append(c.Events[:3:3], c.Events[0]),
	} {
		h.conflicts(expecting(eventstore.NoStream, events...))
	}
	// More events than the commit had, continued by the next event of the log.
	next := withIDs(event("a", "4"))
	h.append(unconditional(next...))
	h.conflicts(expecting(eventstore.NoStream, append(c.Events[:3:3], next...)...))
}

func otherOrder(h *harness) {
	c := resendable()
	h.append(c)
	c.Events = []eventstore.NewEvent{c.Events[0], c.Events[2], c.Events[1]}
	h.conflicts(c)
}

func withoutIDs(h *harness) {
	c := expecting(eventstore.NoStream, event("a", "x"))
	h.append(c)
	h.conflicts(c)
}

func unconditionalTwice(h *harness) {
	c := unconditional(withIDs(event("a", "x"), event("", "x"))...)
	h.append(c)
	h.append(c)
	h.equal("number of events", 4, len(h.all()))
}

func otherConditionTwice(h *harness) {
	h.write(event("other", "x"))
	c := unconditional(withIDs(event("a", "x"))...)
	c.Expect = append(c.Expect, eventstore.Expect{Stream: "other", At: eventstore.At(1)})
	c.Guards = []eventstore.Guard{{Query: byTag("t")}}
	h.append(c)
	h.append(c)
	h.equal("events of the stream", 2, len(h.read(eventstore.Stream("a"), everything)))
}
