package boltstore

import (
	"errors"
	"fmt"
	"log/slog"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/rows"
	"github.com/yore-es/yore/internal/viewfile"
)

// viewChange is what a turn changes of one view.
type viewChange struct {
	checkpoint eventstore.Checkpoint // afterwards; zero: it has none any more
	rows       []eventstore.Row      // put or deleted, in this order
	applied    *rows.Buffer          // that the view has put some of them into
	drop       [][]byte              // keys in the view's bucket, deleted
	dropped    bool                  // the view is being dropped
	empty      bool                  // its bucket was empty then, and is gone
	attach     *inline               // attached from now on
	detach     bool
	cause      error // of the checkpoint's fault, if it is of this group
}

// change returns the turn's change of a view, which it adds if there is none.
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

// checkpoint returns a view's checkpoint as it is after the turn so far.
func (t *turn) checkpoint(view eventstore.ViewID) eventstore.Checkpoint {
	if change := t.changes[view]; change != nil {
		return change.checkpoint
	}
	return t.w.views.checkpoints[view]
}

// putViews writes what the turn changes of views.
func (t *turn) putViews(tx *bolt.Tx) error {
	if len(t.changes) == 0 {
		return nil
	}
	if err := viewfile.CreateBuckets(tx); err != nil {
		return err
	}
	for view, change := range t.changes {
		err := logfile.Protect(func() error { return change.put(tx, view) })
		if errors.Is(err, logfile.ErrBadPage) || errors.Is(err, eventstore.ErrCorrupt) {
			return &badViewError{view, err}
		}
		if err != nil {
			return err
		}
		if err := viewfile.PutCheckpoint(tx, view, change.checkpoint); err != nil {
			return err
		}
	}
	return nil
}

// badViewError says that a view's rows have a page that bbolt panics on, or are
// damaged where they must be whole.
type badViewError struct {
	view  eventstore.ViewID
	cause error
}

func (e *badViewError) Error() string { return fmt.Sprintf("view %q: %v", e.view, e.cause) }

func (e *badViewError) Unwrap() error { return e.cause }

// spare takes out of the turn the change of a view whose pages are damaged:
// the events, and the other views, are not to suffer. A view that is attached
// gets a fault and is detached; others who change the view are told.
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

// outcome returns the error that a job ends with, of a turn that is durable.
func (t *turn) outcome(j job) error {
	return t.spared[j.view()]
}

// put writes the change of a view's rows.
func (c *viewChange) put(tx *bolt.Tx, view eventstore.ViewID) (err error) {
	if c.dropped {
		c.empty, err = viewfile.Drop(tx, view, c.drop)
		return err
	}
	return viewfile.Change(tx, view, c.rows)
}

// logFaults logs which views a turn has detached because of a fault: the callers that
// appended are not told.
func (w *writer) logFaults(changes map[eventstore.ViewID]*viewChange) {
	for view, change := range changes {
		fault := change.checkpoint.Fault
		if fault == nil || !change.detach {
			continue
		}
		attrs := []any{"file", w.file.Path, "view", view, "position", fault.Position, "type", fault.Type, "error", fault.Reason}
		var more slog.LogValuer // such as the stack of a panic
		if errors.As(change.cause, &more) {
			attrs = append(attrs, "cause", more)
		}
		w.logger.Error("a view stopped at a fault and is detached", attrs...)
	}
}
