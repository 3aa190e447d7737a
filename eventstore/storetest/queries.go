package storetest

import (
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

func queryRules() []rule {
	item := func(i eventstore.Item) eventstore.Query { return eventstore.Match(i) }
	stream, category, union := eventstore.Stream, eventstore.Category, eventstore.Union
	return []rule{
		{"All matches every event, with and without stream and tags", selects(eventstore.All(), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)},
		{"by stream", selects(stream("cart-1"), 0, 2)},
		{"an unknown stream has no events and is no error", selects(stream("cart-9"))},
		{"streams are OR-ed", selects(item(eventstore.Item{Streams: []eventstore.StreamID{"cart-2", "cart-9", "car-1"}}), 1, 5, 9)},
		{"by category, and not by what a category starts with", selects(category("cart"), 0, 1, 2, 4, 9)},
		{"an unknown category has no events", selects(category("ca"))},
		{"categories are OR-ed", selects(item(eventstore.Item{Categories: []string{"car", "order"}}), 5, 6)},
		{"a category ends before the first dash", selects(category("order"), 6)},
		{"a stream without a dash is its own category", selects(item(eventstore.Item{Categories: []string{"cart"}, Streams: []eventstore.StreamID{"cart"}}), 4)},
		{"types are OR-ed", selects(byType("added", "placed", "unheard of"), 0, 1, 6, 9)},
		{"tags are AND-ed", selects(byTag("sku:1", "customer:1"), 0, 6)},
		{"an event may have more tags than asked for", selects(byTag("sku:1"), 0, 2, 5, 6)},
		{"some of the tags are no match", selects(byTag("sku:1", "sku:2", "customer:2"))},
		{"types and tags are AND-ed", selects(item(eventstore.Item{Types: []string{"added", "noted"}, Tags: []eventstore.Tag{"customer:1"}}), 0, 1, 7)},
		{"streams and types are AND-ed", selects(item(eventstore.Item{Streams: []eventstore.StreamID{"cart-1", "cart-2"}, Types: []string{"added"}}), 0, 1)},
		{"streams and tags are AND-ed", selects(item(eventstore.Item{Streams: []eventstore.StreamID{"cart-1"}, Tags: []eventstore.Tag{"customer:1"}}), 0)},
		{"categories and types are AND-ed", selects(item(eventstore.Item{Categories: []string{"cart"}, Types: []string{"placed"}}), 9)},
		{"categories and tags are AND-ed", selects(item(eventstore.Item{Categories: []string{"cart"}, Tags: []eventstore.Tag{"customer:2"}}), 4)},
		{"streams and categories are AND-ed", selects(item(eventstore.Item{Streams: []eventstore.StreamID{"cart-1", "car-1"}, Categories: []string{"cart"}}), 0, 2)},
		{"all four are AND-ed", selects(item(eventstore.Item{
			Streams: []eventstore.StreamID{"cart-1", "order-1-a"}, Categories: []string{"cart", "order"},
			Types: []string{"removed", "placed"}, Tags: []eventstore.Tag{"sku:1"},
		}), 2, 6)},
		{"items are OR-ed", selects(eventstore.Match(
			eventstore.Item{Types: []string{"drawn"}}, eventstore.Item{Tags: []eventstore.Tag{"customer:2"}}), 3, 4, 5)},
		{"items that match the same event yield it once", selects(eventstore.Match(
			eventstore.Item{Types: []string{"added"}}, eventstore.Item{Tags: []eventstore.Tag{"sku:1"}},
			eventstore.Item{Streams: []eventstore.StreamID{"cart-1"}}), 0, 1, 2, 5, 6)},
		{"duplicate items do not duplicate events", selects(union(byType("added"), byType("added"), byType("added")), 0, 1)},
		{"duplicate names in an item do not duplicate events", selects(item(eventstore.Item{
			Streams: []eventstore.StreamID{"cart-1", "cart-1"}, Types: []string{"added", "added"}, Tags: []eventstore.Tag{"sku:1", "sku:1"},
		}), 0)},
		{"the order of items does not matter", itemOrder},
		{"a union equals its items one after the other", unionEqualsItems},
		{"a union with All is All", selects(union(byType("added"), eventstore.All()), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)},
		{"events in no stream are found by type", selects(byType("noted"), 7, 8)},
		{"events in no stream are found by tag", selects(item(eventstore.Item{Tags: []eventstore.Tag{"customer:1"}, Types: []string{"noted"}}), 7)},
		{"events in no stream are of no category", noStreamNoCategory},
		{"the same text as stream, category, type, tag and key is not mixed up", sameText},
		{"a rare event among very many is found", rareEvent},
		{"the zero Query is refused", refusedQuery(eventstore.Query{})},
		{"a Match of no items is refused", refusedQuery(eventstore.Match())},
		{"a Union of no queries is refused", refusedQuery(eventstore.Union())},
		{"an item that names nothing is refused", refusedQuery(eventstore.Match(eventstore.Item{Types: []string{"x"}}, eventstore.Item{}))},
	}
}

// library appends the log on which queries are tried.
func library(h *harness) []eventstore.Event {
	log := h.seed(
		event("cart-1", "added", "sku:1", "customer:1"),
		event("cart-2", "added", "sku:2", "customer:1"),
		event("cart-1", "removed", "sku:1"),
		event("cartoon-1", "drawn"),
		event("cart", "opened", "customer:2"),
	)
	return append(log, h.seed(
		event("car-1", "parked", "sku:1", "customer:2"),
		event("order-1-a", "placed", "customer:1", "sku:1", "sku:2"),
		event("", "noted", "customer:1"),
		event("", "noted"),
		event("cart-2", "placed"),
	)...)
}

// selects is the rule that a query matches these events of the library.
func selects(q eventstore.Query, indexes ...int) func(*harness) {
	return func(h *harness) {
		h.selected(q, pick(library(h), indexes...))
	}
}

// selected holds that reading in both directions, following and guarding agree. A
// guard that holds appends an event.
func (h *harness) selected(q eventstore.Query, expected []eventstore.Event) {
	h.Helper()
	h.sameEvents(fmt.Sprintf("Read of %v", q), expected, h.read(q, everything))
	h.sameEvents(fmt.Sprintf("Read backward of %v", q), reversed(expected), h.read(q, eventstore.ReadOptions{Backward: true}))
	h.sameEvents(fmt.Sprintf("Follow of %v", q), expected, h.follow(q, 0).reach(h.head()))
	c := guarded(eventstore.Guard{Query: q})
	if len(expected) == 0 {
		h.append(c)
		return
	}
	for _, e := range expected {
		c.Guards[0].After = e.Position - 1
		conflict := h.conflicts(c)
		h.equal(fmt.Sprintf("position at which the guard of %v fails", q), e.Position, conflict.Position)
	}
}

func itemOrder(h *harness) {
	log := library(h)
	a := eventstore.Item{Types: []string{"placed"}}
	b := eventstore.Item{Tags: []eventstore.Tag{"sku:1"}}
	c := eventstore.Item{Categories: []string{"cartoon"}}
	for _, items := range [][]eventstore.Item{{a, b, c}, {c, b, a}, {b, c, a}} {
		h.selected(eventstore.Match(items...), pick(log, 0, 2, 3, 5, 6, 9))
	}
}

func unionEqualsItems(h *harness) {
	library(h)
	a, b := eventstore.Item{Types: []string{"placed"}}, eventstore.Item{Tags: []eventstore.Tag{"customer:1"}}
	union := eventstore.Union(eventstore.Match(a), eventstore.Match(b), eventstore.Stream("cart"))
	items := eventstore.Match(a, b, eventstore.Item{Streams: []eventstore.StreamID{"cart"}})
	h.selected(union, h.read(items, everything))
}

func noStreamNoCategory(h *harness) {
	log := h.seed(event("", "x", "t"), event("x", "x"))
	h.selected(eventstore.Category("x"), log[1:])
	h.selected(eventstore.Stream("x"), log[1:])
}

func sameText(h *harness) {
	c := unconditional(event("s", "x"), event("x-1", "y"), event("x", "y"), event("z", "y", "x"), event("x-1-x", "z", "y", "z"))
	c.Key = "x"
	receipt := h.append(c)
	log := h.read(eventstore.All(), eventstore.ReadOptions{From: receipt.First})
	h.selected(byType("x"), pick(log, 0))
	h.selected(byTag("x"), pick(log, 3))
	h.selected(eventstore.Stream("x"), pick(log, 2))
	h.selected(eventstore.Category("x"), pick(log, 1, 2, 4))
	h.selected(eventstore.Stream("x-1"), pick(log, 1))
	h.selected(byTag("y"), pick(log, 4))
	h.selected(byTag("y", "z"), pick(log, 4))
}

func rareEvent(h *harness) {
	const n, step = 9_000, 1_009
	h.bulk(n, func(i int) eventstore.NewEvent {
		e := event(eventstore.StreamID(fmt.Sprintf("s-%d", i%7)), fmt.Sprintf("type %d", i%3), "common")
		if i%step == 0 {
			e.Tags = append(e.Tags, "rare")
		}
		return e
	})
	log := h.all()
	h.equal("number of events", n, len(log))
	for _, item := range []eventstore.Item{
		{Tags: []eventstore.Tag{"rare"}},
		{Tags: []eventstore.Tag{"common", "rare"}},
		{Tags: []eventstore.Tag{"rare"}, Types: []string{"type 0", "type 2"}},
		{Tags: []eventstore.Tag{"rare"}, Categories: []string{"s"}, Streams: []eventstore.StreamID{"s-0", "s-1", "s-5"}},
	} {
		q := eventstore.Match(item)
		h.selected(q, matching(q, log))
	}
	many := eventstore.Match(eventstore.Item{Streams: []eventstore.StreamID{"s-3"}}, eventstore.Item{Types: []string{"type 1"}})
	h.sameEvents("Read of a common query", matching(many, log), h.read(many, everything))
}

// refusedQuery is the rule that a query is refused wherever it is used.
func refusedQuery(q eventstore.Query) func(*harness) {
	return func(h *harness) {
		h.write(event("a", "x"))
		h.refused(q, eventstore.ErrInvalid)
	}
}

// refused reads, follows and guards with an invalid query.
func (h *harness) refused(q eventstore.Query, want error) {
	h.Helper()
	events, err := h.tryRead(h.ctx, q, everything)
	h.matches("Read", err, want)
	h.sameEvents("Read that is refused", nil, events)
	h.matches("Follow", h.follow(q, 0).ended(), want)
	h.fails(guarded(eventstore.Guard{Query: q}), want)
	h.fails(guarded(eventstore.Guard{Query: byTag("absent")}, eventstore.Guard{Query: q, After: h.head() + 9}), want)
}
