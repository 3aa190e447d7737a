package projection

import (
	"context"
	"errors"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

// Run keeps the projection up to date, on the caller's goroutine, until the
// context ends: it applies the events that came since it last ran, then those to
// come, as they come. It never returns nil: it ends with the context's error once
// what was done is committed, or with what kept it from going on.
//
// Rows and checkpoint are committed together: an event is applied once, whatever
// is killed when, and whatever a commit came to. Behind, many events are
// committed at a time, what was done in a quarter of a second; at the head, each
// batch is, at once. A position without changed rows is committed now and then
// only: after 4,096 positions, or 10 seconds.
//
// Events are read and decoded some batches ahead, on a goroutine that has ended
// when Run returns: upcasters run beside the handlers.
//
// A version that is not live yet is built from the start of the log and can be
// read when it first reaches the head; the version that was live until then is
// replaced in that moment, and its rows are dropped. While the projection is
// rebuilt beside the running one (see [Rebuild]), Run writes the old build until
// the swap, then goes on with the new one.
//
// The errors: ErrInvalid, with all that is wrong with the definition or with the
// live version's if its events, tables or indexes are not the ones it was built
// with; *HandlerError for an event that cannot be applied, with those before it
// committed; *ReplacedError when a later version is or becomes live;
// *[eventstore.FaultedError] for a view that has a fault from when it was
// attached; *[eventstore.CheckpointError] when somebody else runs the projection
// too, who then was faster: nothing is doubled; and those of the store.
func Run(ctx context.Context, store eventstore.RowStore, registry *codec.Registry, p *Projection) error {
	return p.run(ctx, store, registry, false)
}

// CatchUp is Run up to the head: it returns nil when it has been reached. It is
// for programs that do not stay, and for tests.
func CatchUp(ctx context.Context, store eventstore.RowStore, registry *codec.Registry, p *Projection) error {
	return p.run(ctx, store, registry, true)
}

func (p *Projection) run(ctx context.Context, store eventstore.RowStore, registry *codec.Registry, toHead bool) error {
	d, err := p.meet(store, registry)
	if err != nil {
		return err
	}
	for {
		err := d.runBuild(ctx, store, toHead)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return p.wrap("run", err)
		}
		return nil
	}
}

// meet is define, for a store too.
func (p *Projection) meet(store eventstore.RowStore, registry *codec.Registry) (*definition, error) {
	d, err := p.define(registry)
	if store == nil {
		err = errors.Join(err, invalidf("the store is nil"))
	}
	return d, err
}

// runBuild claims a build and runs it until it is of no use any more.
func (d *definition) runBuild(ctx context.Context, store eventstore.RowStore, toHead bool) error {
	b, live, err := d.claim(ctx, store)
	if err != nil {
		return err
	}
	if err := dropBuilds(ctx, store, d.name); err != nil {
		return err
	}
	w, err := newWriter(ctx, d, store, b, live)
	if err != nil {
		return err
	}
	w.patient = true
	err = w.run(ctx, toHead)
	if !errors.Is(err, eventstore.ErrConflict) {
		return err
	}
	moved := d.checkCurrent(context.WithoutCancel(ctx), store, b)
	switch {
	case moved == nil:
		return err // by another runner
	case ctx.Err() != nil:
		return ctx.Err() // the build was dropped, so nothing is lost
	default:
		return moved
	}
}

// run follows the log from where the writer stands.
func (w *writer) run(ctx context.Context, toHead bool) error {
	w.publish()
	for p, err := range ahead(ctx, w.store, w.query, w.committed.Position, w) {
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
	if err := w.checkCurrent(ctx, w.store, w.build); err != nil {
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
	if err := w.swap(ctx, w.store, w.build); err != nil {
		return err
	}
	w.live = true
	w.publish()
	return dropBuilds(ctx, w.store, w.name)
}
