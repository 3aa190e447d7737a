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

// This file has the two parts of the tour in which two goroutines take part.

// slowStore is a store whose first append is held up until release is closed:
// the network of a shopper who decides on what is no longer true.
type slowStore struct {
	eventstore.Store
	first   sync.Once
	waiting chan struct{} // closed when the first append is held up
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
		her command is decided on the cart as it is, but before her event is appended, Bob
		adds four.`)
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
		return fmt.Errorf("ann did not get to append: %w", err)
	}
	t.out.printf("> Bob: %v\n", bobs)
	state, receipt, err := t.dispatch(ctx, bobs)
	close(slow.release)
	annsErr := <-done
	if err := errors.Join(err, annsErr); err != nil {
		return err
	}
	if err := t.show(ctx, "party", state, receipt); err != nil {
		return err
	}
	return t.showRetry(ctx, slow, annsResult)
}

// showRetry shows the conflict that Ann's repository met, and what it made of it.
func (t *tour) showRetry(
	ctx context.Context, slow *slowStore, result aggregate.Result[cart.State, cart.Event],
) error {
	var conflict *eventstore.ConflictError
	if len(slow.failed) != 1 || !errors.As(slow.failed[0], &conflict) {
		return fmt.Errorf("one conflict was to be, there were %v", slow.failed)
	}
	t.say(`
		Now Ann's event goes out, and the store does not take it:
		    conflict on %s: expected %v, is at version %d since %s
		Her repository reads what is new, asks the decider again, and appends that:`,
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
		A second goroutine follows the log. It reads all there is and then waits for more:
		it is woken for each commit and asks nobody in between.`)
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
		_, receipt, err := t.dispatch(ctx, cmd)
		if err != nil {
			return err
		}
		if err := seeThrough(ctx, batches, ended, receipt.Last, t.showFollowed); err != nil {
			return err
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// showFollowed shows what the follower got.
func (t *tour) showFollowed(stored eventstore.Event) error {
	r, err := t.record(stored)
	if err != nil {
		return err
	}
	t.out.printf("    follower: position %d  %s\n", r.Position, lineOf(r))
	return nil
}

// followInto sends all batches of the log, those to come too, until ctx ends.
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

// seeThrough takes batches until one reaches the position, and shows the visitor
// every event in them.
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
