package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/rows"
	"github.com/yore-es/yore/internal/viewfile"
)

// viewSet is what the store knows of its views. The writer judges by it, so it
// is in memory; there are few.
type viewSet struct {
	// The writer's own, once it runs: the checkpoints as they are on disk, and
	// the views that are attached, in the order in which they were.
	checkpoints map[eventstore.ViewID]eventstore.Checkpoint
	inline      []*inline
	refused     map[eventstore.ViewID]error // why a view takes no rows until it is dropped

	mu      sync.Mutex
	claimed map[eventstore.ViewID]bool // attached, or about to be
}

// load reads the checkpoints. A damaged one does not keep the log from being
// opened: its view is derived, and can be dropped and built anew.
func (v *viewSet) load(tx *bolt.Tx) error {
	v.claimed = make(map[eventstore.ViewID]bool)
	v.checkpoints = make(map[eventstore.ViewID]eventstore.Checkpoint)
	v.refused = make(map[eventstore.ViewID]error)
	err := viewfile.ForEachCheckpoint(tx, func(view eventstore.ViewID, c eventstore.Checkpoint, err error) error {
		if err != nil {
			v.refused[view] = err
		} else {
			v.checkpoints[view] = c
		}
		return nil
	})
	rows := tx.Bucket(logfile.RowsBucket)
	if err != nil || rows == nil {
		return err
	}
	return rows.ForEachBucket(func(name []byte) error {
		view := eventstore.ViewID(name)
		if _, ok := v.checkpoints[view]; !ok && v.refused[view] == nil {
			v.refused[view] = errDropping(view)
		}
		return nil
	})
}

// errDropping is why a view takes no first rows while those of its past are
// still there.
func errDropping(view eventstore.ViewID) error {
	return fmt.Errorf("%w: view %q is being dropped, and not all of its rows are gone", eventstore.ErrInvalid, view)
}

// claim reports whether the caller may attach the view: nobody else does or has.
func (v *viewSet) claim(view eventstore.ViewID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.claimed[view] {
		return false
	}
	v.claimed[view] = true
	return true
}

func (v *viewSet) unclaim(view eventstore.ViewID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.claimed, view)
}

// attached returns the inline view of that name, or nil.
func (v *viewSet) attached(view eventstore.ViewID) *inline {
	for _, in := range v.inline {
		if in.View == view {
			return in
		}
	}
	return nil
}

// viewChange is what a group does to one view.
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

// view returns the group's change of a view, which it adds if there is none.
func (g *group) view(s *Store, view eventstore.ViewID) *viewChange {
	if g.views == nil {
		g.views = make(map[eventstore.ViewID]*viewChange)
	}
	change := g.views[view]
	if change == nil {
		change = &viewChange{checkpoint: s.views.checkpoints[view]}
		g.views[view] = change
	}
	return change
}

// checkpoint returns a view's checkpoint as it is after the group so far.
func (g *group) checkpoint(s *Store, view eventstore.ViewID) eventstore.Checkpoint {
	if change := g.views[view]; change != nil {
		return change.checkpoint
	}
	return s.views.checkpoints[view]
}

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
	return s.submit(newRowChange(ctx, c))
}

// writable returns the error that every call which changes a view ends with on
// a store that is closed or takes no changes, or not from the caller.
func (s *Store) writable(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := rows.MayChange(ctx, s); err != nil {
		return err
	}
	return s.takesChanges()
}

// rowChange is a change of a view's rows on its way to the writer.
type rowChange struct {
	ticket
	commit eventstore.RowCommit
}

func newRowChange(ctx context.Context, c eventstore.RowCommit) *rowChange {
	r := &rowChange{ticket: newTicket(ctx), commit: c}
	r.weight = max(1, len(c.Rows))
	for _, row := range c.Rows {
		r.bytes += len(row.Key) + len(row.Value)
	}
	return r
}

