package projection

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// Run keeps the projections up to date, each on a goroutine of its own: it applies the
// events since the last run, then each new event as it is appended. It returns when the
// context has ended, or when every projection has stopped. By then its work is committed,
// and its goroutines have ended.
//
// A projection that fails does not stop the others. Each failure is logged to
// Options.Logger at once.
//
//   - With the policy [Stop], a projection that cannot apply an event stops before it,
//     with a *HandlerError, and [Host.Status] names the event. The next Run goes on with
//     that event.
//   - A version stops with a *ReplacedError when a later version is or becomes live.
//   - A projection that is attached, or was built with other events, tables or indexes
//     than it declares now, stops with ErrInvalid. Every projection stops when the store
//     is closed, has failed, or is read-only. A projection whose handler or upcaster
//     calls runtime.Goexit, as t.FailNow does in a test, stops whatever its policy is.
//   - After any other error the projection is run again, after Options.MinBackoff at
//     first, then after twice as long each time: after an error of the store that passes,
//     such as a timeout; a *[eventstore.FaultedError] of a view that needs a Rebuild; and
//     a *[eventstore.CheckpointError], which says that another process or goroutine runs
//     the same version and was faster. No event is applied twice then.
//
// Run never returns nil. It returns, joined, the context's error if the context has ended,
// and the error of each projection that has stopped, or has failed and applied nothing
// since. Faults of the definitions are ErrInvalid: all of them are returned before
// anything is run.
//
// Rows and checkpoint are one commit: each event is applied once, even if the process is
// killed or the outcome of a commit is unknown. Behind the head, the events of a quarter
// of a second are one commit; at the head, each batch is. A position without changed rows
// is committed after 4,096 positions or 10 seconds. Another goroutine reads and decodes
// events some batches ahead, so upcasters run beside the handlers.
//
// A version that is not live yet is built from the start of the log, and can be read when
// it first reaches the head. At that moment the version that was live is replaced, and its
// rows are dropped. While [Host.Rebuild] rebuilds a version that is run, Run writes the old
// build, and goes on with the new one once that is live.
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
	errs := each(definitions, func(d *definition) error { return h.keep(ctx, d) })
	return errors.Join(ctx.Err(), errs)
}

// CatchUp runs the projections up to the head, each on a goroutine of its own, and returns
// when each has reached the head or failed. It is for short-lived programs and for tests.
//
// It returns nil if all have reached the head, otherwise the errors of the others, joined:
// those of [Host.Run], and the context's. CatchUp does not run a projection again after an
// error.
func (h *Host) CatchUp(ctx context.Context, ps ...*Projection) error {
	definitions, err := h.define(ps, byVersion)
	if err != nil {
		return err
	}
	return each(definitions, func(d *definition) error { return h.run(ctx, d, true) })
}

// each calls do with each definition at the same time, and returns the errors, joined,
// when all calls have returned.
func each(definitions []*definition, do func(*definition) error) error {
	errs := make([]error, len(definitions))
	var running sync.WaitGroup
	for i, d := range definitions {
		running.Go(func() { errs[i] = do(d) })
	}
	running.Wait()
	return errors.Join(errs...)
}

// keep runs a projection until the context ends or the projection stops, again after each
// error that is not final. It returns the final error, or the last one if no event was
// applied since.
func (h *Host) keep(ctx context.Context, d *definition) error {
	var last error
	var reached eventstore.Position
	for wait := h.backoff.min; ; wait = min(2*wait, h.backoff.max) {
		err := h.run(ctx, d, false)
		if at := d.position(ctx, h.store); at > reached {
			last, reached, wait = nil, at, h.backoff.min
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

// log logs that a projection has stopped, or, if wait is not 0, is run again after it.
func (h *Host) log(ctx context.Context, d *definition, err error, wait time.Duration) {
	attrs := []any{"projection", d.name, "version", d.version, "error", err}
	if panicked := (*PanicError)(nil); errors.As(err, &panicked) {
		attrs = append(attrs, "stack", string(panicked.Stack))
	}
	switch {
	case errors.Is(err, ErrReplaced):
		h.logger.InfoContext(ctx, "projection replaced", attrs...)
	case wait == 0:
		h.logger.ErrorContext(ctx, "projection stopped", attrs...)
	default:
		h.logger.WarnContext(ctx, "projection failed", append(attrs, "retry in", wait)...)
	}
}

// isFinal reports whether a run would end with the same error again.
func isFinal(err error) bool {
	if failed := (*HandlerError)(nil); errors.As(err, &failed) {
		return true
	}
	for _, final := range []error{
		ErrReplaced, errExited,
		eventstore.ErrInvalid, eventstore.ErrClosed, eventstore.ErrFailed, eventstore.ErrReadOnly, eventstore.ErrFormat,
	} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// position returns the position of the version's build; 0 if there is none, or it cannot
// be read.
func (p *Projection) position(ctx context.Context, store eventstore.RowStore) eventstore.Position {
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
