package memstore

import (
	"context"
	"errors"
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
	live bool             // it is at the head, and Append applies its events; guarded by writing
	late *eventstore.Late // why it is not live any more; changed with writing and mu
	gone chan struct{}    // closed when the view is forgotten

	overruns rows.Overruns     // guarded by writing
	run      *rows.Application // the last one; guarded by writing

	// Attach and bringBack use these while the view is not live.
	claimed bool
	reached eventstore.Checkpoint // after the last commit of Attach
}

// Attach implements [eventstore.RowStore]. While the view catches up, an append waits at
// most for the events that catchUp applies at a time.
func (s *Store) Attach(ctx context.Context, v eventstore.InlineView) error {
	if v.Timeout == 0 {
		v.Timeout = eventstore.DefaultTimeout
	}
	attaching := &inline{InlineView: v, gone: make(chan struct{})}
	err := s.attach(ctx, attaching)
	if err != nil {
		s.abandon(attaching)
	}
	return err
}

// attach brings a view up to the head and makes it live. After an overrun it waits, and goes
// on.
func (s *Store) attach(ctx context.Context, v *inline) error {
	for {
		if err := s.beginWrite(ctx, "attach", limits.ValidateInlineView(v.InlineView)); err != nil {
			return err
		}
		live, err := s.catchUp(v)
		run, wait := v.run, v.overruns.Backoff()
		s.endWrite()
		if live || err != nil && !errors.Is(err, errLate) {
			return err
		}
		if err != nil {
			if err := s.awaitRun(ctx, v, run, wait); err != nil {
				return err
			}
		}
	}
}

// errLate means that a view has overrun its time, and that this is not a fault yet.
var errLate = errors.New("the view has overrun its time")

// awaitRun waits until a run of a view that has overrun has ended, and then for its backoff.
func (s *Store) awaitRun(ctx context.Context, v *inline, run *rows.Application, wait time.Duration) error {
	if err := s.pause(ctx, v, run.Ended()); err != nil {
		return err
	}
	elapsed := make(chan struct{})
	defer time.AfterFunc(wait, func() { close(elapsed) }).Stop()
	return s.pause(ctx, v, elapsed)
}

// pause waits for a channel to be closed. It returns nil also if the view is forgotten.
func (s *Store) pause(ctx context.Context, v *inline, until <-chan struct{}) error {
	select {
	case <-until:
	case <-v.gone:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return eventstore.ErrClosed
	}
	return nil
}

// leave makes Append go on without a view that has overrun its time. A goroutine, which Close
// waits for, makes it live again (see rows.Overruns). The caller holds writing and mu.
func (s *Store) leave(v *inline, late *eventstore.Late) {
	v.live, v.late = false, late
	run, wait := v.run, v.overruns.Backoff()
	s.returning.Go(func() {
		v.changed()
		if s.awaitRun(context.Background(), v, run, wait) != nil {
			return
		}
		err := s.attach(context.Background(), v) // fails if it has a fault, was dropped, or the store is closed
		if errors.Is(err, eventstore.ErrFaulted) {
			s.logger.Error("a late view stopped at a fault", "view", v.View, "error", err)
		}
		if err == nil || errors.Is(err, eventstore.ErrFaulted) {
			v.changed()
		}
	})
}

// changed tells the view's owner that the view is late, or not any more.
func (v *inline) changed() {
	if v.Changed != nil {
		v.Changed()
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
			s.mu.Lock()
			v.live, v.late = true, nil
			s.mu.Unlock()
			return true, nil
		}
		if through-first >= batchEvents {
			v.overruns.Good()
		}
		if through-first >= batchEvents || time.Since(began) > v.Timeout {
			return false, nil
		}
		next := s.log[through] // not the first of its commit if CommitRows left off within it
		c := s.apply(v, s.log[through:][:next.n-next.i])
		if c.late != nil {
			return false, errLate
		}
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
	if i := slices.Index(s.attached, v); i >= 0 {
		s.attached = slices.Delete(slices.Clone(s.attached), i, i+1)
		close(v.gone)
	}
}

// late returns how late a view is, nil if it is not. The caller holds mu.
func (s *Store) late(id eventstore.ViewID) *eventstore.Late {
	v := s.inline(id)
	if v == nil || v.late == nil {
		return nil
	}
	late := *v.late
	return &late
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
			c := s.apply(v, commit)
			s.logStop(c)
			changes = append(changes, c)
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
		v.run = rows.Start(ctx, v.InlineView, committed{s, v.View}, rows.OneCommit(events), time.Now().Add(v.Timeout), time.Time{})
		applied := v.run.Wait()
		if v.overruns.Note(&applied) {
			c.late = v.overruns.Late(applied)
			return c
		}
		if applied.Fault != nil {
			c.checkpoint.Fault, c.cause = applied.Fault, applied.Cause
			return c
		}
		if v.live {
			v.overruns.Good()
		}
		c.rows = applied.Rows
	}
	c.checkpoint.Position = commit[len(commit)-1].event.Position
	return c
}

// logStop logs that a view stops at a commit, if it does.
func (s *Store) logStop(c change) {
	switch {
	case c.late != nil:
		s.logger.Warn("a view has run out of time and is late until it has caught up", "view", c.view, "reason", c.late.Reason)
	case c.checkpoint.Fault != nil:
		s.logger.Error("a view stopped at a fault and is detached", rows.FaultAttrs(c.view, c.checkpoint.Fault, c.cause)...)
	}
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
