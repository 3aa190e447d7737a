package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
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

// Rebuild builds projections from the log, all of them in one pass, beside what
// is live: the live builds are read, run and attached meanwhile, as before. When
// the head is reached, each is swapped in, in one commit, and what it replaces
// is dropped, a bounded slice at a time. This is how a view with a fault recovers,
// how a handler that was wrong is put right without a new version, and how a new
// version is built in advance. The version that was rebuilt is live afterwards
// even if a later one was: so a version is rolled back.
//
// A projection that was attached to this store by this Projection value, or
// would have been but for a fault, is attached at the end, before the swap. One
// that is run goes on with the new build by itself at the next event.
//
// Killed or cancelled before the swap, Rebuild leaves what is live as it is, and,
// called again, goes on where it stopped. After the swap only old rows are left
// to drop, which the next Rebuild, Run or Attach does. A projection that fails on an event
// (Retry is Stop here) does not stop the others; the errors of all are joined,
// those of the definitions are returned before anything is done. Two rebuilds of
// the same version at once are a *[eventstore.CheckpointError] for one of them.
func Rebuild(
	ctx context.Context, store eventstore.RowStore, registry *codec.Registry, opts *RebuildOptions, ps ...*Projection,
) error {
	if opts == nil {
		opts = &RebuildOptions{}
	}
	definitions, err := meetAll(store, registry, ps, func(p *Projection) string { return p.name })
	if err != nil {
		return err
	}
	r := rebuild{store: store, opts: *opts, began: time.Now()}
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

// meetAll returns the definitions of several projections, no two with the same
// id, or all that is wrong with them.
func meetAll(
	store eventstore.RowStore, registry *codec.Registry, ps []*Projection, id func(*Projection) string,
) ([]*definition, error) {
	var faults []error
	if len(ps) == 0 {
		faults = append(faults, invalidf("no projections"))
	}
	definitions := make([]*definition, len(ps))
	seen := make(map[string]bool)
	for i, p := range ps {
		var err error
		if definitions[i], err = p.define(registry); err != nil {
			faults = append(faults, err)
			continue
		}
		if seen[id(p)] {
			faults = append(faults, invalidf("projection %q is named twice", id(p)))
		}
		seen[id(p)] = true
	}
	if store == nil {
		faults = append(faults, invalidf("the store is nil"))
	}
	return definitions, errors.Join(faults...)
}

// rebuild is a Rebuild under way.
type rebuild struct {
	store   eventstore.RowStore
	opts    RebuildOptions
	writers []*writer // those that have not failed
	errs    []error

	began time.Time
	from  eventstore.Position // where the pass began
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
	return dropBuilds(ctx, r.store, d.name)
}

func (r *rebuild) open(ctx context.Context, d *definition, over bool) (*writer, error) {
	b, err := d.begin(ctx, r.store, over)
	if err != nil {
		return nil, err
	}
	return newWriter(ctx, d, r.store, b, false)
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
	r.from = r.writers[0].through
	for _, w := range r.writers {
		queries = append(queries, w.query)
		r.from = min(r.from, w.through)
	}
	for p, err := range ahead(ctx, r.store, eventstore.Union(queries...), r.from, r.writers...) {
		if err != nil {
			return r.finish(ctx, err)
		}
		r.feed(ctx, p)
		if err = ctx.Err(); err == nil {
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

func (r *rebuild) progress(ctx context.Context, done eventstore.Position) error {
	if r.opts.Progress == nil {
		return nil
	}
	total, err := r.store.Head(ctx)
	if err != nil {
		return err
	}
	p := eventstore.Progress{Done: done, Total: total}
	if took := time.Since(r.began).Seconds(); took > 0 && done > r.from {
		p.Rate = float64(done-r.from) / took
		p.Remaining = time.Duration(float64(total-done) / p.Rate * float64(time.Second))
	}
	r.opts.Progress(p)
	return nil
}

// replace makes a build that has reached the head the one that is read, attached
// if the one before was.
func (w *writer) replace(ctx context.Context) error {
	if err := w.finish(ctx, nil); err != nil {
		return err
	}
	if w.isInline(idOf(w.store)) {
		if err := w.store.Attach(ctx, w.inline(w.build)); err != nil {
			return err
		}
	}
	return w.goLive(ctx)
}
