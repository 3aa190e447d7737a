package projection

import (
	"context"
	"errors"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// Wait waits until each of the projections shows the log up to a position, such
// as Receipt.Last: what was written can be read then. It is woken by the [Run],
// [Runner], [Attach] or [Rebuild] of the same Projection values in this process,
// and polls nothing; what another value or process does is seen when Wait begins
// and when the context ends.
//
// When the context ends, the error is a *LateError for each projection that is
// behind, joined: the events are committed, only the view does not show them yet. A
// projection that cannot come there by itself, because it has a fault or was
// replaced, ends the waiting at once, with a *[eventstore.FaultedError] or
// *ReplacedError; so does one that was built with other tables, with ErrInvalid.
// One that is not live yet is waited for.
func Wait(ctx context.Context, store eventstore.RowStore, position eventstore.Position, ps ...*Projection) error {
	signal := make(chan struct{}, 1)
	for _, p := range ps {
		defer p.subscribe(idOf(store), signal)()
	}
	late, err := settle(ctx, store, position, ps)
	if err != nil || len(late) == 0 {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	following, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { wake(following, store, signal) })
	for {
		select {
		case <-signal:
			if late, err = settle(ctx, store, position, late); err != nil || len(late) == 0 {
				return err
			}
		case <-ctx.Done():
			return lateErrors(ctx, store, position, late)
		}
	}
}

// wake signals every commit of the log, and its end: the store tells nobody but
// those who follow the log of the rows that it commits with the events, and of
// its being closed.
func wake(ctx context.Context, store eventstore.Store, signal chan<- struct{}) {
	head, err := store.Head(ctx)
	if err == nil {
		// No event matches: all batches are empty, and cost little.
		nothing := eventstore.Match(eventstore.Item{Types: []string{"yore: nothing"}, Tags: []eventstore.Tag{"yore: nothing"}})
		for _, err = range store.Follow(ctx, nothing, head) {
			if err == nil {
				send(signal)
			}
		}
	}
	send(signal)
}

// send puts a signal into the channel, unless there is one that nobody has looked
// at yet.
func send(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

// settle returns the projections that have not reached the position, and the
// errors of those that cannot.
func settle(ctx context.Context, store eventstore.RowStore, position eventstore.Position, ps []*Projection) ([]*Projection, error) {
	var late []*Projection
	var stuck []error
	for _, p := range ps {
		at, err := p.reached(ctx, store)
		switch {
		case err == nil && at >= position:
		case err == nil, isNotLive(err), ctx.Err() != nil:
			late = append(late, p)
		default:
			stuck = append(stuck, p.wrap("wait for", err))
		}
	}
	return late, errors.Join(stuck...)
}

// lateErrors returns a *LateError for each projection that is late, after a last
// look: ctx has ended.
func lateErrors(ctx context.Context, store eventstore.RowStore, position eventstore.Position, ps []*Projection) error {
	last := context.WithoutCancel(ctx)
	late, err := settle(last, store, position, ps)
	errs := []error{err}
	for _, p := range late {
		at, _ := p.reached(last, store)
		errs = append(errs, &LateError{
			Projection: p.name, Version: p.version, Wanted: position, Actual: at,
			Failure: p.lastFailure(last, store), Err: context.Cause(ctx),
		})
	}
	return errors.Join(errs...)
}

// isNotLive reports whether the error is that of a version that is not live yet.
func isNotLive(err error) bool {
	return errors.Is(err, ErrNeverRun) || errors.Is(err, ErrRebuilding)
}

// reached returns the position that the live build shows.
func (p *Projection) reached(ctx context.Context, store eventstore.RowStore) (eventstore.Position, error) {
	b, err := p.resolve(ctx, store)
	if err != nil {
		return 0, err
	}
	set, err := store.GetRows(ctx, b.view(p.name))
	if err != nil {
		return 0, err
	}
	return max(set.Checkpoint.Position, p.known(idOf(store), b)), faulted(b.view(p.name), set.Checkpoint)
}

// lastFailure returns what the projection stands before, or nil.
func (p *Projection) lastFailure(ctx context.Context, store eventstore.RowStore) *Failure {
	_, b, state, err := p.current(ctx, store)
	if err != nil || state != Live && state != Rebuilding {
		return nil
	}
	set, err := store.GetRows(ctx, b.view(p.name))
	if err != nil {
		return nil
	}
	return pending(set.Checkpoint)
}

// pending returns the failure that a checkpoint stands before, or nil.
func pending(c eventstore.Checkpoint) *Failure {
	if f := readData(c).Failure; f != nil && f.Position > c.Position {
		return f
	}
	return nil
}
