package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
)

func followRules() []rule {
	return []rule{
		{"from 0 yields everything that matches, and then what is appended", followFromZero},
		{"from the middle yields what comes after", followFromMiddle},
		{"from the head yields only what is appended", followFromHead},
		{"from every position yields what comes after it", followFromEvery},
		{"after beyond the head is refused", followBeyond},
		{"no gap and no repeat while writers run", followSeam},
		{"no gap and no repeat with a filter while writers run", followSeamFiltered},
		{"every match up to Through has been yielded", followThrough},
		{"many followers get the same events in the same order", manyFollowers},
		{"a blocked follower blocks no other caller", blockedFollower},
		{"append inside the loop works", followAppends},
		{"a sequence can be ranged over again, from the same position", followAgain},
		{"resumes exactly after a checkpoint", followResumes},
		{"resumes exactly after a checkpoint when reopened", followReopened},
		{"break leaves nothing open", followBreak},
		{"an ended context ends it with its error", followEndedContext},
		{"a context that ends while it waits ends it", followContextEnds},
		{"Close while it waits ends it with ErrClosed", followClose},
		{"Close while the loop body runs ends it with ErrClosed", followCloseInBody},
		{"Close ends one that is catching up", followCloseCatchingUp},
	}
}

// follower steps through a Follow one batch at a time, and checks what holds for
// every batch.
type follower struct {
	h       *harness
	query   eventstore.Query
	next    func() (eventstore.Batch, error, bool)
	stop    func()
	through eventstore.Position
	batches int
}

// follow starts to follow. Between two batches the follower's loop body is running,
// as the store sees it.
func (h *harness) follow(q eventstore.Query, after eventstore.Position) *follower {
	return h.followWith(h.ctx, q, after)
}

func (h *harness) followWith(ctx context.Context, q eventstore.Query, after eventstore.Position) *follower {
	next, stop := iter.Pull2(h.store.Follow(ctx, q, after))
	h.atEnd = append(h.atEnd, stop)
	return &follower{h: h, query: q, next: next, stop: stop, through: after}
}

// batch returns the next batch. There must be one.
func (f *follower) batch() eventstore.Batch {
	f.h.Helper()
	f.h.step("waiting for batch %d of a follower of %v that is at position %d", f.batches+1, f.query, f.through)
	b, err, ok := f.next()
	if !ok || err != nil {
		f.h.Fatalf("Follow of %v: expected a batch after position %d, found its end (%v)", f.query, f.through, err)
	}
	f.examine(b)
	f.through = b.Through
	f.batches++
	return b
}

func (f *follower) examine(b eventstore.Batch) {
	f.h.Helper()
	what := fmt.Sprintf("batch %d of a follower of %v after position %d", f.batches+1, f.query, f.through)
	if b.Through < f.through || (b.Through == f.through && (f.batches > 0 || !b.Live)) {
		f.h.Fatalf("%s: expected it to advance, found Through %d, Live %v", what, b.Through, b.Live)
	}
	if len(b.Events) > 256 {
		f.h.Fatalf("%s: expected at most 256 events, found %d", what, len(b.Events))
	}
	at, size := f.through, 0
	for i, e := range b.Events {
		if e.Position <= at || e.Position > b.Through {
			f.h.Fatalf("%s: expected positions from %d to Through %d in order, found %s", what, at+1, b.Through, describe(e))
		}
		if !f.query.Matches(e.Stream, e.Type, e.Tags) {
			f.h.Fatalf("%s: expected matches only, found %s", what, describe(e))
		}
		at = e.Position
		if size += len(e.Data); i > 0 && size > 1<<20 {
			f.h.Fatalf("%s: expected at most 1 MiB of payload, found more in %d events", what, len(b.Events))
		}
	}
}

// reach returns the events of all batches until Through is at least p.
func (f *follower) reach(p eventstore.Position) []eventstore.Event {
	f.h.Helper()
	var events []eventstore.Event
	for f.batches == 0 || f.through < p {
		events = append(events, f.batch().Events...)
	}
	return events
}

// ended returns the error that the follower ends with. It must be the next element.
func (f *follower) ended() error {
	f.h.Helper()
	f.h.step("waiting for the end of a follower of %v that is at position %d", f.query, f.through)
	b, err, ok := f.next()
	switch {
	case !ok:
		f.h.Fatalf("Follow of %v: expected an error at its end, found none", f.query)
	case err == nil:
		f.h.Fatalf("Follow of %v: expected its end, found a batch through %d with %d events", f.query, b.Through, len(b.Events))
	case b.Events != nil || b.Through != 0 || b.Live:
		f.h.Fatalf("Follow of %v: expected the zero Batch with the error, found %+v", f.query, b)
	}
	if _, _, more := f.next(); more {
		f.h.Fatalf("Follow of %v: expected the error to be the last element, found another", f.query)
	}
	return err
}

func followFromZero(h *harness) {
	log := library(h)
	f := h.follow(byTag("sku:1"), 0)
	h.sameEvents("catching up", matching(byTag("sku:1"), log), f.reach(h.head()))
	more := h.seed(event("a", "x", "sku:1"), event("a", "x"), event("a", "x", "sku:1"))
	h.sameEvents("live", pick(more, 0, 2), f.reach(h.head()))
}

