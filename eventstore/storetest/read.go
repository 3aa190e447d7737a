package storetest

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/yore-es/yore/eventstore"
)

func readRules() []rule {
	return []rule{
		{"an empty store yields nothing", readEmpty},
		{"reading is ascending by default", readAscending},
		{"From is inclusive", readFrom},
		{"To is inclusive", readTo},
		{"From and To are a closed window", readWindow},
		{"From beyond the head yields nothing", readBeyond},
		{"To beyond the head reads to the head", readToBeyond},
		{"To before From yields nothing", readInverted},
		{"backward reverses", readBackward},
		{"From and To mean the same backward", readBackwardWindow},
		{"backward from a position with a limit", readBackwardLimit},
		{"a limit counts after filtering", limitAfterFilter},
		{"a limit counts across items, not per item", limitAcrossItems},
		{"a limit of 0 is no limit", limitZero},
		{"a limit beyond the matches yields them all", limitBeyond},
		{"a negative limit is refused", limitNegative},
		{"windows, directions and limits combine", readCombined},
		{"windows, directions and limits combine over a long log", readLong},
		{"from a version, of one stream", fromVersion},
		{"to a version, of one stream", toVersion},
		{"to a version before the one from yields nothing", versionsInverted},
		{"versions are for one stream", versionsOfOthers},
		{"as of a time leaves out what was recorded later", asOf},
		{"a limit counts after as-of", asOfLimit},
		{"an ended context ends with its error", readEndedContext},
		{"a context that ends during the loop ends it with its error", readContextEnds},
		{"a sequence can be ranged over again", rangeAgain},
		{"break leaves nothing open", breakLeavesNothing},
	}
}

// expectRead compares a read of q with the log.
func (h *harness) expectRead(log []eventstore.Event, q eventstore.Query, opts eventstore.ReadOptions) {
	h.Helper()
	h.sameEvents(fmt.Sprintf("Read of %v with %+v", q, opts), bounded(matching(q, log), opts), h.read(q, opts))
}

// bounded is the meaning of ReadOptions, in the plainest form.
func bounded(events []eventstore.Event, opts eventstore.ReadOptions) []eventstore.Event {
	var kept []eventstore.Event
	for _, e := range events {
		if e.Position >= opts.From && (opts.To == 0 || e.Position <= opts.To) &&
			e.Version >= opts.FromVersion && (opts.ToVersion == 0 || e.Version <= opts.ToVersion) &&
			(opts.AsOf.IsZero() || !e.Recorded.After(opts.AsOf)) {
			kept = append(kept, e)
		}
	}
	if opts.Backward {
		kept = reversed(kept)
	}
	if opts.Limit > 0 && len(kept) > opts.Limit {
		kept = kept[:opts.Limit]
	}
	return kept
}

func readEmpty(h *harness) {
	for _, opts := range []eventstore.ReadOptions{{}, {Backward: true}, {Limit: 1}, {From: 1, To: 1}, {From: 5, Backward: true}} {
		h.sameEvents(fmt.Sprintf("Read with %+v", opts), nil, h.read(eventstore.All(), opts))
		h.sameEvents(fmt.Sprintf("Read with %+v", opts), nil, h.read(eventstore.Stream("a"), opts))
	}
}

func readAscending(h *harness) {
	log := append(library(h), library(h)...)
	h.sameEvents("all", log, h.all())
	h.sameEvents("a tag", matching(byTag("sku:1"), log), h.read(byTag("sku:1"), everything))
}

func readFrom(h *harness) {
	log := library(h)
	h.sameEvents("from the third", log[2:], h.read(eventstore.All(), eventstore.ReadOptions{From: log[2].Position}))
	h.sameEvents("from the first", log, h.read(eventstore.All(), eventstore.ReadOptions{From: 1}))
	h.sameEvents("from the last", log[9:], h.read(eventstore.All(), eventstore.ReadOptions{From: log[9].Position}))
	for _, from := range []int{2, 3} {
		opts := eventstore.ReadOptions{From: log[from].Position}
		h.expectRead(log, eventstore.Category("cart"), opts)
	}
}

func readTo(h *harness) {
	log := library(h)
	h.sameEvents("to the third", log[:3], h.read(eventstore.All(), eventstore.ReadOptions{To: log[2].Position}))
	h.sameEvents("to the last", log, h.read(eventstore.All(), eventstore.ReadOptions{To: log[9].Position}))
	for _, to := range []int{2, 3} {
		opts := eventstore.ReadOptions{To: log[to].Position}
		h.expectRead(log, eventstore.Category("cart"), opts)
	}
}

