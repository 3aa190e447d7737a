package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/progress"
)

// RebuildOptions are the options of a Rebuild. Nil and the zero RebuildOptions mean the
// defaults.
type RebuildOptions struct {
	// Restart begins at the start of the log even if there is an unfinished build
	// of the same version. Use it when the handlers have changed since that build
	// began.
	Restart bool
	// Progress, if not nil, is called after each batch of events, on the caller's
	// goroutine. Done is the position that all builds have reached.
	Progress func(eventstore.Progress)
}

// Rebuild builds the projections from the log, all of them in one pass, beside the live
// builds, which are read, run and attached as before. When the pass has reached the head,
// each new build goes live in one commit, and the old one is dropped, some rows at a
// time. Use Rebuild to recover a view that has a fault, to correct a handler without a
// new version, to build a new version in advance, and to go back to an earlier version:
// the rebuilt version is live afterwards even if a later one was live before.
//
// A version that this Host has attached, or has tried to attach, is attached at the end,
// before it goes live. A version that is run continues with the new build at the next
// event.
//
// Of many calls of Rebuild on one Host, as many read the log at a time as there are
// processors, and at least four; the others wait.
//
// If Rebuild is killed or cancelled before a build goes live, the live build stays as it
// is, and the next Rebuild continues where this one has stopped. After that only old rows
// may be left, which the next Rebuild, Run or Attach drops. A projection that fails on an
// event (Retry is Stop here) does not stop the others; the errors of all are joined.
// Faults of the definitions are ErrInvalid: all of them are returned before anything is
// done.
//
// A Run of a version that is not live yet writes the same unfinished build as a Rebuild of
// that version beside it, and so does a second Rebuild. The slower one gets a
// *[eventstore.CheckpointError]: Rebuild returns it, and Run tries again. No event is
// applied twice.
func (h *Host) Rebuild(ctx context.Context, opts *RebuildOptions, ps ...*Projection) error {
	if opts == nil {
		opts = &RebuildOptions{}
	}
	definitions, err := h.define(ps, byName)
	if err != nil {
		return err
	}
	r := rebuild{host: h, opts: *opts}
	for _, d := range definitions {
		if err := r.begin(ctx, d); err != nil {
			r.errs = append(r.errs, d.wrap("rebuild", err))
		}
	}
	if len(r.writers) > 0 {
		if err := r.pass(ctx); err != nil {
			return errors.Join(append(r.errs, fmt.Errorf("rebuild: %w", err))...)
		}
	}
	for _, w := range r.writers {
		r.fail(w, w.replace(ctx))
	}
	return errors.Join(r.errs...)
}

// rebuild is one call of Rebuild.
type rebuild struct {
	host    *Host
	opts    RebuildOptions
	writers []*writer // those that have not failed
	errs    []error

	report func(done, total eventstore.Position) // calls Progress; nil without one
}

func (r *rebuild) begin(ctx context.Context, d *definition) error {
	w, err := r.open(ctx, d, r.opts.Restart)
	if errors.Is(err, eventstore.ErrFaulted) {
		w, err = r.open(ctx, d, true) // the unfinished build has a fault, from Attach
	}
	if err != nil {
		return err
	}
	r.writers = append(r.writers, w)
	return r.host.dropBuilds(ctx, d.Projection)
}

func (r *rebuild) open(ctx context.Context, d *definition, restart bool) (*writer, error) {
	b, err := r.host.begin(ctx, d, restart)
	if err != nil {
		return nil, err
	}
	return r.host.newWriter(ctx, d, b, false)
}

// fail records the error of a writer, if it is not nil.
func (r *rebuild) fail(w *writer, err error) {
	if err != nil {
		r.errs = append(r.errs, w.wrap("rebuild", err))
	}
}

// pass reads the log for all writers, from the position of the last of them to the head.
// Its error is one that ends the pass for all.
func (r *rebuild) pass(ctx context.Context) error {
	select {
	case r.host.passes <- struct{}{}:
		defer func() { <-r.host.passes }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var queries []eventstore.Query
	from := r.writers[0].through
	for _, w := range r.writers {
		queries = append(queries, w.query)
		from = min(from, w.through)
	}
	r.report = progress.Reporter(from, r.opts.Progress)
	query := eventstore.Union(queries...)
	limits := r.host.store.Info().Limits
	if err := limits.ValidateRead(query, eventstore.ReadOptions{}); errors.Is(err, eventstore.ErrTooLarge) {
		query = eventstore.All() // each writer takes its types from it
	}
	for b, err := range ahead(ctx, r.host.store, query, from, r.writers...) {
		if err == nil {
			r.feed(ctx, b)
			err = r.progress(ctx, b.Through)
		}
		if err != nil {
			return r.finish(ctx, err)
		}
		if b.Live || len(r.writers) == 0 {
			return nil
		}
	}
	return nil
}

// feed feeds a batch to all writers, and goes on without those that fail.
func (r *rebuild) feed(ctx context.Context, b batch) {
	var going []*writer
	for _, w := range r.writers {
		err := w.feed(ctx, b.inputs[w])
		if err == nil {
			err = w.reach(ctx, b.Through, b.Live)
		}
		if err == nil || errors.Is(err, ctx.Err()) {
			going = append(going, w)
			continue
		}
		r.fail(w, w.finish(ctx, err))
	}
	r.writers = going
}

// finish commits what the writers have applied, and returns err, which has ended the
// pass.
func (r *rebuild) finish(ctx context.Context, err error) error {
	errs := []error{err}
	for _, w := range r.writers {
		errs = append(errs, w.finish(ctx, nil))
	}
	return errors.Join(errs...)
}

// progress reports the position of the pass to the caller. It returns the context's error
// if the context has ended.
func (r *rebuild) progress(ctx context.Context, done eventstore.Position) error {
	if err := ctx.Err(); err != nil || r.report == nil {
		return err
	}
	total, err := r.host.store.Head(ctx)
	if err == nil {
		r.report(done, total)
	}
	return err
}

// replace makes a build that has reached the head the live one, and attaches it if its
// version is attached.
func (w *writer) replace(ctx context.Context) error {
	if err := w.finish(ctx, nil); err != nil {
		return err
	}
	if w.host.isInline(w.Projection) {
		if err := w.host.store.Attach(ctx, w.host.inline(w.definition, w.build)); err != nil {
			return err
		}
	}
	return w.goLive(ctx)
}
