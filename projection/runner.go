package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

// Runner runs several projections together.
type Runner struct {
	// Store and Registry are what the projections are run with.
	Store    eventstore.RowStore
	Registry *codec.Registry
	// Projections are run side by side, each on a goroutine of its own. Two
	// versions of one projection may be among them.
	Projections []*Projection
	// MinBackoff is how long to wait before a projection that has failed is run
	// again; it doubles with each failure in a row, up to MaxBackoff. 0 is 100
	// ms and 30 s. A run that got further than the one before begins a new row.
	MinBackoff, MaxBackoff time.Duration
	// Log is told of every failure, with the stack of one that panicked; nil is
	// silent.
	Log *slog.Logger
}

// Run runs the projections until the context ends, as [Run] does each of them,
// and again those that fail, after a while; one that fails keeps no other from
// going on. When it returns, what was done is committed and no goroutine is left.
//
// It returns nil when the context has ended and all were well. Otherwise the
// errors of those that were not, joined: of a projection that had failed and had
// not got further since, and of one that cannot go on, because the store is
// closed or has failed, or the projection is attached. One that is replaced by a
// later version ends, without an error. Faults of the definitions are returned,
// all of them, before anything is run.
func (r *Runner) Run(ctx context.Context) error {
	version := func(p *Projection) string { return fmt.Sprintf("%s version %d", p.name, p.version) }
	if _, err := meetAll(r.Store, r.Registry, r.Projections, version); err != nil {
		return err
	}
	errs := make([]error, len(r.Projections))
	var wg sync.WaitGroup
	for i, p := range r.Projections {
		wg.Go(func() { errs[i] = r.keep(ctx, p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// keep runs a projection again and again until the context ends, and returns
// what it last failed on if it has not got further since.
func (r *Runner) keep(ctx context.Context, p *Projection) error {
	var last error
	var stood eventstore.Position
	backoff := r.backoff()
	for wait := backoff.min; ; wait = min(2*wait, backoff.max) {
		err := Run(ctx, r.Store, r.Registry, p)
		at := p.standing(ctx, r.Store)
		if at > stood {
			last, stood, wait = nil, at, backoff.min
		}
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) || errors.Is(err, ErrReplaced) {
			return last
		}
		if last = err; isFinal(err) {
			return err
		}
		if r.Log != nil {
			attrs := []any{"projection", p.name, "version", p.version, "error", err, "again in", wait}
			if panicked := (*PanicError)(nil); errors.As(err, &panicked) {
				attrs = append(attrs, "stack", string(panicked.Stack))
			}
			r.Log.WarnContext(ctx, "projection failed", attrs...)
		}
		if sleep(ctx, wait) != nil {
			return last
		}
	}
}

type backoff struct{ min, max time.Duration }

func (r *Runner) backoff() backoff {
	b := backoff{r.MinBackoff, r.MaxBackoff}
	if b.min <= 0 {
		b.min = minBackoff
	}
	if b.max <= 0 {
		b.max = maxBackoff
	}
	return b
}

// isFinal reports whether running again would end with the same error.
func isFinal(err error) bool {
	if failed := (*HandlerError)(nil); errors.As(err, &failed) {
		return false
	}
	for _, final := range []error{
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