func readWindow(h *harness) {
	log := library(h)
	h.sameEvents("from the 3rd to the 5th", log[2:5],
		h.read(eventstore.All(), eventstore.ReadOptions{From: log[2].Position, To: log[4].Position}))
	h.sameEvents("the 3rd only", log[2:3],
		h.read(eventstore.All(), eventstore.ReadOptions{From: log[2].Position, To: log[2].Position}))
}

func readBeyond(h *harness) {
	library(h)
	for _, from := range []eventstore.Position{h.head() + 1, h.head() + 1000, math.MaxUint64} {
		for _, backward := range []bool{false, true} {
			opts := eventstore.ReadOptions{From: from, Backward: backward}
			h.sameEvents(fmt.Sprintf("Read with %+v", opts), nil, h.read(eventstore.All(), opts))
			h.sameEvents(fmt.Sprintf("Read with %+v", opts), nil, h.read(byTag("sku:1"), opts))
		}
	}
}

func readToBeyond(h *harness) {
	log := library(h)
	for _, to := range []eventstore.Position{h.head() + 1, math.MaxUint64} {
		h.sameEvents("forward", log, h.read(eventstore.All(), eventstore.ReadOptions{To: to}))
		h.sameEvents("backward", reversed(log), h.read(eventstore.All(), eventstore.ReadOptions{To: to, Backward: true}))
	}
}

func readInverted(h *harness) {
	log := library(h)
	for _, backward := range []bool{false, true} {
		opts := eventstore.ReadOptions{From: log[5].Position, To: log[4].Position, Backward: backward}
		h.sameEvents(fmt.Sprintf("Read with %+v", opts), nil, h.read(eventstore.All(), opts))
		h.sameEvents(fmt.Sprintf("Read with %+v", opts), nil, h.read(eventstore.Category("cart"), opts))
		opts.To = 1
		h.sameEvents(fmt.Sprintf("Read with %+v", opts), nil, h.read(eventstore.All(), opts))
	}
}

func readBackward(h *harness) {
	log := library(h)
	h.sameEvents("backward", reversed(log), h.read(eventstore.All(), eventstore.ReadOptions{Backward: true}))
}

func readBackwardWindow(h *harness) {
	log := library(h)
	opts := eventstore.ReadOptions{From: log[2].Position, To: log[4].Position, Backward: true}
	h.sameEvents("backward from the 5th to the 3rd", pick(log, 4, 3, 2), h.read(eventstore.All(), opts))
	opts.To = 0
	h.sameEvents("backward to the 3rd", reversed(log[2:]), h.read(eventstore.All(), opts))
	opts = eventstore.ReadOptions{To: log[2].Position, Backward: true}
	h.sameEvents("backward from the 3rd", pick(log, 2, 1, 0), h.read(eventstore.All(), opts))
}

func readBackwardLimit(h *harness) {
	log := library(h)
	opts := eventstore.ReadOptions{To: log[8].Position, Backward: true, Limit: 3}
	h.sameEvents("three backward from the 9th", pick(log, 8, 7, 6), h.read(eventstore.All(), opts))
	h.sameEvents("three of a category backward from the 9th", pick(log, 4, 2, 1), h.read(eventstore.Category("cart"), opts))
	opts = eventstore.ReadOptions{Backward: true, Limit: 1}
	h.sameEvents("the last of a stream", pick(log, 2), h.read(eventstore.Stream("cart-1"), opts))
}

func limitAfterFilter(h *harness) {
	log := library(h)
	h.sameEvents("two of a type", pick(log, 6, 9), h.read(byType("placed"), eventstore.ReadOptions{Limit: 2}))
	h.sameEvents("one of a type", pick(log, 6), h.read(byType("placed"), eventstore.ReadOptions{Limit: 1}))
	h.sameEvents("two of a tag", pick(log, 0, 2), h.read(byTag("sku:1"), eventstore.ReadOptions{Limit: 2}))
}

func limitAcrossItems(h *harness) {
	log := library(h)
	q := eventstore.Match(eventstore.Item{Types: []string{"placed"}}, eventstore.Item{Types: []string{"added"}}, eventstore.Item{Types: []string{"noted"}})
	for limit, wanted := range map[int][]int{1: {0}, 2: {0, 1}, 3: {0, 1, 6}, 4: {0, 1, 6, 7}} {
		h.sameEvents(fmt.Sprintf("limit %d over three items", limit), pick(log, wanted...), h.read(q, eventstore.ReadOptions{Limit: limit}))
	}
}

func limitZero(h *harness) {
	h.bulk(1_500, func(int) eventstore.NewEvent { return event("a", "x") })
	h.equal("events with a limit of 0", 1_500, len(h.read(eventstore.All(), eventstore.ReadOptions{Limit: 0})))
}

func limitBeyond(h *harness) {
	log := library(h)
	for _, limit := range []int{10, 11, math.MaxInt} {
		h.sameEvents("all", log, h.read(eventstore.All(), eventstore.ReadOptions{Limit: limit}))
		h.sameEvents("backward", reversed(log), h.read(eventstore.All(), eventstore.ReadOptions{Limit: limit, Backward: true}))
	}
}

