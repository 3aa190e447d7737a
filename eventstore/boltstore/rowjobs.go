package boltstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/rows"
	"github.com/yore-es/yore/internal/viewfile"
)

// CommitRows implements [eventstore.RowStore].
func (s *Store) CommitRows(ctx context.Context, c eventstore.RowCommit) error {
	return during("commit rows", s.commitRows(ctx, c))
}

func (s *Store) commitRows(ctx context.Context, c eventstore.RowCommit) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	if err := s.info.Limits.ValidateRowCommit(c); err != nil {
		return err
	}
	return s.writer.submit(newRowChange(ctx, c))
}

// writable returns the error of every call that changes a view, if the store is closed or
// takes no changes, or if a view's own code calls.
func (s *Store) writable(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := rows.MayChange(ctx, s); err != nil {
		return err
	}
	return cmp.Or(s.takesChanges(), s.badRows)
}

// rowChange is a change of a view's rows on its way to the writer.
type rowChange struct {
	ticket
	commit eventstore.RowCommit
	owner  *inline // the view, if it is catching up; nil: a caller's commit
}

func newRowChange(ctx context.Context, c eventstore.RowCommit) *rowChange {
	r := &rowChange{ticket: newTicket(ctx), commit: c}
	r.weight = viewWeight + len(c.Rows)
	for _, row := range c.Rows {
		r.bytes += len(row.Key) + len(row.Value)
	}
	return r
}

// enter implements job.
func (r *rowChange) enter(t *turn) {
	c := &r.commit
	actual := t.checkpoint(c.View)
	refused := t.w.views.refused[c.View]
	switch {
	case errors.Is(refused, eventstore.ErrCorrupt):
		r.err = refused
	case t.w.views.attached(c.View) != nil, r.owner == nil && t.w.views.late.of(c.View) != nil:
		r.err = fmt.Errorf("%w: view %q is attached, the store writes it", eventstore.ErrInvalid, c.View)
	case c.Checkpoint.Position >= t.group.first:
		r.err = fmt.Errorf("%w: checkpoint of view %q at position %d, beyond the head %d",
			eventstore.ErrInvalid, c.View, c.Checkpoint.Position, t.group.first-1)
	case !actual.Equal(c.Expected), r.owner != nil && !t.w.views.claims(r.owner):
		r.err = &eventstore.CheckpointError{View: c.View, Expected: rows.CloneCheckpoint(c.Expected), Actual: rows.CloneCheckpoint(actual)}
	default:
		if r.err = refused; r.err != nil {
			return
		}
		change := t.change(c.View)
		if change.dropped {
			r.err = errDropping(c.View)
			return
		}
		change.checkpoint = rows.CloneCheckpoint(c.Checkpoint)
		change.rows = append(change.rows, c.Rows...)
	}
}

// DropRows implements [eventstore.RowStore].
func (s *Store) DropRows(ctx context.Context, view eventstore.ViewID, limit int) (more bool, err error) {
	more, err = s.dropRows(ctx, view, limit)
	return more, during("drop rows", err)
}

func (s *Store) dropRows(ctx context.Context, view eventstore.ViewID, limit int) (more bool, err error) {
	if err := s.writable(ctx); err != nil {
		return false, err
	}
	if err := s.info.Limits.ValidateView(view); err != nil {
		return false, err
	}
	if limit < 1 {
		return false, fmt.Errorf("%w: limit %d, at least 1", eventstore.ErrInvalid, limit)
	}
	d := &rowDrop{ticket: newTicket(ctx), id: view}
	err = s.readTx(func(tx *pages.Tx) error {
		d.keys = viewfile.FirstKeys(tx, viewfile.Of(s.seed, view), limit)
		return nil
	})
	if err != nil {
		return false, err
	}
	d.weight = viewWeight + len(d.keys)
	if err := s.writer.submit(d); err != nil {
		return false, err
	}
	return d.change != nil && !d.change.empty, nil
}

// rowDrop is a request to drop some rows of a view on its way to the writer.
type rowDrop struct {
	ticket
	id     eventstore.ViewID
	keys   [][]byte
	change *viewChange // of the turn; nil: there was nothing to drop
}

// enter implements job.
func (d *rowDrop) enter(t *turn) {
	views := t.w.views
	if views.refused[d.id] == nil && t.checkpoint(d.id).IsZero() && views.attached(d.id) == nil && views.late.of(d.id) == nil {
		return // nothing to drop: a view that has rows and no checkpoint is refused
	}
	change := t.change(d.id)
	change.checkpoint = eventstore.Checkpoint{}
	change.drop = append(change.drop, d.keys...)
	change.dropped, change.detach = true, true
	d.change = change
}

func (r *rowChange) view() eventstore.ViewID { return r.commit.View }

func (d *rowDrop) view() eventstore.ViewID { return d.id }
