package projection

import (
	"context"
	"errors"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// Ready waits until each of the projections can be read: until its version is
// live, whether it is run, attached or rebuilt. A server calls it before it
// listens. It ends at once, with the reason, if one cannot become live by itself:
// it has a fault, was replaced, or its run by this Host has stopped. It is
// [Host.Wait] for position 0, with its errors.
func (h *Host) Ready(ctx context.Context, ps ...*Projection) error { return h.Wait(ctx, 0, ps...) }

// Wait waits until each of the projections is live and shows the log up to a
// position, such as Receipt.Last: what was written can be read then. Nothing is
// polled: Wait is woken by what the same Host runs, attaches and rebuilds, and by
// every commit of events. What is done to a projection by other means is seen when
// Wait begins, after the next commit of events, and when the context ends.
//
// When the context ends, the error is a *LateError for each projection that is
// behind or not live, joined: the events are committed, only the view does not
// show them yet.
//
// A projection that cannot come there by itself ends the waiting at once: with a
// *[eventstore.FaultedError] if it has a fault; with a *ReplacedError if a later
// version is live; with ErrInvalid if it was built with other tables; and with a
// *LateError if its run by this Host has stopped, which wraps what it stopped with.
// One that was not begun, or is not run at the moment, is waited for.
//
// No projections, and a nil one, are ErrInvalid.
func (h *Host) Wait(ctx context.Context, position eventstore.Position, ps ...*Projection) error {
	if err := present(ps); err != nil {
		return err
	}
	signal := make(chan struct{}, 1)
	for _, p := range ps {
		defer h.subscribe(p, signal)()
	}
	late, err := h.settle(ctx, position, ps)
	if err != nil || len(late) == 0 {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	following, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { signalCommits(following, h.store, signal) })
	for {
		select {
		case <-signal:
			if late, err = h.settle(ctx, position, late); err != nil || len(late) == 0 {
				return err
			}
		case <-ctx.Done():
			return h.lateErrors(ctx, position, late)
		}
	}
}

// signalCommits signals every commit of the log, and its end. The rows of attached
// views are committed with the events, and by nothing else does the store say that
// they were, or that it was closed.
func signalCommits(ctx context.Context, store eventstore.Store, signal chan<- struct{}) {
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

// settle returns the projections that have not reached the position, and the
// errors of those that cannot.
func (h *Host) settle(ctx context.Context, position eventstore.Position, ps []*Projection) ([]*Projection, error) {
	var late []*Projection
	var stuck []error
	for _, p := range ps {
		stopped := h.stopped(p) // before it is looked where: it gets no further then
		at, err := h.reached(ctx, p)
		switch {
		case err == nil && at >= position:
		case err != nil && ctx.Err() != nil: // it may be the context's; lateErrors looks again
			late = append(late, p)
		case err != nil && !isNotLive(err):
			stuck = append(stuck, p.wrap("wait for", err))
		case stopped != nil:
			stuck = append(stuck, h.late(ctx, p, position, stopped))
		default:
			late = append(late, p)
		}
	}
	return late, errors.Join(stuck...)
}

// lateErrors returns a *LateError for each projection that is late, after a last
// look: ctx has ended.
func (h *Host) lateErrors(ctx context.Context, position eventstore.Position, ps []*Projection) error {
	last := context.WithoutCancel(ctx)
	late, err := h.settle(last, position, ps)
	errs := []error{err}
	for _, p := range late {
		errs = append(errs, h.late(last, p, position, context.Cause(ctx)))
	}
	return errors.Join(errs...)
}

// late returns the error of a projection that is late, because of what ended the
// waiting.
func (h *Host) late(ctx context.Context, p *Projection, position eventstore.Position, cause error) error {
	late := &LateError{Projection: p.name, Version: p.version, Wanted: position, State: Live, Err: cause}
	var err error
	if late.Actual, err = h.reached(ctx, p); isNotLive(err) {
		if late.State = NeverRun; errors.Is(err, ErrRebuilding) {
			late.State = Rebuilding
		}
	}
	late.Failure = p.lastFailure(ctx, h.store)
	return late
}

// isNotLive reports whether the error is that of a version that is not live yet.
func isNotLive(err error) bool {
	return errors.Is(err, ErrNeverRun) || errors.Is(err, ErrRebuilding)
}

// reached returns the position that the live build shows.
func (h *Host) reached(ctx context.Context, p *Projection) (eventstore.Position, error) {
	b, err := p.resolve(ctx, h.store)
	if err != nil {
		return 0, err
	}
	set, err := h.store.GetRows(ctx, b.view(p.name))
	if err != nil {
		return 0, err
	}
	return max(set.Checkpoint.Position, h.reported(p, b)), faulted(b.view(p.name), set.Checkpoint)
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
