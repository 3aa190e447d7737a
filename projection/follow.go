package projection

import (
	"context"
	"errors"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// run runs a projection until the context ends or the projection fails, or, with toHead,
// until it has reached the head.
func (h *Host) run(ctx context.Context, d *definition, toHead bool) error {
	h.setStopped(d.Projection, nil)
	for {
		err := apart(func() error { return h.runBuild(ctx, d, toHead) })
		if errors.Is(err, errDropped) {
			continue
		}
		if err != nil {
			err = d.wrap("run", err)
		}
		if isFinal(err) {
			h.setStopped(d.Projection, err)
		}
		return err
	}
}

// apart calls fn on another goroutine, so that there is an error also if the goroutine ends
// and fn does not return.
func apart(fn func() error) error {
	err := errExited
	var running sync.WaitGroup
	running.Go(func() { err = fn() })
	running.Wait()
	return err
}

// runBuild claims a build and runs it. Its error is errDropped if the build is no longer
// used, so that another one has to be claimed.
func (h *Host) runBuild(ctx context.Context, d *definition, toHead bool) error {
	b, live, err := h.claim(ctx, d)
	if err != nil {
		return err
	}
	if err := h.dropBuilds(ctx, d.Projection); err != nil {
		return err
	}
	w, err := h.newWriter(ctx, d, b, live)
	if err != nil {
		return err
	}
	w.patient = true
	err = w.run(ctx, toHead)
	if !errors.Is(err, eventstore.ErrConflict) {
		return err
	}
	dropped := h.checkCurrent(context.WithoutCancel(ctx), d, b)
	switch {
	case dropped == nil:
		return err // a conflict with another run
	case ctx.Err() != nil:
		return ctx.Err() // the build was dropped, so nothing is lost
	default:
		return dropped
	}
}

// run follows the log from the position of the writer.
func (w *writer) run(ctx context.Context, toHead bool) error {
	w.publish()
	for b, err := range ahead(ctx, w.host.store, w.query, w.committed.Position, w) {
		if err == nil {
			err = w.follow(ctx, b)
		}
		if err != nil || toHead && b.Live {
			return w.finish(ctx, err)
		}
	}
	return nil // not reached: ahead ends with an error
}

func (w *writer) follow(ctx context.Context, b batch) error {
	if err := w.host.checkCurrent(ctx, w.definition, w.build); err != nil {
		return err
	}
	if err := w.feed(ctx, b.inputs[w]); err != nil {
		return err
	}
	if err := w.reach(ctx, b.Through, b.Live); err != nil {
		return err
	}
	if b.Live && !w.live {
		return w.goLive(ctx)
	}
	return nil
}

// goLive makes the build, which has reached the head, the live one.
func (w *writer) goLive(ctx context.Context) error {
	if err := w.finish(ctx, nil); err != nil {
		return err
	}
	if err := w.host.swap(ctx, w.definition, w.build); err != nil {
		return err
	}
	w.live = true
	w.publish()
	return w.host.dropBuilds(ctx, w.Projection)
}