func limitNegative(h *harness) {
	library(h)
	for _, limit := range []int{-1, math.MinInt} {
		events, err := h.tryRead(h.ctx, eventstore.All(), eventstore.ReadOptions{Limit: limit})
		h.matches(fmt.Sprintf("Read with limit %d", limit), err, eventstore.ErrInvalid)
		h.sameEvents("Read that is refused", nil, events)
	}
}

func readCombined(h *harness) {
	log := library(h)
	queries := []eventstore.Query{
		eventstore.All(), eventstore.Category("cart"), byTag("sku:1"),
		eventstore.Union(eventstore.Stream("cart-1"), byType("noted")),
	}
	for _, q := range queries {
		for from := range log {
			for to := from; to < len(log); to += 3 {
				for _, limit := range []int{0, 1, 3} {
					opts := eventstore.ReadOptions{From: log[from].Position, To: log[to].Position, Limit: limit}
					h.expectRead(log, q, opts)
					opts.Backward = true
					h.expectRead(log, q, opts)
				}
			}
		}
	}
}

func readLong(h *harness) {
	h.bulk(3_000, func(i int) eventstore.NewEvent {
		return event(eventstore.StreamID(fmt.Sprintf("s-%d", i%5)), "x", eventstore.Tag(fmt.Sprint(i%2)))
	})
	log := h.all()
	h.equal("number of events", 3_000, len(log))
	for _, q := range []eventstore.Query{eventstore.All(), eventstore.Stream("s-3"), byTag("1"), eventstore.Union(eventstore.Stream("s-1"), byTag("0"))} {
		for _, window := range [][2]int{{0, 2_999}, {255, 256}, {100, 2_900}, {1_023, 1_025}} {
			for _, limit := range []int{0, 1_000} {
				opts := eventstore.ReadOptions{From: log[window[0]].Position, To: log[window[1]].Position, Limit: limit}
				h.expectRead(log, q, opts)
				opts.Backward = true
				h.expectRead(log, q, opts)
			}
		}
	}
}

func fromVersion(h *harness) {
	log := append(append(library(h), library(h)...), library(h)...)
	for v := range eventstore.Version(9) {
		expectVersions(h, log, eventstore.ReadOptions{FromVersion: v})
	}
	h.sameEvents("from the highest version", nil, h.read(eventstore.Stream("cart-1"), eventstore.ReadOptions{FromVersion: math.MaxUint64}))
}

func toVersion(h *harness) {
	log := append(append(library(h), library(h)...), library(h)...)
	for v := range eventstore.Version(9) {
		expectVersions(h, log, eventstore.ReadOptions{ToVersion: v})
		expectVersions(h, log, eventstore.ReadOptions{FromVersion: 3, ToVersion: v})
	}
	expectVersions(h, log, eventstore.ReadOptions{ToVersion: math.MaxUint64})
}

func versionsInverted(h *harness) {
	log := library(h)
	for _, backward := range []bool{false, true} {
		h.sameEvents("from version 3 to 2", nil,
			h.read(eventstore.Stream("cart-1"), eventstore.ReadOptions{FromVersion: 3, ToVersion: 2, Backward: backward}))
		h.sameEvents("from version 2 to 2", pick(log, 2),
			h.read(eventstore.Stream("cart-1"), eventstore.ReadOptions{FromVersion: 2, ToVersion: 2, Backward: backward}))
	}
}

// expectVersions holds reads of one stream, narrowed in several ways, to what the
// versions of the options say.
func expectVersions(h *harness, log []eventstore.Event, opts eventstore.ReadOptions) {
	h.Helper()
	for _, q := range []eventstore.Query{
		eventstore.Stream("cart-1"), eventstore.Stream("none"),
		eventstore.Match(eventstore.Item{Streams: []eventstore.StreamID{"cart-1"}, Types: []string{"added"}}),
		eventstore.Match(
			eventstore.Item{Streams: []eventstore.StreamID{"cart-1"}, Types: []string{"added"}},
			eventstore.Item{Streams: []eventstore.StreamID{"cart-1"}, Tags: []eventstore.Tag{"sku:1"}},
		),
	} {
		for _, backward := range []bool{false, true} {
			opts.Backward = backward
			h.expectRead(log, q, opts)
			narrowed := opts
			narrowed.Limit = 2
			h.expectRead(log, q, narrowed)
			narrowed.Limit, narrowed.From, narrowed.To = 0, log[2].Position, log[len(log)-2].Position
			h.expectRead(log, q, narrowed)
			narrowed.From, narrowed.To, narrowed.AsOf = 0, 0, log[len(log)/2].Recorded
			h.expectRead(log, q, narrowed)
		}
	}
}

