package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/progress"
)

// RebuildOptions say how to rebuild. Nil and the zero RebuildOptions mean the
// defaults.
type RebuildOptions struct {
	// Restart begins from the start of the log even if there is a build of the
	// same version that was left unfinished. Use it when what the handlers do
	// has changed since that build began.
	Restart bool
	// Progress, if not nil, is called after each batch that was read, on the
	// caller's goroutine. Done is the position that all builds have reached.
	Progress func(eventstore.Progress)
}

// Rebuild builds the projections from the log, all of them in one pass, beside what
// is live: the live builds are read, run and attached meanwhile, as before. When
// the head is reached, each is swapped in, in one commit, and what it replaces
// is dropped, a bounded slice at a time. This is how a view with a fault recovers,
// how a handler that was wrong is put right without a new version, and how a new
// version is built in advance. The version that was rebuilt is live afterwards
// even if a later one was: so a version is rolled back.
//
// A version that was attached by this Host, or would have been but for a fault, is
// attached at the end, before the swap. One that is run goes on with the new build
// by itself at the next event.
//
// Killed or cancelled before the swap, Rebuild leaves what is live as it is, and,
// called again, goes on where it stopped. After the swap only old rows are left
// to drop, which the next Rebuild, Run or Attach does. A projection that fails on an
// event (Retry is Stop here) does not stop the others; the errors of all are joined.
// Two rebuilds of the same version at once are a *[eventstore.CheckpointError] for
// one of them. Faults of the definitions are ErrInvalid: all of them are returned
// before anything is done.
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

// rebuild is a Rebuild under way.
type rebuild struct {
	host    *Host
	opts    RebuildOptions
	writers []*writer // those that have not failed
	errs    []error

	report func(done, total eventstore.Position) // to the caller, since the pass began
}

func (r *rebuild) begin(ctx context.Context, d *definition) error {
	w, err := r.open(ctx, d, r.opts.Restart)
	if errors.Is(err, eventstore.ErrFaulted) {
		w, err = r.open(ctx, d, true) // it got a fault when it was to be attached
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

// fail notes the error of a writer.
func (r *rebuild) fail(w *writer, err error) {
	if err != nil {
		r.errs = append(r.errs, w.wrap("rebuild", err))
	}
}

// pass reads the log for all writers, from the one that is furthest behind to
// the head. Its error is one that ends it for all.
func (r *rebuild) pass(ctx context.Context) error {
	var queries []eventstore.Query
	from := r.writers[0].through
	for _, w := range r.writers {
		queries = append(queries, w.query)
		from = min(from, w.through)
	}
	r.report = progress.Reporter(from, r.opts.Progress)
	for p, err := range ahead(ctx, r.host.store, eventstore.Union(queries...), from, r.writers...) {
		if err == nil {
			r.feed(ctx, p)
			err = r.progress(ctx, p.Through)
		}
		if err != nil {
			return r.finish(ctx, err)
		}
		if p.Live || len(r.writers) == 0 {
			return nil
		}
	}
	return nil
}

// feed feeds a batch to all writers, and goes on without those that fail.
func (r *rebuild) feed(ctx context.Context, p portion) {
	var going []*writer
	for _, w := range r.writers {
		err := w.feed(ctx, p.readings[w])
		if err == nil {
			err = w.reach(ctx, p.Through, p.Live)
		}
		if err == nil || errors.Is(err, ctx.Err()) {
			going = append(going, w)
			continue
		}
		r.fail(w, w.finish(ctx, err))
	}
	r.writers = going
}

// finish commits what the writers have applied when err ends the pass, and
// returns it.
func (r *rebuild) finish(ctx context.Context, err error) error {
	errs := []error{err}
	for _, w := range r.writers {
		errs = append(errs, w.finish(ctx, nil))
	}
	return errors.Join(errs...)
}

// progress reports to the caller how far the pass has come. It is the context's error if
// that has ended.
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

// replace makes a build that has reached the head the one that is read, attached
// if the one before was.
func (w *writer) replace(ctx context.Context) error {
	if err := w.finish(ctx, nil); err != nil {
		return err
	}
	if w.host.isInline(w.Projection) {
		if err := w.host.store.Attach(ctx, w.inline(w.build)); err != nil {
			return err
		}
	}
	return w.goLive(ctx)
}
