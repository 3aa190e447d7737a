package storetest

import (
	"errors"
	"fmt"
	"math"

	"github.com/yore-es/yore/eventstore"
)

func versionRules() []rule {
	return []rule{
		{"versions of a stream are 1, 2, 3 without gaps", versionsGapless},
		{"two streams that alternate keep their own versions", versionsInterleaved},
		{"two streams in one commit (A, B, A) keep their own versions", versionsInOneCommit},
		{"an event in no stream has version 0", noStreamNoVersion},
		{"a receipt says the versions of the written streams, in the order they are first written", receiptHeads},
		{"Any holds with and without events", anyHolds},
		{"NoStream holds for a stream without events and conflicts otherwise", noStream},
		{"At(0) equals NoStream", atZero},
		{"Exists holds for a stream with events", existsHolds},
		{"Exists on an empty stream conflicts", existsConflicts},
		{"At the actual version holds", atActual},
		{"At a version below the actual conflicts and names the first event after it", atBelow},
		{"At a version beyond the actual conflicts", atBeyond},
		{"a conflict says stream, expected and actual, and nothing of a guard", conflictSays},
		{"an expectation is judged before the commit's own events", judgedBeforeOwn},
		{"exactly one of many concurrent At(v) wins", oneWinner},
		{"no update is lost among writers that read, decide and append", noLostUpdate},
	}
}

func versionsOf(events []eventstore.Event) []eventstore.Version {
	var versions []eventstore.Version
	for _, e := range events {
		versions = append(versions, e.Version)
	}
	return versions
}

func versionsGapless(h *harness) {
	h.write(event("a", "x"))
	h.write(event("a", "x"), event("a", "x"))
	h.conflicts(expecting(eventstore.At(9), event("a", "x")))
	h.write(event("a", "x"))
	h.equal("versions", []eventstore.Version{1, 2, 3, 4}, versionsOf(h.read(eventstore.Stream("a"), everything)))
}

func versionsInterleaved(h *harness) {
	for range 3 {
		h.write(event("a", "x"))
		h.write(event("b", "x"))
	}
	h.write(event("b", "x"))
	h.equal("versions of a", []eventstore.Version{1, 2, 3}, versionsOf(h.read(eventstore.Stream("a"), everything)))
	h.equal("versions of b", []eventstore.Version{1, 2, 3, 4}, versionsOf(h.read(eventstore.Stream("b"), everything)))
}

func versionsInOneCommit(h *harness) {
	h.write(event("b", "x"))
	log := h.seed(event("a", "x"), event("b", "x"), event("a", "x"))
	h.equal("versions of a, b, a", []eventstore.Version{1, 2, 2}, versionsOf(log))
}

func noStreamNoVersion(h *harness) {
	log := h.seed(event("", "x"), event("a", "x"), event("", "x"))
	h.equal("versions", []eventstore.Version{0, 1, 0}, versionsOf(log))
	log = h.seed(event("", "x"))
	h.equal("version", eventstore.Version(0), log[0].Version)
}

func receiptHeads(h *harness) {
	h.write(event("b", "x"), event("b", "x"))
	receipt := h.write(event("c", "x"), event("", "x"), event("b", "x"), event("a", "x"), event("c", "x"))
	h.equal("heads", []eventstore.StreamHead{
		{Stream: "c", Version: 2}, {Stream: "b", Version: 3}, {Stream: "a", Version: 1},
	}, receipt.Heads)
	if heads := h.write(event("", "x")).Heads; len(heads) > 0 {
		h.Fatalf("heads of a commit in no stream: expected none, found %+v", heads)
	}
}

func anyHolds(h *harness) {
	h.append(expecting(eventstore.Any, event("a", "x")))
	h.append(expecting(eventstore.Any, event("a", "x")))
}

func noStream(h *harness) {
	h.append(expecting(eventstore.NoStream, event("a", "first"), event("a", "second")))
	conflict := h.conflicts(expecting(eventstore.NoStream, event("a", "x")))
	h.equal("type of the first conflicting event", "first", conflict.Type)
}

func atZero(h *harness) {
	h.append(expecting(eventstore.At(0), event("a", "x")))
	h.append(expecting(eventstore.At(0), event("b", "x")))
	zero := h.conflicts(expecting(eventstore.At(0), event("b", "x")))
	none := h.conflicts(expecting(eventstore.NoStream, event("b", "x")))
	h.equal("conflict of At(0)", none, zero)
}

