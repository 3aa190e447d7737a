package storetest

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
)

func commitRules() []rule {
	return []rule{
		{"all streams of a commit are written", writesAllStreams},
		{"nothing is written when one of many expectations fails", nothingOnConflict},
		{"nothing is written when the k-th event is invalid", nothingOnInvalid},
		{"nothing is written when the k-th event is over a limit", nothingOnTooLarge},
		{"a reader sees all of a commit or nothing", allOrNothingSeen},
		{"an empty commit is refused before anything is looked at", emptyCommit},
		{"a written stream without an expectation is refused", noExpectation},
		{"two expectations for one stream are refused", twoExpectations},
		{"the zero Expectation is refused", zeroExpectation},
		{"a number converted to an Expectation is refused", convertedExpectation},
		{"an event in no stream needs no expectation", noStreamNeedsNone},
		{"an expectation on a stream that is not written is judged", expectationOnOther},
		{"a failed commit leaves no event, no version, no key and no gap", failureLeavesNothing},
		{"an ended context leaves nothing", endedContext},
		{"a context that ends on the way leaves nothing, or Append succeeds", contextEndsOnTheWay},
		{"validity is judged before the key", validityBeforeKey},
		{"the key is judged before expectations and guards", keyBeforeConditions},
		{"expectations are judged before guards", expectationsBeforeGuards},
		{"AppendTo appends to one stream", appendTo},
	}
}

func writesAllStreams(h *harness) {
	log := h.seed(event("a", "1"), event("b", "2"), event("", "3"), event("c", "4"))
	h.sameEvents("the log", log, h.all())
	for i, stream := range []eventstore.StreamID{"a", "b", "", "c"} {
		h.equal("stream", stream, log[i].Stream)
		h.equal("type", fmt.Sprint(i+1), log[i].Type)
		if stream != "" {
			h.sameEvents(fmt.Sprintf("stream %q", stream), pick(log, i), h.read(eventstore.Stream(stream), everything))
		}
	}
}

func nothingOnConflict(h *harness) {
	h.write(event("c", "x"))
	c := unconditional(event("a", "x"), event("b", "x"), event("c", "x"))
	c.Expect[2].At = eventstore.At(2)
	h.conflicts(c)
	for _, stream := range []eventstore.StreamID{"a", "b"} {
		h.sameEvents(fmt.Sprintf("stream %q", stream), nil, h.read(eventstore.Stream(stream), everything))
	}
	h.append(expecting(eventstore.NoStream, event("a", "x")))
	h.append(expecting(eventstore.NoStream, event("b", "x")))
	h.append(expecting(eventstore.At(1), event("c", "x")))
}

func nothingOnInvalid(h *harness) {
	for k := range 3 {
		c := unconditional(event("a", "x"), event("b", "x"), event("a", "x"))
		c.Events[k].Type = ""
		h.fails(c, eventstore.ErrInvalid)
	}
	h.append(expecting(eventstore.NoStream, event("a", "x")))
}

func nothingOnTooLarge(h *harness) {
	large := make([]byte, h.store.Info().Limits.PayloadBytes+1)
	for k := range 3 {
		c := unconditional(event("a", "x"), event("b", "x"), event("a", "x"))
		c.Events[k].Data = large
		h.fails(c, eventstore.ErrTooLarge)
	}
	h.append(expecting(eventstore.NoStream, event("a", "x")))
}

func allOrNothingSeen(h *harness) {
	const commits, size = 20, 5
	var done atomic.Bool
	h.parallel(2, func(i int) error {
		if i == 0 {
			defer done.Store(true)
			for range commits {
				_, err := h.try(unconditional(event("a", "x"), event("b", "x"), event("", "x"), event("a", "x"), event("c", "x")))
				if err != nil {
					return err
				}
			}
			return nil
		}
		for last := false; !last; {
			last = done.Load()
			seen, err := h.tryRead(h.ctx, eventstore.All(), everything)
			if err != nil {
				return err
			}
			if len(seen)%size != 0 {
				return fmt.Errorf("a reader saw %d events of commits of %d", len(seen), size)
			}
		}
		return nil
	})
}

