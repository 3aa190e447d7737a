package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// Attach makes the projection inline: the store brings it up to the head, which
// Attach waits for, and from then on commits its rows with the events, so that
// when Append returns, the tables show them. It stays attached until the store
// is closed; there is nothing to run. As with [Run], a version that is not live
// yet replaces the one that is when it is attached.
//
// Handlers run while an append waits. One that fails, panics or takes longer
// than the projection's Timeout does not keep the event from being appended: the
// view stops with a fault, keeps its last good state, and its readers get a
// *[eventstore.FaultedError] until it is rebuilt (see [Rebuild]). With the policy
// Skip an event that cannot be applied is skipped instead; Retry is Stop here. A
// handler that appends to the store gets ErrInvalid with the context of its Tx; with
// another one it waits for itself until its time is up.
//
// The Timeout is for all commits that the store writes together, and for each one
// whole, however large: 65,000 events of one commit took a handler that writes one
// table with one index 0.7 s. Who appends tens of thousands of events at once sets
// a Timeout that allows for them.
//
// Attach returns the context's error; ErrInvalid, with all that is wrong with
// the definition, or for a projection that is attached already; *ReplacedError
// when a later version is live; *[eventstore.FaultedError] if the view has a
// fault; and the errors of the store.
func Attach(ctx context.Context, store eventstore.RowStore, registry *codec.Registry, p *Projection) error {
	d, err := p.meet(store, registry)
	if err != nil {
		return err
	}
	p.setInline(idOf(store))
	if err := d.attach(ctx, store); err != nil {
		return p.wrap("attach", err)
	}
	return nil
}

func (d *definition) attach(ctx context.Context, store eventstore.RowStore) error {
	b, live, err := d.claim(ctx, store)
	if err != nil {
		return err
	}
	// A view that is attached to an empty log gets no checkpoint from the store,
	// and without one it cannot be read.
	if _, err := newWriter(ctx, d, store, b, live); err != nil {
		return err
	}
	if err := store.Attach(ctx, d.inline(b)); err != nil {
		return err
	}
	if !live {
		if err := d.swap(ctx, store, b); err != nil {
			return err
		}
	}
	d.report(idOf(store), b, 0) // wakes those who wait for it to be live
	return dropBuilds(ctx, store, d.name)
}

// inline returns a build as the store attaches it.
func (d *definition) inline(b build) eventstore.InlineView {
	return eventstore.InlineView{
		View:    b.view(d.name),
		Query:   d.query,
		Timeout: d.Timeout,
		Apply: func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			for i := range events {
				if err := d.applyInline(ctx, tx, &events[i]); err != nil {
					return forFault(err, i)
				}
			}
			return nil
		},
	}
}

// forFault returns the error of the i-th of the events that were applied together
// as the view's fault shall say it, which names the view and the first of them.
func forFault(err error, i int) error {
	failed := (*HandlerError)(nil)
	switch {
	case !errors.As(err, &failed):
		return err
	case i == 0:
		return failed.Err
	default:
		return fmt.Errorf("type %q at position %d: %w", failed.Type, failed.Position, failed.Err)
	}
}

func (d *definition) applyInline(ctx context.Context, tx eventstore.RowTx, e *eventstore.Event) error {
	if d.OnFailure != Skip {
		return d.handle(Tx{ctx: ctx, p: d.Projection, rows: &eventRows{rows: tx}}, e, d.decode(e))
	}
	own := rows.New(tx) // to forget, if the event is skipped
	defer own.Close()
	err := d.handle(Tx{ctx: ctx, p: d.Projection, rows: &eventRows{rows: own}}, e, d.decode(e))
	if failed := (*HandlerError)(nil); errors.As(err, &failed) {
		return noteSkipped(tx, newFailure(e, failed.Err))
	}
	if err != nil {
		return err
	}
	return tx.Put(own.Rows()...)
}
