package storetest

import (
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

func snapshotRules() []rule {
	return []rule{
		{"events appended during the loop do not appear", appendedNotSeen},
		{"events appended during a long loop do not appear", appendedNotSeenLong},
		{"the snapshot is fixed when ranging starts, not before", fixedWhenRanging},
		{"append inside the loop works", appendInside},
		{"Read, Lookup and Head inside the loop work", readInside},
		{"a loop that stands still blocks no writer", standingLoop},
		{"Close inside the loop ends it with ErrClosed", closeInside},
	}
}

func appendedNotSeen(h *harness) {
	log := library(h)
	for _, q := range []eventstore.Query{eventstore.All(), byTag("sku:1"), eventstore.Stream("cart-1")} {
		for _, backward := range []bool{false, true} {
			opts := eventstore.ReadOptions{Backward: backward}
			expected := bounded(matching(q, log), opts)
			var found []eventstore.Event
			for e, err := range h.store.Read(h.ctx, q, opts) {
				if err != nil {
					h.Fatalf("Read: expected no error, found %v", err)
				}
				found = append(found, e)
				if len(found) > len(expected) {
					break
				}
				log = append(log, h.seed(event("cart-1", "added", "sku:1"))...)
			}
			h.sameEvents("a loop that appends", expected, found)
		}
	}
}

func appendedNotSeenLong(h *harness) {
	const n = 2_500
	h.bulk(n, func(int) eventstore.NewEvent { return event("a", "x", "t") })
	for _, q := range []eventstore.Query{eventstore.All(), eventstore.Stream("a"), byTag("t")} {
		log := h.all()
		found := 0
		for e, err := range h.store.Read(h.ctx, q, everything) {
			if err != nil {
				h.Fatalf("Read: expected no error, found %v", err)
			}
			if found < len(log) && e.Position != log[found].Position {
				h.Fatalf("a loop that appends: expected position %d, found %d", log[found].Position, e.Position)
			}
			if found++; found > len(log) {
				h.Fatalf("a loop that appends: expected %d events, found one more at position %d", len(log), e.Position)
			}
			if found%500 == 1 {
				h.write(event("a", "x", "t"), event("a", "x", "t"))
			}
		}
		h.equal("events of a loop that appends", len(log), found)
	}
}

func fixedWhenRanging(h *harness) {
	log := library(h)
	sequence := h.store.Read(h.ctx, eventstore.All(), everything)
	log = append(log, h.seed(event("a", "x"))...)
	for range 2 {
		events, err := h.collect(sequence)
		if err != nil {
			h.Fatalf("Read: expected no error, found %v", err)
		}
		h.sameEvents("what was appended before ranging", log, events)
		log = append(log, h.seed(event("a", "x"))...)
	}
}

func appendInside(h *harness) {
	library(h)
	n := 0
	for e, err := range h.store.Read(h.ctx, eventstore.Category("cart"), everything) {
		if err != nil {
			h.Fatalf("Read: expected no error, found %v", err)
		}
		h.append(expecting(eventstore.At(eventstore.Version(n)), event("copies", e.Type)))
		n++
	}
	h.equal("events copied inside the loop", 5, len(h.read(eventstore.Stream("copies"), everything)))
}

func readInside(h *harness) {
	log := library(h)
	c := unconditional(event("k", "x"))
	c.Key = "k"
	h.append(c)
	for _, err := range h.store.Read(h.ctx, eventstore.Category("cart"), everything) {
		if err != nil {
			h.Fatalf("Read: expected no error, found %v", err)
		}
		h.expectRead(log, byTag("sku:1"), everything)
		h.head()
		if _, found := h.lookup("k"); !found {
			h.Fatalf("Lookup inside the loop: expected the key to be found")
		}
	}
}

// standingLoop appends more than a page of events while a loop stands at its first
// event, and then reads on.
func standingLoop(h *harness) {
	h.bulk(600, func(int) eventstore.NewEvent { return event("a", "x") })
	log := h.all()
	var found []eventstore.Event
	for e, err := range h.store.Read(h.ctx, eventstore.All(), everything) {
		if err != nil {
			h.Fatalf("Read: expected no error, found %v", err)
		}
		if len(found) == 0 {
			h.parallel(3, func(i int) error {
				for range 5 {
					more := make([]eventstore.NewEvent, 100)
					for k := range more {
						more[k] = event(eventstore.StreamID(fmt.Sprintf("b-%d", i)), "x")
						more[k].Data = pattern(1_000)
					}
					if _, err := h.try(unconditional(more...)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		found = append(found, e)
	}
	h.sameEvents("the loop", log, found)
	h.equal("number of events in the end", 2_100, len(h.all()))
}

func closeInside(h *harness) {
	h.bulk(1_000, func(int) eventstore.NewEvent { return event("a", "x") })
	events, err := h.collect(func(yield func(eventstore.Event, error) bool) {
		for e, err := range h.store.Read(h.ctx, eventstore.All(), everything) {
			if !h.closed[h.store] {
				h.closeStore()
			}
			if !yield(e, err) {
				return
			}
		}
	})
	h.matches("Read whose store was closed at its first event", err, eventstore.ErrClosed)
	if len(events) == 1_000 {
		h.Errorf("Read whose store was closed at its first event: it yielded all 1,000 events before the error")
	}
}
