package boltstore

import (
	"slices"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// # A commit is judged in two parts
//
// Problem. A commit's key, expectations and guards are judged against all events before it,
// which are on disk. If the writer did that, every append would wait for the slowest page
// read.
//
// Invariants. A commit is judged against all events before it, and no others (I5). The
// writer reads no page to judge. A condition that fails in the caller's part is final:
// versions only grow, keys and events that match a guard stay.
//
// Steps. The appending goroutine judges the commit against the durable log up to the head
// that it sees ([durable]). If all conditions hold there, the writer judges the commit
// again, by the same function, against the groups of commits after that head, including
// the group that is being formed ([recent]); these are in memory. Published groups form a
// linked list, and a request refers to the last group that it was judged against. So all
// later groups can be reached from it, however long its caller took, and are garbage when
// no request refers to them. If many events were published meanwhile, the caller judges
// them too (advance), so that few are left for the writer.
//
// Rejected. A ring of recent events of fixed size: a caller slower than the ring would have
// to judge again, and beside bulk appends might never succeed (docs/adr/0001).

// judge returns the receipt of the commit that c repeats, with Repeated set and the second
// result true; or the conflict of the first condition of c that fails; or neither if all
// conditions hold.
func judge(c *eventstore.Commit, p past) (eventstore.Receipt, bool, error) {
	if c.Key != "" {
		receipt, found, err := p.byKey(c.Key)
		if err != nil || found {
			receipt.Repeated = found
			return receipt, found, err
		}
	}
	var first *eventstore.ConflictError
	failed := func(conflict *eventstore.ConflictError, s sighting) (eventstore.Receipt, bool, error) {
		conflict.Position, conflict.Type = s.position, s.eventType
		if first == nil {
			first = conflict
		}
		if c.Key != "" {
			return eventstore.Receipt{}, false, nil
		}
		return repeats(c, p, s)
	}
	for i := range c.Expect {
		conflict, s, err := checkExpectation(&c.Expect[i], i, p)
		if err != nil {
			return eventstore.Receipt{}, false, err
		}
		if conflict != nil {
			if receipt, repeated, err := failed(conflict, s); err != nil || repeated {
				return receipt, repeated, err
			}
		}
	}
	for i, g := range c.Guards {
		s, err := p.firstMatch(g.Query, g.After)
		if err != nil {
			return eventstore.Receipt{}, false, err
		}
		if s.position > 0 {
			conflict := &eventstore.ConflictError{Guard: &g, GuardIndex: i}
			if receipt, repeated, err := failed(conflict, s); err != nil || repeated {
				return receipt, repeated, err
			}
		}
	}
	if first != nil {
		return eventstore.Receipt{}, false, first
	}
	return eventstore.Receipt{}, false, nil
}

// checkExpectation returns a conflict and the first event that broke the expectation, or
// nil if the i-th expectation holds.
func checkExpectation(x *eventstore.Expect, i int, p past) (*eventstore.ConflictError, sighting, error) {
	actual, err := p.version(i)
	if err != nil || x.At.Holds(actual) {
		return nil, sighting{}, err
	}
	var s sighting
	if v := x.At.FirstConflict(actual); v > 0 {
		if s, err = p.event(i, v); err != nil {
			return nil, sighting{}, err
		}
	}
	return &eventstore.ConflictError{Stream: x.Stream, Expected: x.At, Actual: actual}, s, nil
}

// repeats returns the receipt of the commit that wrote the event s, which broke a condition
// of c, if that commit was c itself: it has the same ids in the same order.
func repeats(c *eventstore.Commit, p past, s sighting) (eventstore.Receipt, bool, error) {
	ofCommit := func(e eventstore.NewEvent) bool { return e.ID == s.id }
	if s.position == 0 || !slices.ContainsFunc(c.Events, ofCommit) {
		return eventstore.Receipt{}, false, nil
	}
	ids, receipt, err := p.commit(s)
	same := slices.EqualFunc(ids, c.Events, func(id uuid.UUID, e eventstore.NewEvent) bool { return id == e.ID })
	if err != nil || !same {
		return eventstore.Receipt{}, false, err
	}
	receipt.Repeated = true
	return receipt, true, nil
}
