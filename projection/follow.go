package projection

import (
	"context"
	"errors"

	"github.com/yore-es/yore/eventstore"
)

// run runs a projection until the context ends or it fails, or up to the head.
func (h *Host) run(ctx context.Context, d *definition, toHead bool) error {
	h.setStopped(d.Projection, nil)
	for {
		err := h.runBuild(ctx, d, toHead)
		if errors.Is(err, errMoved) {
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

// runBuild claims a build and runs it until it is of no use any more.
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
	moved := h.checkCurrent(context.WithoutCancel(ctx), d, b)
	switch {
	case moved == nil:
		return err // of another run
	case ctx.Err() != nil:
		return ctx.Err() // the build was dropped, so nothing is lost
	default:
		return moved
	}
}

// run follows the log from where the writer stands.
func (w *writer) run(ctx context.Context, toHead bool) error {
	w.publish()
	for p, err := range ahead(ctx, w.host.store, w.query, w.committed.Position, w) {
		if err == nil {
			err = w.follow(ctx, p)
		}
		if err != nil || toHead && p.Live {
			return w.finish(ctx, err)
		}
	}
	return nil // not reached: it ends with an error
}

func (w *writer) follow(ctx context.Context, p portion) error {
	if err := w.host.checkCurrent(ctx, w.definition, w.build); err != nil {
		return err
	}
	if err := w.feed(ctx, p.readings[w]); err != nil {
		return err
	}
	if err := w.reach(ctx, p.Through, p.Live); err != nil {
		return err
	}
	if p.Live && !w.live {
		return w.goLive(ctx)
	}
	return nil
}

// goLive makes the build, which has reached the head, the one that is read.
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
