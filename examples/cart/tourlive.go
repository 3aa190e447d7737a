package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/examples/cart/cart"
)

// This file has the two parts of the tour with two goroutines.

// slowStore delays its first append until release is closed, like a slow network. The
// decision is then out of date.
type slowStore struct {
	eventstore.Store
	first   sync.Once
	waiting chan struct{} // closed when the first append waits
	release chan struct{}
	failed  []error // of appends
}

func (s *slowStore) Append(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	s.first.Do(func() {
		close(s.waiting)
		select {
		case <-s.release:
		case <-ctx.Done():
		}
	})
	receipt, err := s.Store.Append(ctx, c)
	if err != nil {
		s.failed = append(s.failed, err)
	}
	return receipt, err
}

func (t *tour) race(ctx context.Context) error {
	t.say(`
		Ann and Bob share the cart "party". Ann adds three lanterns over a slow network:
		the command is decided, but before its event is appended, Bob adds four.`)
	if _, err := t.do(ctx, pieces(1, stand, "party")); err != nil {
		return err
	}
	slow := &slowStore{Store: t.store, waiting: make(chan struct{}), release: make(chan struct{})}
	annsCarts, err := aggregate.NewRepository(slow, t.registry, cart.Decider, nil)
	if err != nil {
		return err
	}
	anns, bobs := pieces(3, lantern, "party"), pieces(4, lantern, "party")

	var annsResult aggregate.Result[cart.State, cart.Event]
	done := make(chan error, 1)
	t.out.printf("> Ann: %v   (decided, and held up)\n", anns)
	go func() {
		var err error
		annsResult, err = annsCarts.Execute(ctx, anns.Cart, anns)
		done <- err
	}()
	select {
	case <-slow.waiting:
	case err := <-done:
		return fmt.Errorf("ann's append did not begin: %w", err)
	}
	t.out.printf("> Bob: %v\n", bobs)
	outcome, err := t.dispatch(ctx, bobs)
	close(slow.release)
	annsErr := <-done
	if err := errors.Join(err, annsErr); err != nil {
		return err
	}
	if err := t.show(ctx, "party", outcome.State, outcome.Receipt); err != nil {
		return err
	}
	return t.showRetry(ctx, slow, annsResult)
}

// showRetry prints the conflict that Ann's repository got, and the second decision.
func (t *tour) showRetry(
	ctx context.Context, slow *slowStore, result aggregate.Result[cart.State, cart.Event],
) error {
	var conflict *eventstore.ConflictError
	if len(slow.failed) != 1 || !errors.As(slow.failed[0], &conflict) {
		return fmt.Errorf("expected one conflict, found %v", slow.failed)
	}
	t.say(`
		Now Ann's event is sent, and the store refuses it:
		    conflict on %s: expected %v, is at version %d since %s
		Ann's repository reads the new events, calls the decider again, and appends the
		result:`,
		conflict.Stream, conflict.Expected, conflict.Actual, conflict.Type)
	if err := t.show(ctx, "party", result.State, result.Receipt); err != nil {
		return err
	}
	t.say(`
		No lock was held meanwhile, and nothing was lost.`)
	return nil
}

func (t *tour) follow(ctx context.Context) error {
	var follower sync.WaitGroup
	defer follower.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.say(`
		A second goroutine follows the log. It reads all events and then waits for more.
		Each commit wakes it; it does not poll.`)
	batches := make(chan eventstore.Batch)
	ended := make(chan error, 1)
	follower.Go(func() { ended <- followInto(ctx, t.store, batches) })

	head, err := t.store.Head(ctx)
	if err != nil {
		return err
	}
	caughtUp := 0
	err = seeThrough(ctx, batches, ended, head, func(eventstore.Event) error { caughtUp++; return nil })
	if err != nil {
		return err
	}
	t.out.printf("    follower: %d events read, waiting at position %d\n", caughtUp, head)
	for _, cmd := range []cart.Command{
		pieces(2, heart, "bob"),
		cart.Checkout{Cart: "bob"},
		cart.Checkout{Cart: "party"},
	} {
		t.out.printf("> %v\n", cmd)
		outcome, err := t.dispatch(ctx, cmd)
		if err != nil {
			return err
		}
		if err := seeThrough(ctx, batches, ended, outcome.Receipt.Last, t.showFollowed); err != nil {
			return err
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// showFollowed prints the events that the follower received.
func (t *tour) showFollowed(stored eventstore.Event) error {
	r, err := t.record(stored)
	if err != nil {
		return err
	}
	t.out.printf("    follower: position %d  %s\n", r.Position, lineOf(r))
	return nil
}

// followInto sends the batches of the log, and later ones, until ctx ends.
func followInto(ctx context.Context, store eventstore.Store, batches chan<- eventstore.Batch) error {
	for batch, err := range store.Follow(ctx, eventstore.All(), 0) {
		if err != nil {
			return err
		}
		select {
		case batches <- batch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// seeThrough receives batches until one reaches the position, and calls the visitor with
// every event.
func seeThrough(
	ctx context.Context, batches <-chan eventstore.Batch, ended <-chan error,
	position eventstore.Position, visit func(eventstore.Event) error,
) error {
	for {
		select {
		case batch := <-batches:
			for _, event := range batch.Events {
				if err := visit(event); err != nil {
					return err
				}
			}
			if batch.Through >= position {
				return nil
			}
		case err := <-ended:
			return fmt.Errorf("follow the log: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
