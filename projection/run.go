package projection

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// Run keeps the projections up to date, each on a goroutine of its own: it applies
// the events that came since they last ran, then those to come, as they come. It
// returns when the context has ended, or when no projection is left that can be
// run. What was done is committed then, and no goroutine is left.
//
// A projection that fails keeps no other from going on. Each failure is logged to
// Options.Logger when it happens.
//
//   - With the policy [Stop], one that cannot apply an event stops there, with a
//     *HandlerError. The events before are applied, and [Host.Status] says what it
//     stopped at. The next Run goes on with that event.
//   - A version stops with a *ReplacedError when a later one is or becomes live.
//   - One that is attached, or was built with other events, tables or indexes than
//     it declares now, stops with ErrInvalid. Every one stops when the store is
//     closed, has failed, or was opened for reading only.
//   - After every other error it is run again, at first after Options.MinBackoff,
//     then after twice as long each time: errors of the store that pass; a
//     *[eventstore.FaultedError] of a view that waits for a Rebuild; and a
//     *[eventstore.CheckpointError], when another process or goroutine runs the
//     same version too and was faster. Nothing is doubled then.
//
// Run never returns nil. It returns, joined, the context's error if that has
// ended, and of each projection the error that it stopped with, or had last failed
// with and not got further since. Faults of the definitions are ErrInvalid: all of
// them are returned before anything is run.
//
// Rows and checkpoint are committed together: an event is applied once, whatever
// is killed when, and whatever a commit came to. Behind, many events are committed
// at a time, what was done in a quarter of a second; at the head, each batch is, at
// once. A position without changed rows is committed after 4,096 positions, or 10
// seconds. Events are read and decoded some batches ahead, on a goroutine of its
// own: upcasters run beside the handlers.
//
// A version that is not live yet is built from the start of the log and can be
// read when it first reaches the head; the version that was live until then is
// replaced in that moment, and its rows are dropped. While a version is rebuilt
// beside its run (see [Host.Rebuild]), Run writes the old build until the swap,
// then goes on with the new one.
func (h *Host) Run(ctx context.Context, ps ...*Projection) error {
	definitions, err := h.define(ps, byVersion)
	if err != nil {
		for _, p := range ps {
			if p != nil {
				h.setStopped(p, err)
			}
		}
		return err
	}
	errs := beside(definitions, func(d *definition) error { return h.keep(ctx, d) })
	return errors.Join(ctx.Err(), errs)
}

// CatchUp runs the projections up to the head, side by side, and returns when each
// has reached it or failed. It is for programs that do not stay, and for tests.
//
// It returns nil if all have reached the head, otherwise the errors of those that
// have not, joined: those that Run stops with or runs again after, each at the
// first time, and the context's.
func (h *Host) CatchUp(ctx context.Context, ps ...*Projection) error {
	definitions, err := h.define(ps, byVersion)
	if err != nil {
		return err
	}
	return beside(definitions, func(d *definition) error { return h.run(ctx, d, true) })
}

// beside calls do with each definition, on goroutines that have ended when it
// returns, and returns the errors joined.
func beside(definitions []*definition, do func(*definition) error) error {
	errs := make([]error, len(definitions))
	var running sync.WaitGroup
	for i, d := range definitions {
		running.Go(func() { errs[i] = do(d) })
	}
	running.Wait()
	return errors.Join(errs...)
}

// keep runs a projection again and again until the context ends or it stops. It
// returns what it stopped with, or last failed with if it has not got further
// since.
func (h *Host) keep(ctx context.Context, d *definition) error {
	var last error
	var stood eventstore.Position
	for wait := h.backoff.min; ; wait = min(2*wait, h.backoff.max) {
		err := h.run(ctx, d, false)
		if at := d.standing(ctx, h.store); at > stood {
			last, stood, wait = nil, at, h.backoff.min
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return last
		}
		if last = err; isFinal(err) {
			h.log(ctx, d, err, 0)
			return err
		}
		h.log(ctx, d, err, wait)
		if sleep(ctx, wait) != nil {
			return last
		}
	}
}

// log says that a projection has stopped, or is run again after a while.
func (h *Host) log(ctx context.Context, d *definition, err error, again time.Duration) {
	attrs := []any{"projection", d.name, "version", d.version, "error", err}
	if panicked := (*PanicError)(nil); errors.As(err, &panicked) {
		attrs = append(attrs, "stack", string(panicked.Stack))
	}
	switch {
	case errors.Is(err, ErrReplaced):
		h.logger.InfoContext(ctx, "projection replaced", attrs...)
	case again == 0:
		h.logger.ErrorContext(ctx, "projection stopped", attrs...)
	default:
		h.logger.WarnContext(ctx, "projection failed", append(attrs, "again in", again)...)
	}
}

// isFinal reports whether a run would end with the same error again.
func isFinal(err error) bool {
	if failed := (*HandlerError)(nil); errors.As(err, &failed) {
		return true
	}
	for _, final := range []error{
		ErrReplaced,
		eventstore.ErrInvalid, eventstore.ErrClosed, eventstore.ErrFailed, eventstore.ErrReadOnly, eventstore.ErrFormat,
	} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// standing returns the position of the version's build, 0 if there is none.
func (p *Projection) standing(ctx context.Context, store eventstore.RowStore) eventstore.Position {
	ctx = context.WithoutCancel(ctx)
	_, b, state, err := p.current(ctx, store)
	if err != nil || state != Live && state != Rebuilding {
		return 0
	}
	set, err := store.GetRows(ctx, b.view(p.name))
	if err != nil {
		return 0
	}
	return set.Checkpoint.Position
}