func followFromMiddle(h *harness) {
	log := library(h)
	f := h.follow(eventstore.All(), log[3].Position)
	h.sameEvents("catching up", log[4:], f.reach(h.head()))
	more := h.seed(event("a", "x"))
	h.sameEvents("live", more, f.reach(h.head()))
}

func followFromHead(h *harness) {
	library(h)
	f := h.follow(eventstore.All(), h.head())
	h.sameEvents("at the head", nil, f.batch().Events)
	for range 3 {
		more := h.seed(event("a", "x"), event("b", "x"))
		h.sameEvents("live", more, f.reach(h.head()))
	}
}

func followFromEvery(h *harness) {
	log := library(h)
	for _, q := range []eventstore.Query{eventstore.All(), eventstore.Category("cart"), byTag("customer:1")} {
		for i, e := range log {
			h.sameEvents(fmt.Sprintf("%v after event %d", q, i+1), matching(q, log[i+1:]), h.follow(q, e.Position).reach(h.head()))
		}
	}
}

func followBeyond(h *harness) {
	h.matches("Follow after position 1 of an empty store", h.follow(eventstore.All(), 1).ended(), eventstore.ErrInvalid)
	library(h)
	for _, beyond := range []eventstore.Position{1, 1_000} {
		err := h.follow(byTag("sku:1"), h.head()+beyond).ended()
		h.matches(fmt.Sprintf("Follow after %d beyond the head", beyond), err, eventstore.ErrInvalid)
	}
}

// seam follows while writers run, once from their start and once from their midst,
// and compares the yielded events with the log.
func seam(h *harness, q eventstore.Query) {
	const writers, commits = 3, 15
	n := len(library(h)) + 3*writers*commits
	var written atomic.Int32
	live := make(chan struct{}) // closed when the first follower has reached the head
	h.parallel(writers+2, func(i int) error {
		switch i {
		case 0:
			return followUntil(h, q, n, sync.OnceFunc(func() { close(live) }))
		case 1:
			for written.Load() < commits {
				if h.ctx.Err() != nil {
					return h.ctx.Err()
				}
				runtime.Gosched()
			}
			return followUntil(h, q, n, func() {})
		}
		select {
		case <-live:
		case <-h.ctx.Done():
		}
		for range commits {
			if _, err := h.try(unconditional(event("a", "x", "sku:1"), event("b", "y"), event("a", "x", "sku:1"))); err != nil {
				return err
			}
			written.Add(1)
		}
		return nil
	})
}

// followUntil follows from 0 until the log has n events and all were yielded.
func followUntil(h *harness, q eventstore.Query, n int, live func()) error {
	var events []eventstore.Event
	for b, err := range h.store.Follow(h.ctx, q, 0) {
		h.step("following %v at position %d", q, b.Through)
		if err != nil {
			return fmt.Errorf("Follow: expected a batch, found: %w", err)
		}
		if b.Live {
			live()
		}
		events = append(events, b.Events...)
		log, err := h.tryRead(h.ctx, eventstore.All(), eventstore.ReadOptions{To: b.Through})
		if err != nil {
			return err
		}
		if difference := diff(matching(q, log), events); difference != "" {
			return fmt.Errorf("following %v, through position %d: %s", q, b.Through, difference)
		}
		if len(log) >= n {
			return nil
		}
	}
	return errors.New("Follow ended without an error")
}

func followSeam(h *harness) { seam(h, eventstore.All()) }

func followSeamFiltered(h *harness) { seam(h, byTag("sku:1")) }

func followThrough(h *harness) {
	h.bulk(2_000, func(i int) eventstore.NewEvent {
		return event("a", fmt.Sprintf("type %d", i%7))
	})
	log := h.all()
	for _, q := range []eventstore.Query{byType("type 3"), byType("type 0", "type 6"), byType("absent")} {
		f := h.follow(q, 0)
		var events []eventstore.Event
		for f.through < h.head() {
			events = append(events, f.batch().Events...)
			h.sameEvents(fmt.Sprintf("%v through %d", q, f.through), bounded(matching(q, log), eventstore.ReadOptions{To: f.through}), events)
		}
	}
}

func manyFollowers(h *harness) {
	library(h)
	var followers []*follower
	for range 5 {
		followers = append(followers, h.follow(eventstore.All(), 0))
	}
	h.parallel(3, func(int) error {
		for range 5 {
			if _, err := h.try(unconditional(event("a", "x"), event("b", "x"))); err != nil {
				return err
			}
		}
		return nil
	})
	for i, f := range followers {
		h.sameEvents(fmt.Sprintf("follower %d", i+1), h.all(), f.reach(h.head()))
	}
}

func blockedFollower(h *harness) {
	blocked := h.follow(eventstore.All(), 0)
	blocked.batch()
	other := h.follow(eventstore.All(), 0)
	other.batch()
	for range 10 {
		h.bulk(600, func(int) eventstore.NewEvent { return event("a", "x") })
		h.equal("events of the other follower", 600, len(other.reach(h.head())))
	}
	h.sameEvents("what the blocked follower gets later", h.all(), blocked.reach(h.head()))
	more := h.seed(event("a", "x"))
	h.sameEvents("live", more, blocked.reach(h.head()))
}