func emptyCommit(h *harness) {
	h.fails(eventstore.Commit{}, eventstore.ErrInvalid)
	h.write(event("a", "x"))
	h.fails(eventstore.Commit{
		Expect: []eventstore.Expect{{Stream: "a", At: eventstore.NoStream}},
		Guards: []eventstore.Guard{{Query: eventstore.All()}},
	}, eventstore.ErrInvalid)
	h.fails(eventstore.Commit{Key: "k", Events: []eventstore.NewEvent{}}, eventstore.ErrInvalid)
}

func noExpectation(h *harness) {
	c := unconditional(event("a", "x"), event("b", "x"))
	c.Expect = c.Expect[:1]
	h.fails(c, eventstore.ErrInvalid)
	h.fails(eventstore.Commit{Events: []eventstore.NewEvent{event("a", "x")}}, eventstore.ErrInvalid)
}

func twoExpectations(h *harness) {
	c := unconditional(event("a", "x"))
	c.Expect = append(c.Expect, c.Expect[0])
	h.fails(c, eventstore.ErrInvalid)
	c = unconditional(event("a", "x"))
	other := eventstore.Expect{Stream: "other", At: eventstore.Any}
	c.Expect = append(c.Expect, other, other)
	h.fails(c, eventstore.ErrInvalid)
}

func zeroExpectation(h *harness) {
	h.fails(expecting(0, event("a", "x")), eventstore.ErrInvalid)
	c := unconditional(event("a", "x"))
	c.Expect = append(c.Expect, eventstore.Expect{Stream: "other"})
	h.fails(c, eventstore.ErrInvalid)
}

func convertedExpectation(h *harness) {
	h.write(event("a", "1"), event("a", "2"))
	for _, number := range []eventstore.Expectation{1, 2, 3, 5, 1 << 32, math.MaxUint64, math.MaxUint64 - 1} {
		h.fails(expecting(number, event("a", "x")), eventstore.ErrInvalid)
	}
	for v := range eventstore.Version(4) {
		h.fails(expecting(eventstore.Expectation(v), event("a", "x")), eventstore.ErrInvalid)
	}
	h.append(expecting(eventstore.At(2), event("a", "3")))
}

func noStreamNeedsNone(h *harness) {
	h.append(eventstore.Commit{Events: []eventstore.NewEvent{event("", "x"), event("", "y")}})
	h.equal("number of events", 2, len(h.all()))
}

func expectationOnOther(h *harness) {
	h.write(event("other", "1"), event("other", "2"))
	c := unconditional(event("a", "x"))
	for _, wrong := range []eventstore.Expectation{eventstore.NoStream, eventstore.At(1), eventstore.At(3)} {
		c.Expect = []eventstore.Expect{c.Expect[0], {Stream: "other", At: wrong}}
		h.equal("stream of the conflict", eventstore.StreamID("other"), h.conflicts(c).Stream)
	}
	for _, right := range []eventstore.Expectation{eventstore.Any, eventstore.Exists, eventstore.At(2)} {
		c.Expect = []eventstore.Expect{c.Expect[0], {Stream: "other", At: right}}
		h.append(c)
	}
	h.equal("events of the other stream", 2, len(h.read(eventstore.Stream("other"), everything)))
}

func failureLeavesNothing(h *harness) {
	h.write(event("a", "x"))
	conflicting := unconditional(event("b", "x"), event("a", "x"))
	conflicting.Expect[1].At = eventstore.NoStream
	conflicting.Key = "k"
	h.conflicts(conflicting)
	guardedOne := guarded(eventstore.Guard{Query: eventstore.All()})
	guardedOne.Key = "k"
	h.conflicts(guardedOne)
	invalid := unconditional(event("b", "x"), event("a", ""))
	invalid.Key = "k"
	h.fails(invalid, eventstore.ErrInvalid)

	if receipt, found := h.lookup("k"); found {
		h.Fatalf("Lookup of the key of failed commits: expected nothing, found %+v", receipt)
	}
	before := h.head()
	c := expecting(eventstore.NoStream, event("b", "x"))
	c.Key = "k"
	receipt := h.append(c)
	if h.store.Info().Gapless {
		h.equal("position after failed commits", before+1, receipt.First)
	}
	h.equal("version after failed commits", []eventstore.StreamHead{{Stream: "b", Version: 1}}, receipt.Heads)
}

