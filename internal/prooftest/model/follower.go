package model

import (
	"errors"
	"fmt"
	"iter"

	"github.com/yore-es/yore/eventstore"
)

// follower follows both stores at once.
type follower struct {
	pair      *pair
	bolt, mem *followed
	over      bool // both have ended, with the same error
}

// followed is a Follow that is pulled from.
type followed struct {
	next    func() (eventstore.Batch, error, bool)
	stop    func()
	started bool
	through eventstore.Position
}

func (p *pair) newFollower(s step) *follower {
	return &follower{
		pair: p,
		bolt: follow(p, p.bolt, s),
		mem:  follow(p, p.memory, s),
	}
}

func follow(p *pair, store eventstore.Store, s step) *followed {
	next, stop := iter.Pull2(store.Follow(p.ctx, s.Query.toStore(), s.After))
	return &followed{next: next, stop: stop, through: s.After}
}

func (f *follower) stop() {
	f.bolt.stop()
	f.mem.stop()
}

// goOn follows up to the head in both stores. The stores may divide the events into
// different batches.
func (f *follower) goOn() error {
	if f.over {
		return nil
	}
	head, err := f.pair.memory.Head(f.pair.ctx)
	if err != nil && !errors.Is(err, eventstore.ErrClosed) {
		return fmt.Errorf("the oracle: %w", err)
	}
	expected, expectedErr := f.mem.reach(head)
	found, err := f.bolt.reach(head)
	f.over = expectedErr != nil
	return errors.Join(sameError("Follow", expectedErr, err), sameEvents("Follow", expected, found),
		same("Follow: through", f.mem.through, f.bolt.through))
}

// end takes the error that a follower at the head gets when the store is closed.
func (f *follower) end() error {
	defer f.stop()
	_, expectedErr, more := f.mem.next()
	_, err, isMore := f.bolt.next()
	return errors.Join(same("more", more, isMore), sameError("Follow", expectedErr, err))
}

// reach takes batches up to the head, and at least one from a new follower.
func (f *followed) reach(head eventstore.Position) (events []eventstore.Event, err error) {
	for !f.started || f.through < head {
		f.started = true
		batch, err, more := f.next()
		if err != nil || !more {
			return events, err
		}
		if batch.Through < f.through || batch.Live != (batch.Through == head) {
			return events, fmt.Errorf("batch through %d, live %v, where the head is %d and the one before went through %d",
				batch.Through, batch.Live, head, f.through)
		}
		events = append(events, batch.Events...)
		f.through = batch.Through
	}
	return events, nil
}
