package projection

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// current returns the pointer, the state of this version in it, and its build if the
// state is Live or Rebuilding. It is an error if the live build has other tables than
// this projection declares.
func (p *Projection) current(ctx context.Context, r Reader) (at *pointer, b build, state State, err error) {
	if at, err = p.pointer(ctx, r); err != nil {
		return nil, build{}, NeverRun, err
	}
	switch unfinished := at.unfinished(p.version); {
	case at.Live != nil && at.Live.Version == p.version:
		return at, *at.Live, Live, at.Live.checkTables(p.declared())
	case at.Live != nil && at.Live.Version > p.version:
		return at, build{}, Replaced, nil
	case unfinished != nil:
		return at, *unfinished, Rebuilding, nil
	default:
		return at, build{}, NeverRun, nil
	}
}

// resolve returns the live build of this version, or the error for its readers.
func (p *Projection) resolve(ctx context.Context, r Reader) (build, error) {
	at, b, state, err := p.current(ctx, r)
	if err != nil {
		return build{}, err
	}
	switch state {
	case Live:
		return b, nil
	case Replaced:
		return build{}, p.replaced(at)
	case Rebuilding:
		return build{}, p.rebuilding(ctx, r, b)
	default:
		return build{}, fmt.Errorf("%w: %s version %d", ErrNeverRun, quote.Name(p.name), p.version)
	}
}

// rebuilding returns the error for readers of a build that is not live yet.
func (p *Projection) rebuilding(ctx context.Context, r Reader, b build) error {
	set, err := r.GetRows(ctx, b.view(p.name))
	if err != nil {
		return err
	}
	if err := faulted(b.view(p.name), set.Checkpoint); err != nil {
		return err
	}
	head, err := r.Head(ctx)
	if err != nil {
		return err
	}
	return &RebuildingError{
		Projection: p.name, Version: p.version, Done: set.Checkpoint.Position, Total: head, Failure: pending(set.Checkpoint),
	}
}

// getRows returns rows of the live build.
func (p *Projection) getRows(ctx context.Context, r Reader, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	var before build
	for {
		b, err := p.resolve(ctx, r)
		if err != nil {
			return eventstore.RowSet{}, err
		}
		set, err := r.GetRows(ctx, b.view(p.name), keys...)
		if err != nil {
			return eventstore.RowSet{}, err
		}
		if !set.Checkpoint.IsZero() {
			return set, cmp.Or(faulted(b.view(p.name), set.Checkpoint), p.late(set))
		}
		if b == before {
			return eventstore.RowSet{}, missing(b.view(p.name))
		}
		before = b // the build was replaced and dropped since it was resolved
	}
}

// scanPages yields the rows of the live build in pages, at least one. An error is the last
// element.
func (p *Projection) scanPages(ctx context.Context, r Reader, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
	return func(yield func(eventstore.RowSet, error) bool) {
		b, err := p.resolve(ctx, r)
		if err != nil {
			yield(eventstore.RowSet{}, err)
			return
		}
		view := b.view(p.name)
		for page, err := range r.ScanRows(ctx, view, scan) {
			if err == nil && page.Checkpoint.IsZero() {
				err = p.dropped(ctx, r, view)
			}
			if err == nil {
				err = cmp.Or(faulted(view, page.Checkpoint), p.late(page))
			}
			if err != nil {
				yield(eventstore.RowSet{}, err)
				return
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// dropped returns the error for a reader whose view was dropped since it was resolved.
func (p *Projection) dropped(ctx context.Context, r Reader, view eventstore.ViewID) error {
	b, err := p.resolve(ctx, r)
	if err == nil && b.view(p.name) == view {
		return missing(view)
	}
	if err == nil {
		err = &ReplacedError{Projection: p.name, Version: p.version, By: p.version}
	}
	return err
}

// missing returns the error for a live view without a checkpoint.
func missing(view eventstore.ViewID) error {
	return fmt.Errorf("%w: view %q has no checkpoint; rebuild it", eventstore.ErrCorrupt, view)
}

// late returns the error for readers of an attached view that is late, or nil.
func (p *Projection) late(set eventstore.RowSet) error {
	if set.Late == nil {
		return nil
	}
	return &LateError{
		Projection: p.name, Version: p.version, Actual: set.Checkpoint.Position, State: Live,
		Err: &overrunError{*set.Late},
	}
}

// overrunError is why an attached view is late.
type overrunError struct{ late eventstore.Late }

// Error implements error.
func (e *overrunError) Error() string {
	return fmt.Sprintf("it is attached, late since %s, and catches up by itself: %s", e.late.Since.Format(time.RFC3339), e.late.Reason)
}

// faulted returns the error for readers of a view with a fault, or nil.
func faulted(view eventstore.ViewID, at eventstore.Checkpoint) error {
	if at.Fault == nil {
		return nil
	}
	return &eventstore.FaultedError{View: view, Through: at.Position, Fault: *at.Fault}
}