func existsHolds(h *harness) {
	h.write(event("a", "x"))
	h.append(expecting(eventstore.Exists, event("a", "x")))
}

func existsConflicts(h *harness) {
	h.write(event("a", "x"))
	conflict := h.conflicts(expecting(eventstore.Exists, event("b", "x")))
	h.equal("conflict", eventstore.ConflictError{Stream: "b", Expected: eventstore.Exists}, conflict)
}

func atActual(h *harness) {
	h.append(expecting(eventstore.At(0), event("a", "x"), event("a", "x")))
	h.write(event("b", "x"))
	h.append(expecting(eventstore.At(2), event("a", "x")))
	h.append(expecting(eventstore.At(3), event("a", "x")))
}

func atBelow(h *harness) {
	h.write(event("b", "other"))
	log := h.seed(event("a", "1"), event("b", "other"), event("a", "2"), event("a", "3"))
	h.write(event("a", "4"))
	conflict := h.conflicts(expecting(eventstore.At(1), event("a", "x")))
	h.equal("conflict", eventstore.ConflictError{
		Stream: "a", Expected: eventstore.At(1), Actual: 4, Position: log[2].Position, Type: "2",
	}, conflict)
}

func atBeyond(h *harness) {
	h.write(event("a", "x"), event("b", "x"))
	for _, v := range []eventstore.Version{2, 1000, math.MaxUint64 - 3, math.MaxUint64} {
		conflict := h.conflicts(expecting(eventstore.At(v), event("a", "x")))
		h.equal("conflict", eventstore.ConflictError{Stream: "a", Expected: eventstore.At(v), Actual: 1}, conflict)
	}
	conflict := h.conflicts(expecting(eventstore.At(1), event("never", "x")))
	h.equal("conflict", eventstore.ConflictError{Stream: "never", Expected: eventstore.At(1)}, conflict)
}

func conflictSays(h *harness) {
	log := h.seed(event("a", "1"), event("b", "1"), event("b", "2"))
	c := unconditional(event("a", "x"))
	c.Expect = append(c.Expect,
		eventstore.Expect{Stream: "b", At: eventstore.At(1)},
		eventstore.Expect{Stream: "c", At: eventstore.Exists})
	h.equal("the first expectation that does not hold", eventstore.ConflictError{
		Stream: "b", Expected: eventstore.At(1), Actual: 2, Position: log[2].Position, Type: "2",
	}, h.conflicts(c))
	c.Expect[1], c.Expect[2] = c.Expect[2], c.Expect[1]
	h.equal("the first expectation that does not hold", eventstore.ConflictError{
		Stream: "c", Expected: eventstore.Exists,
	}, h.conflicts(c))
}

func judgedBeforeOwn(h *harness) {
	h.append(expecting(eventstore.At(0), event("a", "x"), event("a", "x"), event("a", "x")))
	h.conflicts(expecting(eventstore.Exists, event("b", "x"), event("b", "x")))
	h.conflicts(expecting(eventstore.At(4), event("a", "x"), event("a", "x")))
}

func oneWinner(h *harness) {
	h.write(event("a", "x"))
	for round := range 4 {
		var commits []eventstore.Commit
		for range 8 {
			commits = append(commits, expecting(eventstore.At(eventstore.Version(1+round)), event("a", "x")))
		}
		h.equal("winners among 8 that expect the same version", 1, h.race(commits...))
	}
	h.equal("events of the stream", 5, len(h.read(eventstore.Stream("a"), everything)))
}

// noLostUpdate counts in a stream: each event's schema version is one more than the
// one that its writer read.
func noLostUpdate(h *harness) {
	const writers, updates = 4, 5
	h.parallel(writers, func(int) error {
		for done := 0; done < updates; {
			read, err := h.tryRead(h.ctx, eventstore.Stream("counter"), everything)
			if err != nil {
				return err
			}
			next := event("counter", "counted")
			next.SchemaVersion = uint32(len(read)) + 1
			_, err = h.try(expecting(eventstore.At(eventstore.Version(len(read))), next))
			if err == nil {
				done++
			} else if !errors.Is(err, eventstore.ErrConflict) {
				return err
			}
		}
		return nil
	})
	log := h.read(eventstore.Stream("counter"), everything)
	h.equal("number of updates", writers*updates, len(log))
	for i, e := range log {
		h.equal(fmt.Sprintf("count in event %d", i+1), uint32(i+1), e.SchemaVersion)
	}
}
