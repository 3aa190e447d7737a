package boltstore

import (
	"slices"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// A commit is judged in two parts, so that the writer never waits for a page.
//
// The appending goroutine judges it against the durable log up to the head that
// it sees ([durable]), on disk where need be. What it finds there is final:
// versions only grow, keys stay, events that match a guard stay. If nothing is
// found, the writer judges the same commit, by the same function, against the
// groups of commits that came after that head, the one being formed included
// ([recent]); these are in memory. The groups form a linked list, and a request
// holds on to the group it was judged up to, so all later ones can be reached
// from it however long it took.
//
// Both parts together are all events before the commit, and nothing else (I5).

// judge returns the receipt of the commit that c repeats, marked so, or the
// conflict with which c ends, or neither if all of its conditions hold.
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

// checkExpectation returns the conflict in which the expectation ends, and the
// first event that breaks it, if it does not hold.
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

// repeats returns the receipt of the commit that wrote the event in which a
// condition of c failed, if that commit was c: the same ids in the same order.
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
