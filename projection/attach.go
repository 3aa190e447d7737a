package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/internal/rows"
)

// Attach makes the projections inline, one after the other: the store brings each of them
// up to the head, which Attach waits for, and from then on commits its rows with the
// events, so that the tables show the events when Append returns. A projection stays
// attached until the store is closed; there is nothing to run. As with [Host.Run], a
// version that is not live yet replaces the live one when it is attached.
//
// Handlers run while an append waits. A handler that fails or panics does not keep the
// event from being appended: the view stops with a fault, keeps its last good state, and
// its readers get a *[eventstore.FaultedError] until it is rebuilt (see [Host.Rebuild]).
// With the policy Skip an event that cannot be applied is skipped instead; Retry is Stop
// here. A handler that appends to the store gets ErrInvalid if it uses the context of its
// Tx; with another context it waits for itself until the Timeout ends.
//
// A handler that takes longer than the projection's Timeout does not keep the event from
// being appended either. The view keeps its last good state and is late: its readers get a
// *LateError, and [Host.Status] says since when. The store brings it up to the head by
// itself, and attaches it again; [Host.Wait] waits for that. Only a view that runs out of
// time three times in succession gets a fault (see [eventstore.RowStore]).
//
// The Timeout is for all commits that the store writes together, and for a whole commit,
// however large: 65,000 events of one commit took a handler that writes one table with
// one index 0.7 s. A program that appends tens of thousands of events at once sets a
// longer Timeout.
//
// A projection that cannot be attached does not keep the others from it. Attach returns
// nil if all are attached, otherwise the errors of those that are not, joined: the
// context's; ErrInvalid for a projection that is attached already, or was built with other
// events, tables or indexes; *ReplacedError if a later version is live;
// *[eventstore.FaultedError] if the view has a fault; and those of the store. Faults of
// the definitions are ErrInvalid: all of them are returned before anything is done.
func (h *Host) Attach(ctx context.Context, ps ...*Projection) error {
	definitions, err := h.define(ps, byVersion)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range definitions {
		h.setInline(d.Projection) // also if it has a fault: then Rebuild attaches it
		if err := h.attach(ctx, d); err != nil {
			errs = append(errs, d.wrap("attach", err))
		}
	}
	return errors.Join(errs...)
}

func (h *Host) attach(ctx context.Context, d *definition) error {
	defer h.changed(d.Projection)
	b, live, err := h.claim(ctx, d)
	if err != nil {
		return err
	}
	// The store gives a view that is attached to an empty log no checkpoint, and
	// without one it cannot be read.
	if _, _, err := h.open(ctx, d, b); err != nil {
		return err
	}
	if err := h.store.Attach(ctx, h.inline(d, b)); err != nil {
		return err
	}
	if !live {
		if err := h.swap(ctx, d, b); err != nil {
			return err
		}
	}
	return h.dropBuilds(ctx, d.Projection)
}

// inline returns a build as the store attaches it.
func (h *Host) inline(d *definition, b build) eventstore.InlineView {
	return eventstore.InlineView{
		Changed: func() { h.changed(d.Projection) },
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

// forFault returns the error for the view's fault, of the i-th of the events that were
// applied together. The fault itself names the view and the first of them.
func forFault(err error, i int) error {
	failed := (*HandlerError)(nil)
	switch {
	case !errors.As(err, &failed):
		return err
	case i == 0:
		return failed.Err
	default:
		return fmt.Errorf("type %s at position %d: %w", quote.Name(failed.Type), failed.Position, failed.Err)
	}
}

func (d *definition) applyInline(ctx context.Context, tx eventstore.RowTx, e *eventstore.Event) error {
	if d.OnFailure != Skip {
		return d.handle(Tx{ctx: ctx, p: d.Projection, rows: &eventRows{rows: tx}}, e, d.decode(e))
	}
	own := rows.New(tx) // dropped if the event is skipped
	defer own.Close()
	err := d.handle(Tx{ctx: ctx, p: d.Projection, rows: &eventRows{rows: own}}, e, d.decode(e))
	if failed := (*HandlerError)(nil); errors.As(err, &failed) {
		return addSkipped(tx, newFailure(e, failed.Err))
	}
	if err != nil {
		return err
	}
	return tx.Put(own.Rows()...)
}