func versionsOfOthers(h *harness) {
	library(h)
	one := eventstore.Item{Streams: []eventstore.StreamID{"cart-1"}}
	for _, q := range []eventstore.Query{
		eventstore.All(), byType("added"), byTag("sku:1"), eventstore.Category("cart"),
		eventstore.Match(eventstore.Item{Streams: []eventstore.StreamID{"cart-1", "cart-2"}}),
		eventstore.Match(one, eventstore.Item{Types: []string{"added"}}),
		eventstore.Match(one, eventstore.Item{Streams: []eventstore.StreamID{"cart-2"}}),
	} {
		for _, opts := range []eventstore.ReadOptions{{FromVersion: 1}, {ToVersion: 1}} {
			_, err := h.tryRead(h.ctx, q, opts)
			h.matches(fmt.Sprintf("Read of %v with %+v", q, opts), err, eventstore.ErrInvalid)
		}
	}
}

// spreadOverTime appends commits until some have different recorded times.
func spreadOverTime(h *harness) []eventstore.Event {
	for range 8 {
		h.write(event("a", "x"), event("b", "y"))
	}
	return h.all()
}

func asOf(h *harness) {
	log := spreadOverTime(h)
	for _, e := range log {
		for _, at := range []time.Time{e.Recorded, e.Recorded.Add(-1), e.Recorded.Add(1)} {
			h.expectRead(log, eventstore.All(), eventstore.ReadOptions{AsOf: at})
		}
	}
	first, last := log[0].Recorded, log[len(log)-1].Recorded
	h.sameEvents("as of before the first", nil, h.read(eventstore.All(), eventstore.ReadOptions{AsOf: first.Add(-1)}))
	h.sameEvents("as of the last", log, h.read(eventstore.All(), eventstore.ReadOptions{AsOf: last}))
	zoned := last.In(time.FixedZone("west", -7200))
	h.sameEvents("as of the last, in another zone", log, h.read(eventstore.All(), eventstore.ReadOptions{AsOf: zoned}))
}

func asOfLimit(h *harness) {
	log := spreadOverTime(h)
	for _, backward := range []bool{false, true} {
		for _, limit := range []int{1, 5} {
			opts := eventstore.ReadOptions{AsOf: log[9].Recorded, Limit: limit, Backward: backward}
			h.expectRead(log, eventstore.All(), opts)
			h.expectRead(log, eventstore.Stream("a"), opts)
			opts.From = log[3].Position
			h.expectRead(log, byType("y"), opts)
		}
	}
}

func readEndedContext(h *harness) {
	library(h)
	cancelled, cancel := context.WithCancel(h.ctx)
	cancel()
	events, err := h.tryRead(cancelled, eventstore.All(), everything)
	h.matches("Read with a cancelled context", err, context.Canceled)
	h.sameEvents("Read with a cancelled context", nil, events)
	late, cancelLate := context.WithDeadline(h.ctx, time.Unix(0, 0))
	defer cancelLate()
	_, err = h.tryRead(late, eventstore.All(), everything)
	h.matches("Read after the deadline", err, context.DeadlineExceeded)
}

func readContextEnds(h *harness) {
	h.bulk(1_000, func(int) eventstore.NewEvent { return event("a", "x") })
	for _, q := range []eventstore.Query{eventstore.All(), eventstore.Stream("a")} {
		ctx, cancel := context.WithCancel(h.ctx)
		events, err := h.collect(func(yield func(eventstore.Event, error) bool) {
			for e, err := range h.store.Read(ctx, q, everything) {
				cancel()
				if !yield(e, err) {
					return
				}
			}
		})
		h.matches("Read with a context cancelled at its first event", err, context.Canceled)
		if len(events) == 1_000 {
			h.Errorf("Read with a context cancelled at its first event: it yielded all 1,000 events before the error")
		}
	}
}

func rangeAgain(h *harness) {
	log := library(h)
	sequence := h.store.Read(h.ctx, byTag("sku:1"), eventstore.ReadOptions{Limit: 2})
	for range 2 {
		events, err := h.collect(sequence)
		if err != nil {
			h.Fatalf("ranging again: expected no error, found %v", err)
		}
		h.sameEvents("ranging again", pick(log, 0, 2), events)
	}
}

func breakLeavesNothing(h *harness) {
	library(h)
	for _, backward := range []bool{false, true} {
		for range 50 {
			h.step("Read that is left at its first event")
			for _, err := range h.store.Read(h.ctx, eventstore.All(), eventstore.ReadOptions{Backward: backward}) {
				if err != nil {
					h.Fatalf("Read: expected no error, found %v", err)
				}
				break
			}
		}
		h.write(event("a", "x"))
	}
	h.closeStore()
}
