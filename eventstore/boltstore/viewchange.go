package boltstore

import (
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/rows"
	"github.com/yore-es/yore/internal/viewfile"
)

// viewChange has the changes of one view by a turn.
type viewChange struct {
	checkpoint eventstore.Checkpoint // after the turn; zero: none
	rows       []eventstore.Row      // to put or delete, in this order
	applied    *rows.Buffer          // the buffer that an attached view has put rows into
	drop       [][]byte              // keys in the view's bucket, to delete
	dropped    bool                  // the view is being dropped
	empty      bool                  // the view has no rows and no bucket any more; set by put
	attach     *inline               // the view to attach
	detach     bool                  // whether to detach the view
	late       *eventstore.Late      // why the view is detached, if it has only overrun its time
	cause      error                 // of the checkpoint's fault, if this turn has found it
}

// change returns the turn's change of a view, and adds an empty one if there is none.
func (t *turn) change(view eventstore.ViewID) *viewChange {
	if t.changes == nil {
		t.changes = make(map[eventstore.ViewID]*viewChange)
	}
	change := t.changes[view]
	if change == nil {
		change = &viewChange{checkpoint: t.w.views.checkpoints[view]}
		t.changes[view] = change
	}
	return change
}

// checkpoint returns a view's checkpoint with the changes of the turn so far.
func (t *turn) checkpoint(view eventstore.ViewID) eventstore.Checkpoint {
	if change := t.changes[view]; change != nil {
		return change.checkpoint
	}
	return t.w.views.checkpoints[view]
}

// putViews writes the changes of views.
func (t *turn) putViews(tx *pages.WriteTx) error {
	if len(t.changes) == 0 {
		return nil
	}
	if err := viewfile.CreateBuckets(tx); err != nil {
		return err
	}
	for view, change := range t.changes {
		err := logfile.Protect(func() error { return change.put(tx, viewfile.Of(t.w.seed, view)) })
		if errors.Is(err, logfile.ErrBadPage) || errors.Is(err, eventstore.ErrCorrupt) {
			return &badViewError{view, err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// badViewError means that rows of a view are damaged, or a page of them is, so that they
// cannot be changed.
type badViewError struct {
	view  eventstore.ViewID
	cause error
}

// Error implements error.
func (e *badViewError) Error() string { return fmt.Sprintf("view %q: %v", e.view, e.cause) }

// Unwrap returns the cause.
func (e *badViewError) Unwrap() error { return e.cause }

// spare takes the change of a damaged view out of the turn, so that events and other views
// are written. An attached view gets a fault and is detached; jobs that change the view end
// with bad.
func (t *turn) spare(bad *badViewError) {
	if t.spared == nil {
		t.spared = make(map[eventstore.ViewID]error)
	}
	t.spared[bad.view] = bad
	delete(t.changes, bad.view)
	if t.w.views.attached(bad.view) == nil || len(t.group.entries) == 0 {
		return
	}
	checkpoint := rows.CloneCheckpoint(t.w.views.checkpoints[bad.view])
	checkpoint.Fault = rows.NewFault(t.group.first, t.group.entries[0].kind, bad)
	t.changes[bad.view] = &viewChange{checkpoint: checkpoint, detach: true, cause: bad}
}

// outcome returns the error of a job in a turn that is durable, or nil.
func (t *turn) outcome(j job) error {
	return t.spared[j.view()]
}

// put writes the change of a view's rows and its checkpoint.
func (c *viewChange) put(tx *pages.WriteTx, view viewfile.View) (err error) {
	if c.dropped {
		c.empty, err = viewfile.Drop(tx, view, c.drop)
		return err
	}
	return viewfile.Change(tx, view, c.rows, c.checkpoint)
}

// logFaults logs the views that a turn has detached because of a fault. The callers that
// append get no error.
func (w *writer) logFaults(changes map[eventstore.ViewID]*viewChange) {
	for view, change := range changes {
		fault := change.checkpoint.Fault
		if fault == nil || !change.detach {
			continue
		}
		attrs := append([]any{"file", w.file.Path}, rows.FaultAttrs(view, fault, change.cause)...)
		w.logger.Error("a view stopped at a fault and is detached", attrs...)
	}
}