func endedContext(h *harness) {
	cancelled, cancel := context.WithCancel(h.ctx)
	cancel()
	late, cancelLate := context.WithDeadline(h.ctx, time.Unix(0, 0))
	defer cancelLate()
	c := expecting(eventstore.NoStream, event("a", "x"))
	c.Key = "k"
	for _, ctx := range []context.Context{cancelled, late} {
		h.step("Append with an ended context")
		_, err := h.store.Append(ctx, c)
		h.matches("Append with an ended context", err, ctx.Err())
		h.sameEvents("the log after it", nil, h.all())
	}
	h.append(c)
}

// lateContext is a context that ends at the n-th call of Err.
type lateContext struct {
	context.Context
	cancel context.CancelFunc
	left   atomic.Int64
}

func (c *lateContext) Err() error {
	if c.left.Add(-1) == 0 {
		c.cancel()
	}
	return c.Context.Err()
}

func contextEndsOnTheWay(h *harness) {
	for i := range 60 {
		var ctx lateContext
		ctx.Context, ctx.cancel = context.WithCancel(h.ctx)
		ctx.left.Store(int64(1 + i%6))
		h.step("Append with a context that ends when asked for the %d. time", 1+i%6)
		before := h.all()
		receipt, err := h.store.Append(&ctx, unconditional(event("a", fmt.Sprint(i))))
		ctx.cancel()
		if err != nil {
			h.matches("Append with a context that ends on the way", err, context.Canceled)
			h.sameEvents("the log after it", before, h.all())
			continue
		}
		after := h.all()
		h.sameEvents("the log before what was appended", before, after[:min(len(before), len(after))])
		h.equal("events after an Append that succeeded", len(before)+1, len(after))
		h.equal("position of the last", receipt.Last, after[len(after)-1].Position)
		h.equal("type of the last", fmt.Sprint(i), after[len(after)-1].Type)
	}
}

func validityBeforeKey(h *harness) {
	c := unconditional(event("a", "x"))
	c.Key = "k"
	h.append(c)
	c.Events = []eventstore.NewEvent{event("a", "")}
	h.fails(c, eventstore.ErrInvalid)
	c.Events = nil
	h.fails(c, eventstore.ErrInvalid)
	c = guarded(eventstore.Guard{Query: eventstore.Query{}})
	c.Key = "k"
	h.fails(c, eventstore.ErrInvalid)
}

func keyBeforeConditions(h *harness) {
	c := expecting(eventstore.NoStream, event("a", "x"))
	c.Guards = []eventstore.Guard{{Query: eventstore.All()}}
	c.Key = "k"
	first := h.append(c)
	h.write(event("a", "x"))
	h.repeats(c, first)
}

func expectationsBeforeGuards(h *harness) {
	h.write(event("a", "x"))
	c := expecting(eventstore.NoStream, event("a", "x"))
	c.Guards = []eventstore.Guard{{Query: eventstore.All()}}
	if conflict := h.conflicts(c); conflict.Guard != nil {
		h.Fatalf("a failed expectation and a failed guard: expected the expectation's conflict, found %v", &conflict)
	}
	c.Expect[0].At = eventstore.Any
	if conflict := h.conflicts(c); conflict.Guard == nil {
		h.Fatalf("a failed guard: expected the guard's conflict, found %v", &conflict)
	}
}

func appendTo(h *harness) {
	h.step("AppendTo")
	receipt, err := eventstore.AppendTo(h.ctx, h.store, "a", eventstore.NoStream, event("", "1"), event("a", "2"))
	if err != nil {
		h.Fatalf("AppendTo: expected success, found %v", err)
	}
	h.equal("heads", []eventstore.StreamHead{{Stream: "a", Version: 2}}, receipt.Heads)
	_, err = eventstore.AppendTo(h.ctx, h.store, "a", eventstore.NoStream, event("", "3"))
	h.matches("AppendTo under a wrong expectation", err, eventstore.ErrConflict)
	_, err = eventstore.AppendTo(h.ctx, h.store, "a", eventstore.At(2))
	h.matches("AppendTo of no events", err, eventstore.ErrInvalid)
	h.equal("events of the stream", 2, len(h.read(eventstore.Stream("a"), everything)))
}