func followAppends(h *harness) {
	h.write(event("numbers", "x"))
	seen := 0
	for b, err := range h.store.Follow(h.ctx, eventstore.Stream("numbers"), 0) {
		h.step("Follow, at position %d", b.Through)
		if err != nil {
			h.Fatalf("Follow: expected a batch, found %v", err)
		}
		for range b.Events {
			seen++
			h.append(expecting(eventstore.At(eventstore.Version(seen)), event("numbers", "x")))
		}
		if seen >= 20 {
			break
		}
	}
	h.equal("events that a follower got and answered", 20, seen)
}

func followAgain(h *harness) {
	log := library(h)
	sequence := h.store.Follow(h.ctx, eventstore.All(), log[4].Position)
	for range 2 {
		var events []eventstore.Event
		for b, err := range sequence {
			h.step("Follow, at position %d", b.Through)
			if err != nil {
				h.Fatalf("Follow: expected a batch, found %v", err)
			}
			events = append(events, b.Events...)
			if b.Through >= h.head() {
				break
			}
		}
		h.sameEvents("ranging again", log[5:], events)
		log = append(log, h.seed(event("a", "x"))...)
	}
}

// resume follows one batch at a time, each time from the last Through.
func resume(h *harness, q eventstore.Query, again func()) {
	h.bulk(900, func(i int) eventstore.NewEvent { return event("a", fmt.Sprintf("type %d", i%2)) })
	log := h.all()
	var events []eventstore.Event
	for checkpoint := eventstore.Position(0); checkpoint < log[len(log)-1].Position; {
		b := h.follow(q, checkpoint).batch()
		events = append(events, b.Events...)
		checkpoint = b.Through
		again()
	}
	h.sameEvents(fmt.Sprintf("%v, resumed after every batch", q), matching(q, log), events)
}

func followResumes(h *harness) {
	resume(h, eventstore.All(), func() {})
	resume(h, byType("type 1"), func() {})
}

func followReopened(h *harness) { resume(h, byType("type 1"), h.reopen) }

func followBreak(h *harness) {
	library(h)
	for range 20 {
		for _, err := range h.store.Follow(h.ctx, eventstore.All(), 0) {
			if err != nil {
				h.Fatalf("Follow: expected a batch, found %v", err)
			}
			break
		}
	}
	h.write(event("a", "x"))
	h.closeStore()
}

func followEndedContext(h *harness) {
	library(h)
	cancelled, cancel := context.WithCancel(h.ctx)
	cancel()
	h.matches("Follow with a cancelled context", h.followWith(cancelled, eventstore.All(), 0).ended(), context.Canceled)
	late, cancelLate := context.WithDeadline(h.ctx, time.Unix(0, 0))
	defer cancelLate()
	h.matches("Follow after the deadline", h.followWith(late, eventstore.All(), h.head()).ended(), context.DeadlineExceeded)
}

// whileWaiting calls end when a follower has reached the head and, as far as is
// visible without waiting for time to pass, waits there.
func whileWaiting(f *follower, end func()) error {
	f.reach(f.h.head())
	go func() {
		for range 1_000 {
			runtime.Gosched()
		}
		end()
	}()
	return f.ended()
}

func followContextEnds(h *harness) {
	library(h)
	for range 5 {
		ctx, cancel := context.WithCancel(h.ctx)
		err := whileWaiting(h.followWith(ctx, eventstore.All(), 0), cancel)
		h.matches("Follow whose context is cancelled", err, context.Canceled)
	}
	ctx, cancel := context.WithTimeout(h.ctx, time.Millisecond)
	defer cancel()
	f := h.followWith(ctx, eventstore.All(), h.head())
	var err error
	for err == nil {
		h.step("waiting for the end of a follower whose deadline passes")
		_, err, _ = f.next()
	}
	h.matches("Follow whose deadline passes", err, context.DeadlineExceeded)
}

func followClose(h *harness) {
	library(h)
	h.closed[h.store] = true
	closed := make(chan error, 1)
	err := whileWaiting(h.follow(eventstore.All(), 0), func() { closed <- h.store.Close() })
	h.matches("Follow whose store is closed", err, eventstore.ErrClosed)
	h.step("waiting for Close")
	h.equal("error of Close", error(nil), <-closed)
}

func followCloseInBody(h *harness) {
	library(h)
	f := h.follow(eventstore.All(), 0)
	f.reach(h.head())
	h.closeStore()
	h.matches("Follow whose store was closed by its body", f.ended(), eventstore.ErrClosed)
}

func followCloseCatchingUp(h *harness) {
	h.bulk(2_000, func(int) eventstore.NewEvent { return event("a", "x") })
	f := h.follow(eventstore.All(), 0)
	f.batch()
	h.closeStore()
	h.matches("Follow whose store was closed by its body", f.ended(), eventstore.ErrClosed)
}
