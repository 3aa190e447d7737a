package storetest

import (
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

func batchRules() []rule {
	return []rule{
		{"at the head of an empty store there is an empty live batch at once", emptyStoreBatch},
		{"at the head there is an empty live batch at once", headBatch},
		{"at the head a commit that does not match gives an empty batch", skippedCommitBatch},
		{"a commit that matches comes in a batch that reaches past it", matchedCommitBatch},
		{"Live says that Through is the head", liveBatch},
		{"a batch has at most 256 events", batchEvents},
		{"a batch has at most 1 MiB of payload", batchBytes},
		{"an event larger than a batch comes alone", batchOfOne},
		{"a batch comes after every 4,096 positions skipped", batchPositions},
		{"a follower that is not live becomes live again", liveAgain},
	}
}

func emptyStoreBatch(h *harness) {
	b := h.follow(eventstore.All(), 0).batch()
	h.equal("batch", eventstore.Batch{Live: true}, eventstore.Batch{Events: b.Events[:len(b.Events):0], Through: b.Through, Live: b.Live})
}

func headBatch(h *harness) {
	library(h)
	for _, q := range []eventstore.Query{eventstore.All(), byTag("absent")} {
		b := h.follow(q, h.head()).batch()
		h.equal("events", 0, len(b.Events))
		h.equal("Through", h.head(), b.Through)
		h.equal("Live", true, b.Live)
	}
}

func skippedCommitBatch(h *harness) {
	library(h)
	f := h.follow(byTag("absent"), 0)
	f.reach(h.head())
	for range 5 {
		h.write(event("a", "x"), event("b", "x"))
		b := f.batch()
		h.equal("events", 0, len(b.Events))
		h.equal("Through after a commit that does not match", h.head(), b.Through)
		h.equal("Live", true, b.Live)
	}
}

func matchedCommitBatch(h *harness) {
	f := h.follow(byTag("t"), 0)
	f.batch()
	for range 5 {
		log := h.seed(event("a", "x"), event("a", "x", "t"), event("a", "x"))
		h.sameEvents("live", log[1:2], f.reach(h.head()))
		h.equal("Through", h.head(), f.through)
	}
}

func liveBatch(h *harness) {
	h.bulk(1_000, func(int) eventstore.NewEvent { return event("a", "x") })
	head := h.head()
	for _, q := range []eventstore.Query{eventstore.All(), eventstore.Stream("a"), byTag("absent")} {
		f := h.follow(q, 0)
		for f.through < head {
			b := f.batch()
			h.equal(fmt.Sprintf("Live at %d, where the head is %d", b.Through, head), b.Through == head, b.Live)
		}
	}
}

func batchEvents(h *harness) {
	h.bulk(1_000, func(i int) eventstore.NewEvent { return event("a", fmt.Sprintf("type %d", i%2)) })
	log := h.all()
	for _, q := range []eventstore.Query{eventstore.All(), byType("type 1")} {
		h.sameEvents("in batches", matching(q, log), h.follow(q, 0).reach(h.head()))
	}
}

func batchBytes(h *harness) {
	size := min(300<<10, h.store.Info().Limits.PayloadBytes)
	h.bulk(10+(4<<20)/size, func(int) eventstore.NewEvent {
		e := event("a", "x")
		e.Data = pattern(size)
		return e
	})
	h.sameEvents("in batches", h.all(), h.follow(eventstore.All(), 0).reach(h.head()))
}

func batchOfOne(h *harness) {
	const large = 1<<20 + 1
	if limit := h.store.Info().Limits.PayloadBytes; limit < large {
		h.Skipf("the store takes payloads of at most %d bytes, less than a batch", limit)
	}
	h.bulk(6, func(i int) eventstore.NewEvent {
		e := event("a", "x")
		if i%3 != 0 {
			e.Data = pattern(large)
		}
		return e
	})
	h.sameEvents("in batches", h.all(), h.follow(eventstore.All(), 0).reach(h.head()))
}

func batchPositions(h *harness) {
	h.gapless()
	h.bulk(10_000, func(i int) eventstore.NewEvent {
		if i == 5_000 {
			return event("a", "rare")
		}
		return event("a", "x")
	})
	for _, q := range []eventstore.Query{byType("absent"), byType("rare"), byTag("absent")} {
		f := h.follow(q, 0)
		found := 0
		for f.through < h.head() {
			before := f.through
			b := f.batch()
			found += len(b.Events)
			if b.Through-before > 4_096 {
				h.Fatalf("%v: expected a batch after at most 4,096 positions, found one from %d through %d", q, before, b.Through)
			}
		}
		h.equal(fmt.Sprintf("matches of %v", q), len(h.read(q, everything)), found)
	}
}

func liveAgain(h *harness) {
	f := h.follow(eventstore.All(), 0)
	f.batch()
	h.bulk(1_000, func(int) eventstore.NewEvent { return event("a", "x") })
	live := 0
	for f.through < h.head() {
		if f.batch().Live {
			live++
		}
	}
	h.equal("live batches on the way to the head", 1, live)
	h.write(event("a", "x"))
	h.equal("Live after one more commit", true, f.batch().Live)
}