// enter implements job.
func (r *rowChange) enter(s *Store, g *group) {
	c := &r.commit
	actual := g.checkpoint(s, c.View)
	switch {
	case s.views.attached(c.View) != nil:
		r.err = fmt.Errorf("%w: view %q is attached, the store writes it", eventstore.ErrInvalid, c.View)
	case c.Checkpoint.Position >= g.first:
		r.err = fmt.Errorf("%w: checkpoint of view %q at position %d, beyond the head %d",
			eventstore.ErrInvalid, c.View, c.Checkpoint.Position, g.first-1)
	case !actual.Equal(c.Expected):
		r.err = &eventstore.CheckpointError{View: c.View, Expected: rows.CloneCheckpoint(c.Expected), Actual: rows.CloneCheckpoint(actual)}
	default:
		if r.err = s.views.refused[c.View]; r.err != nil {
			return
		}
		change := g.view(s, c.View)
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
	d := &rowDrop{ticket: newTicket(ctx), view: view}
	err = s.view(func(tx *bolt.Tx) error {
		d.keys = viewfile.FirstKeys(tx, view, limit)
		return nil
	})
	if err != nil {
		return false, err
	}
	d.weight = max(1, len(d.keys))
	if err := s.submit(d); err != nil {
		return false, err
	}
	return d.change != nil && !d.change.empty, nil
}

// rowDrop is a slice of a view's end on its way to the writer.
type rowDrop struct {
	ticket
	view   eventstore.ViewID
	keys   [][]byte
	change *viewChange // what became of it; nil: there was nothing to drop
}

// enter implements job.
func (d *rowDrop) enter(s *Store, g *group) {
	if s.views.refused[d.view] == nil && g.checkpoint(s, d.view).IsZero() && s.views.attached(d.view) == nil {
		return // nothing to drop: no rows are without a checkpoint but those refused
	}
	change := g.view(s, d.view)
	change.checkpoint = eventstore.Checkpoint{}
	change.drop = append(change.drop, d.keys...)
	change.dropped, change.detach = true, true
	d.change = change
}

// putViews writes what the group changes of views.
func (g *group) putViews(tx *bolt.Tx) error {
	if len(g.views) == 0 {
		return nil
	}
	checkpoints, err := viewfile.CreateBuckets(tx)
	if err != nil {
		return err
	}
	for view, change := range g.views {
		err := logfile.Protect(func() error { return change.put(tx, view) })
		if errors.Is(err, logfile.ErrBadPage) || errors.Is(err, eventstore.ErrCorrupt) {
			return &badViewError{view, err}
		}
		if err != nil {
			return err
		}
		if change.checkpoint.IsZero() {
			err = checkpoints.Delete([]byte(view))
		} else {
			err = checkpoints.Put([]byte(view), viewfile.SealCheckpoint(view, change.checkpoint))
		}
		if err != nil {
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

// spare takes out of the group what it does to a view whose pages are damaged:
// the events, and the other views, are not to suffer. A view that is attached
// gets a fault and is detached; others who change the view are told.
func (g *group) spare(s *Store, bad *badViewError) {
	if g.spared == nil {
		g.spared = make(map[eventstore.ViewID]error)
	}
	g.spared[bad.view] = bad
	delete(g.views, bad.view)
	if s.views.attached(bad.view) == nil || len(g.entries) == 0 {
		return
	}
	checkpoint := rows.CloneCheckpoint(s.views.checkpoints[bad.view])
	checkpoint.Fault = rows.NewFault(eventstore.Event{Position: g.first, Type: g.entries[0].kind}, bad)
	g.views[bad.view] = &viewChange{checkpoint: checkpoint, detach: true, cause: bad}
}

// outcome returns the error that a job ends with, of a group that is durable.
func (g *group) outcome(j job) error {
	if changer, ok := j.(rowJob); ok {
		return g.spared[changer.changes()]
	}
	return nil
}

func (r *rowChange) changes() eventstore.ViewID { return r.commit.View }

func (d *rowDrop) changes() eventstore.ViewID { return d.view }

// put writes the change of a view's rows.
func (c *viewChange) put(tx *bolt.Tx, view eventstore.ViewID) (err error) {
	if c.dropped {
		c.empty, err = viewfile.Drop(tx, view, c.drop)
		return err
	}
	return viewfile.Change(tx, view, c.rows)
}

// settleViews makes what the group did to views known, now that it is on disk.
func (s *Store) settleViews(g *group) {
	for view, change := range g.views {
		if change.checkpoint.IsZero() {
			delete(s.views.checkpoints, view)
		} else {
			s.views.checkpoints[view] = change.checkpoint
		}
		if change.dropped {
			s.views.refused[view] = errDropping(view)
		}
		if change.empty {
			delete(s.views.refused, view)
		}
		if change.attach != nil {
			s.views.inline = append(s.views.inline, change.attach)
		}
		if change.detach {
			s.views.detach(view)
		}
	}
}

// logFaults tells the logger which views the group has detached because of a fault, for
// who appended is not told.
func (s *Store) logFaults(g *group) {
	for view, change := range g.views {
		fault := change.checkpoint.Fault
		if fault == nil || !change.detach {
			continue
		}
		attrs := []any{"file", s.file.Path, "view", view, "position", fault.Position, "type", fault.Type, "error", fault.Reason}
		var more slog.LogValuer // such as the stack of a panic
		if errors.As(change.cause, &more) {
			attrs = append(attrs, "cause", more)
		}
		s.opts.Logger.Error("a view stopped at a fault and is detached", attrs...)
	}
}

// rememberRows tells the attached views what the group has made of their rows.
func (s *Store) rememberRows(g *group) {
	for view, change := range g.views {
		if in := s.views.attached(view); in != nil {
			in.rows.Put(change.rows...)
		}
	}
}

// detach makes the writer go on without the view.
func (v *viewSet) detach(view eventstore.ViewID) {
	for i, in := range v.inline {
		if in.View == view {
			v.inline = slices.Delete(v.inline, i, i+1)
			v.unclaim(view)
			return
		}
	}
}
