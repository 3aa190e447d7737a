package memstore

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// inline is a view that Attach was called with.
type inline struct {
	eventstore.InlineView
	live bool // it is at the head, and Append applies its events; guarded by writing

	// Attach uses these while the view is not live.
	claimed bool
	reached eventstore.Checkpoint // after the last commit of Attach
}

// Attach implements [eventstore.RowStore]. While the view catches up, an append waits at
// most for the events that catchUp applies at a time.
func (s *Store) Attach(ctx context.Context, v eventstore.InlineView) error {
	if v.Timeout == 0 {
		v.Timeout = eventstore.DefaultTimeout
	}
	attaching := &inline{InlineView: v}
	for {
		if err := s.beginWrite(ctx, "attach", limits.ValidateInlineView(v)); err != nil {
			s.abandon(attaching)
			return err
		}
		live, err := s.catchUp(attaching)
		s.endWrite()
		if live || err != nil {
			return err
		}
	}
}

// catchUp applies the next commits to a view until it is at the head, it has applied
// batchEvents positions, or its Timeout has passed. The bounds are there because appends
// wait meanwhile. catchUp reports whether the view is live now. The caller holds writing.
func (s *Store) catchUp(v *inline) (live bool, err error) {
	if err := s.claim(v); err != nil {
		return false, err
	}
	began, first := time.Now(), s.through(v.View)
	for {
		through := s.through(v.View)
		if through == eventstore.Position(len(s.log)) {
			v.live = true
			return true, nil
		}
		if through-first >= batchEvents || time.Since(began) > v.Timeout {
			return false, nil
		}
		next := s.log[through] // not the first of its commit if CommitRows left off within it
		c := s.apply(v, s.log[through:][:next.n-next.i])
		v.reached = rows.CloneCheckpoint(c.checkpoint)
		s.mu.Lock()
		s.change(c)
		s.mu.Unlock()
		if c.checkpoint.Fault != nil {
			return false, faulted(v.View, c.checkpoint)
		}
	}
}

// claim makes v the only inline view with its name, unless it is already. The caller
// holds writing.
func (s *Store) claim(v *inline) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.view(v.View)
	switch claimed := s.inline(v.View); {
	case claimed == v:
		return nil
	case v.claimed: // and dropped since
		return &eventstore.CheckpointError{View: v.View, Expected: v.reached, Actual: rows.CloneCheckpoint(known.checkpoint)}
	case claimed != nil:
		return fmt.Errorf("%w: view %q is attached already", eventstore.ErrInvalid, v.View)
	case known.checkpoint.Fault != nil:
		return faulted(v.View, known.checkpoint)
	case known.checkpoint.IsZero() && !known.empty():
		return errDropped(v.View)
	}
	s.attached = append(slices.Clip(s.attached), v)
	v.claimed, v.reached = true, rows.CloneCheckpoint(known.checkpoint)
	return nil
}

// abandon forgets a view whose Attach failed.
func (s *Store) abandon(v *inline) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detach(v)
}

// detach forgets an inline view; v may be nil. The caller holds mu.
func (s *Store) detach(v *inline) {
	s.attached = slices.DeleteFunc(slices.Clone(s.attached), func(other *inline) bool { return other == v })
}

// inline returns the inline view with this name, or nil. The caller holds mu.
func (s *Store) inline(id eventstore.ViewID) *inline {
	for _, v := range s.attached {
		if v.View == id {
			return v
		}
	}
	return nil
}

// through returns the position of a view's checkpoint. The caller holds writing.
func (s *Store) through(id eventstore.ViewID) eventstore.Position {
	return s.view(id).checkpoint.Position
}

// applyAttached applies a commit to the views that are live, one after the
// other. The caller holds writing.
func (s *Store) applyAttached(commit []record) []change {
	s.mu.Lock()
	attached := s.attached
	s.mu.Unlock()
	var changes []change
	for _, v := range attached {
		if v.live {
			changes = append(changes, s.apply(v, commit))
		}
	}
	return changes
}

// apply runs a view on the events of a commit that match its query, if there are any, and
// returns the change of the view. The caller holds writing, but not mu.
func (s *Store) apply(v *inline, commit []record) change {
	var events []eventstore.Event
	for _, r := range commit {
		if v.Query.Matches(r.event.Stream, r.event.Type, r.event.Tags) {
			events = append(events, clone(r.event))
		}
	}
	c := change{view: v.View, checkpoint: s.view(v.View).checkpoint}
	if len(events) > 0 {
		ctx := rows.Applying(context.Background(), s)
		applied := rows.Start(ctx, v.InlineView, committed{s, v.View}, rows.OneCommit(events), time.Now().Add(v.Timeout), time.Time{}).Wait()
		if applied.Fault != nil {
			c.checkpoint.Fault = applied.Fault
			return c
		}
		c.rows = applied.Rows
	}
	c.checkpoint.Position = commit[len(commit)-1].event.Position
	return c
}

// faulted returns the error of a view that stopped at a fault.
func faulted(id eventstore.ViewID, c eventstore.Checkpoint) error {
	return &eventstore.FaultedError{View: id, Through: c.Position, Fault: *c.Fault}
}

// committed reads a view's rows as of its last commit. The next commit buffers its writes
// over them. It reads from a closed store too, because Close waits for a commit that is
// being written.
type committed struct {
	store *Store
	view  eventstore.ViewID
}

func (c committed) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	v := c.store.view(c.view)
	var found []eventstore.Row
	for _, key := range keys {
		found = append(found, v.get(key))
	}
	return found, nil
}

func (c committed) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return func(yield func(eventstore.Row, error) bool) {
		for rest, more := scan, true; more; {
			var page []eventstore.Row
			c.store.mu.Lock()
			page, rest, more = c.store.view(c.view).page(rest)
			c.store.mu.Unlock()
			for _, row := range page {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}
