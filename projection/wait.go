package projection

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// Ready waits until each of the projections can be read: until its version is live,
// whether it is run, attached or rebuilt. A server calls it before it listens. It ends at
// once, with the reason, if a projection cannot become live by itself: because it has a
// fault, was replaced, or its run by this Host has stopped. It is [Host.Wait] for
// position 0, with its errors.
func (h *Host) Ready(ctx context.Context, ps ...*Projection) error { return h.Wait(ctx, 0, ps...) }

// Wait waits until each of the projections is live, is not late (see [Host.Attach]), and
// shows the log up to a position, such as Receipt.Last: then what was written can be read. Wait does not poll. It is woken
// by what the same Host runs, attaches and rebuilds, and by every commit of events. It
// sees what other hosts do to a projection when it begins, after the next commit of
// events, and when the context ends.
//
// When the context ends, the error is a *LateError for each projection that is behind
// or not live, joined: the events are committed, only the view does not show them yet.
//
// A projection that cannot reach the position by itself ends the wait at once:
//
//   - a *[eventstore.FaultedError] if it has a fault,
//   - a *ReplacedError if a later version is live,
//   - ErrInvalid if its live build has other tables,
//   - a *LateError if its run by this Host has stopped; it wraps the reason.
//
// Wait goes on for a projection that was never run, or that is not being run now.
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
	behind, err := h.behind(ctx, position, ps)
	if err != nil || len(behind) == 0 {
		return err
	}
	var commits sync.WaitGroup
	defer commits.Wait()
	following, stop := context.WithCancel(ctx)
	defer stop()
	commits.Go(func() { signalCommits(following, h.store, signal) })
	for {
		select {
		case <-signal:
			if behind, err = h.behind(ctx, position, behind); err != nil || len(behind) == 0 {
				return err
			}
		case <-ctx.Done():
			return h.lateErrors(ctx, position, behind)
		}
	}
}

// signalCommits signals every commit of events, and the end of the log. The rows of
// attached views are committed with the events, and the store reports that in no other way.
func signalCommits(ctx context.Context, store eventstore.Store, signal chan<- struct{}) {
	head, err := store.Head(ctx)
	if err == nil {
		// No event matches: all batches are empty and cost little.
		nothing := eventstore.Match(eventstore.Item{Types: []string{"yore: nothing"}, Tags: []eventstore.Tag{"yore: nothing"}})
		for _, err = range store.Follow(ctx, nothing, head) {
			if err == nil {
				send(signal)
			}
		}
	}
	send(signal)
}

// behind returns the projections that are behind the position and may still reach it, and
// the errors of those that cannot, joined.
func (h *Host) behind(ctx context.Context, position eventstore.Position, ps []*Projection) (behind []*Projection, err error) {
	var stuck []error
	for _, p := range ps {
		late, err := h.late(ctx, position, p)
		switch {
		case err != nil && ctx.Err() != nil: // it may be the context's error; lateErrors looks again
			behind = append(behind, p)
		case err != nil:
			stuck = append(stuck, err)
		case late == nil:
		case late.Err != nil:
			stuck = append(stuck, late)
		default:
			behind = append(behind, p)
		}
	}
	return behind, errors.Join(stuck...)
}

// lateErrors looks at the projections once more after ctx has ended, and returns their
// errors.
func (h *Host) lateErrors(ctx context.Context, position eventstore.Position, ps []*Projection) error {
	var errs []error
	for _, p := range ps {
		late, err := h.late(context.WithoutCancel(ctx), position, p)
		if late != nil {
			late.Err = cmp.Or(late.Err, context.Cause(ctx))
			err = late
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// late returns nil if the projection is live and shows the position, and otherwise a
// LateError. The Err of the LateError is set if the run of the projection has stopped. The
// error is that of a projection that cannot reach the position by itself.
func (h *Host) late(ctx context.Context, position eventstore.Position, p *Projection) (*LateError, error) {
	late := &LateError{Projection: p.name, Version: p.version, Wanted: position}
	late.Err = h.stopped(p) // before the reads: a run that has stopped changes nothing any more
	b, set, err := p.live(ctx, h.store)
	var building *RebuildingError
	switch {
	case err == nil:
		at := set.Checkpoint
		late.State, late.Actual, late.Failure = Live, max(at.Position, h.reported(p, b)), pending(at)
		if late.Actual >= position && set.Late == nil {
			return nil, nil
		}
	case errors.As(err, &building):
		late.State, late.Failure = Rebuilding, building.Failure
	case errors.Is(err, ErrNeverRun):
		late.State = NeverRun
	default:
		return nil, p.wrap("wait for", err)
	}
	return late, nil
}

// live returns the live build and the checkpoint in its RowSet.
func (p *Projection) live(ctx context.Context, r Reader) (b build, set eventstore.RowSet, err error) {
	if b, err = p.resolve(ctx, r); err != nil {
		return b, set, err
	}
	if set, err = r.GetRows(ctx, b.view(p.name)); err != nil {
		return b, set, err
	}
	return b, set, faulted(b.view(p.name), set.Checkpoint)
}

// pending returns the failure of the event that comes after a checkpoint, or nil.
func pending(c eventstore.Checkpoint) *Failure {
	if f := readData(c).Failure; f != nil && f.Position > c.Position {
		return f
	}
	return nil
}
