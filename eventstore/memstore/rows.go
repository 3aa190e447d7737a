package memstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

var limits = eventstore.StandardLimits()

// GetRows implements [eventstore.RowStore].
func (s *Store) GetRows(ctx context.Context, id eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return eventstore.RowSet{}, err
	}
	if err := limits.ValidateView(id); err != nil {
		return eventstore.RowSet{}, err
	}
	for _, key := range keys {
		if err := limits.ValidateRowKey(key); err != nil {
			return eventstore.RowSet{}, err
		}
	}
	v := s.view(id)
	set := eventstore.RowSet{Checkpoint: rows.CloneCheckpoint(v.checkpoint), Late: s.late(id)}
	for _, key := range keys {
		set.Rows = append(set.Rows, v.get(key))
	}
	return set, nil
}

// ScanRows implements [eventstore.RowStore].
func (s *Store) ScanRows(ctx context.Context, id eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
	scan.From, scan.To = bytes.Clone(scan.From), bytes.Clone(scan.To)
	return func(yield func(eventstore.RowSet, error) bool) {
		rest, more := scan, true
		for more {
			var set eventstore.RowSet
			err := limits.ValidateView(id)
			if err == nil {
				err = limits.ValidateRowScan(scan)
			}
			s.mu.Lock()
			if ended := s.usable(ctx); ended != nil {
				err = ended
			}
			if err == nil {
				v := s.view(id)
				set.Checkpoint, set.Late = rows.CloneCheckpoint(v.checkpoint), s.late(id)
				set.Rows, rest, more = v.page(rest)
			}
			s.mu.Unlock()
			if !yield(set, err) || err != nil {
				return
			}
		}
	}
}

// CommitRows implements [eventstore.RowStore].
func (s *Store) CommitRows(ctx context.Context, c eventstore.RowCommit) error {
	if err := s.beginWrite(ctx, "commit rows", limits.ValidateRowCommit(c)); err != nil {
		return err
	}
	defer s.endWrite()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inline(c.View) != nil {
		return fmt.Errorf("%w: view %q is attached", eventstore.ErrInvalid, c.View)
	}
	if head := len(s.log); c.Checkpoint.Position > eventstore.Position(head) {
		return fmt.Errorf("%w: view %q: checkpoint at position %d, beyond the head %d", eventstore.ErrInvalid, c.View, c.Checkpoint.Position, head)
	}
	v := s.view(c.View)
	if !v.checkpoint.Equal(c.Expected) {
		return &eventstore.CheckpointError{View: c.View, Expected: rows.CloneCheckpoint(c.Expected), Actual: rows.CloneCheckpoint(v.checkpoint)}
	}
	if v.checkpoint.IsZero() && !v.empty() {
		return errDropped(c.View)
	}
	s.change(change{view: c.View, rows: c.Rows, checkpoint: rows.CloneCheckpoint(c.Checkpoint)})
	return nil
}

// errDropped returns the error of a view that still has rows from before DropRows.
func errDropped(id eventstore.ViewID) error {
	return fmt.Errorf("%w: view %q is dropped in part: drop the rest of its rows first", eventstore.ErrInvalid, id)
}

// Checkpoints implements [eventstore.RowStore].
func (s *Store) Checkpoints(ctx context.Context) (map[eventstore.ViewID]eventstore.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	checkpoints := make(map[eventstore.ViewID]eventstore.Checkpoint)
	for id, v := range s.views {
		if !v.checkpoint.IsZero() {
			checkpoints[id] = rows.CloneCheckpoint(v.checkpoint)
		}
	}
	return checkpoints, nil
}

// DropRows implements [eventstore.RowStore].
func (s *Store) DropRows(ctx context.Context, id eventstore.ViewID, limit int) (more bool, err error) {
	invalid := limits.ValidateView(id)
	if invalid == nil && limit < 1 {
		invalid = fmt.Errorf("%w: view %q: drop %d rows, expected 1 or more", eventstore.ErrInvalid, id, limit)
	}
	if err := s.beginWrite(ctx, "drop rows", invalid); err != nil {
		return false, err
	}
	defer s.endWrite()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detach(s.inline(id))
	v := s.view(id)
	v.checkpoint = eventstore.Checkpoint{}
	if more = v.drop(limit); !more {
		delete(s.views, id)
	}
	return more, nil
}

// view returns the checkpoint and rows of a view, which are empty for a view that does
// not exist. The caller holds writing or mu; see [Store].
func (s *Store) view(id eventstore.ViewID) *view {
	if v := s.views[id]; v != nil {
		return v
	}
	return &view{tables: make(map[string]*table)}
}

// change is the change of a view by one commit.
type change struct {
	view       eventstore.ViewID
	rows       []eventstore.Row
	checkpoint eventstore.Checkpoint
	late       *eventstore.Late // the view has overrun its time, and nothing of it changes
	cause      error            // of a fault
}

// change makes a change. The caller holds writing and mu.
func (s *Store) change(c change) {
	if c.late != nil {
		s.leave(s.inline(c.view), c.late)
		return
	}
	v := s.view(c.view)
	s.views[c.view] = v
	v.put(c.rows)
	v.checkpoint = c.checkpoint
	if c.checkpoint.Fault != nil {
		s.detach(s.inline(c.view))
	}
}
