package storetest

import (
	"fmt"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

func positionRules() []rule {
	return []rule{
		{"the head of an empty store is 0", headOfEmptyStore},
		{"the head is the position of the last event", headIsLast},
		{"positions are unique and strictly increasing", positionsIncrease},
		{"positions are 1, 2, 3 without gaps", positionsGapless},
		{"a receipt says the positions of the first and the last event", receiptPositions},
		{"the order in the log is the order of the slice", sliceOrder},
		{"an acknowledged commit is visible at once", visibleAtOnce},
		{"commits of concurrent writers are not interleaved", notInterleaved},
		{"position order is visibility order under concurrent writers", visibilityOrder},
	}
}

func headOfEmptyStore(h *harness) {
	h.equal("head", eventstore.Position(0), h.head())
}

func headIsLast(h *harness) {
	for n := 1; n <= 4; n++ {
		var events []eventstore.NewEvent
		for range n {
			events = append(events, event("a", "x"))
		}
		receipt := h.write(events...)
		h.equal("head after the commit", receipt.Last, h.head())
		log := h.all()
		h.equal("position of the last event in the log", receipt.Last, log[len(log)-1].Position)
	}
}

func positionsIncrease(h *harness) {
	for range 3 {
		h.write(event("a", "x"), event("b", "x"), event("", "x"))
	}
	log := h.all()
	h.equal("number of events", 9, len(log))
	if log[0].Position == 0 {
		h.Errorf("position of the first event: expected at least 1, found 0")
	}
	for i := 1; i < len(log); i++ {
		if log[i].Position <= log[i-1].Position {
			h.Fatalf("positions: expected them to increase, found %d after %d", log[i].Position, log[i-1].Position)
		}
	}
}

func positionsGapless(h *harness) {
	h.gapless()
	h.write(event("a", "x"), event("b", "x"))
	h.conflicts(expecting(eventstore.At(7), event("a", "x")))
	h.write(event("", "x"))
	h.fails(unconditional(event("a", "")), eventstore.ErrInvalid)
	h.write(event("a", "x"), event("a", "x"), event("a", "x"))
	for i, e := range h.all() {
		h.equal(fmt.Sprintf("position of event %d of the log", i+1), eventstore.Position(i+1), e.Position)
	}
}

func receiptPositions(h *harness) {
	for n := 1; n <= 3; n++ {
		before := len(h.all())
		var events []eventstore.NewEvent
		for range n {
			events = append(events, event("a", "x"))
		}
		receipt := h.write(events...)
		written := h.all()[before:]
		h.equal("number of events written", n, len(written))
		h.equal("First of the receipt", written[0].Position, receipt.First)
		h.equal("Last of the receipt", written[n-1].Position, receipt.Last)
	}
}

func sliceOrder(h *harness) {
	var types []string
	var events []eventstore.NewEvent
	for i := range 50 {
		// The slice is sorted by no name, neither forward nor backward.
		name := fmt.Sprint((i * 37) % 50)
		types = append(types, name)
		events = append(events, event(eventstore.StreamID("s"+name[:1]), name))
	}
	h.write(events...)
	var found []string
	for _, e := range h.all() {
		found = append(found, e.Type)
	}
	h.equal("types in the order of the log", types, found)
}

func visibleAtOnce(h *harness) {
	h.parallel(4, func(i int) error {
		stream := eventstore.StreamID(fmt.Sprintf("writer-%d", i))
		for n := 1; n <= 5; n++ {
			receipt, err := h.try(unconditional(event(stream, "x"), event(stream, "x")))
			if err != nil {
				return err
			}
			own, err := h.tryRead(h.ctx, eventstore.Stream(stream), everything)
			if err != nil {
				return err
			}
			if len(own) != 2*n || own[len(own)-1].Position != receipt.Last {
				return fmt.Errorf("after commit %d of two events, acknowledged up to position %d: the writer reads %d of its events",
					n, receipt.Last, len(own))
			}
			head, err := h.store.Head(h.ctx)
			if err != nil {
				return err
			}
			if head < receipt.Last {
				return fmt.Errorf("head is %d after an acknowledged commit up to %d", head, receipt.Last)
			}
		}
		return nil
	})
}

func notInterleaved(h *harness) {
	const writers, commits, size = 4, 5, 6
	h.parallel(writers, func(i int) error {
		for n := range commits {
			var events []eventstore.NewEvent
			for k := range size {
				e := event("shared", fmt.Sprintf("writer %d commit %d", i, n))
				e.SchemaVersion = uint32(k)
				events = append(events, e)
			}
			if _, err := h.try(unconditional(events...)); err != nil {
				return err
			}
		}
		return nil
	})
	log := h.all()
	h.equal("number of events", writers*commits*size, len(log))
	for i, e := range log {
		first := log[i-i%size]
		if e.Type != first.Type || e.SchemaVersion != uint32(i%size) {
			h.Fatalf("event %d of the log: expected number %d of %q, found number %d of %q",
				i+1, i%size, first.Type, e.SchemaVersion, e.Type)
		}
	}
}

// visibilityOrder reads repeatedly while others write. No event may appear below a
// head that was seen, and all events up to the head must be visible.
func visibilityOrder(h *harness) {
	const writers, commits = 3, 10
	var writing atomic.Int32
	writing.Store(writers)
	h.parallel(writers+1, func(i int) error {
		if i > 0 {
			defer writing.Add(-1)
			for range commits {
				if _, err := h.try(unconditional(event("a", "x"), event("b", "x"))); err != nil {
					return err
				}
			}
			return nil
		}
		var before []eventstore.Event
		for last := false; !last; {
			last = writing.Load() == 0
			now, err := readToHead(h)
			if err != nil {
				return err
			}
			if len(now) < len(before) {
				return fmt.Errorf("a reader saw %d events and later %d", len(before), len(now))
			}
			if difference := diff(before, now[:len(before)]); difference != "" {
				return fmt.Errorf("an event changed after a reader saw it: %s", difference)
			}
			before = now
		}
		return nil
	})
	h.equal("number of events", writers*commits*2, len(h.all()))
}

// readToHead reads up to the head that it asked for first.
func readToHead(h *harness) ([]eventstore.Event, error) {
	head, err := h.store.Head(h.ctx)
	if err != nil || head == 0 {
		return nil, err
	}
	events, err := h.tryRead(h.ctx, eventstore.All(), eventstore.ReadOptions{To: head})
	if err != nil {
		return nil, err
	}
	if len(events) == 0 || events[len(events)-1].Position != head {
		return nil, fmt.Errorf("the head is %d, but a read up to it yields %d events and not that one", head, len(events))
	}
	return events, nil
}
