package boltstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/rows"
	"github.com/yore-es/yore/internal/viewfile"
)

// catchUpEvents is about how many events a view that catches up applies and commits at a
// time.
const catchUpEvents = 1024

// attachEvents bounds the events that a view may be behind when it is submitted to the
// writer, which applies the events up to its turn. They are few, since the view has only its
// Timeout for them.
const attachEvents = 256

// Attach implements [eventstore.RowStore]. The view catches up on the caller's goroutine, by
// commits of rows, until the events that it lacks are few and in the tail. The writer
// applies these between two groups, so that there is no gap.
func (s *Store) Attach(ctx context.Context, v eventstore.InlineView) error {
	return during("attach", s.attach(ctx, v))
}

func (s *Store) attach(ctx context.Context, v eventstore.InlineView) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	if err := s.info.Limits.ValidateInlineView(v); err != nil {
		return err
	}
	in := &inline{InlineView: v, ctx: rows.Applying(context.Background(), s)}
	if !s.views.claim(in) {
		return fmt.Errorf("%w: view %q is attached already", eventstore.ErrInvalid, v.View)
	}
	err := s.attachInTime(ctx, in)
	if err != nil {
		s.views.unclaim(in)
	}
	return err
}

// attachClaimed attaches a view that the caller has claimed.
func (s *Store) attachClaimed(ctx context.Context, v *inline) error {
	var known eventstore.Checkpoint // the checkpoint of the rows in v.rows
	for {
		if err := s.usable(ctx); err != nil {
			return err
		}
		checkpoint, empty, err := s.viewState(ctx, v.View)
		if err != nil {
			return err
		}
		if checkpoint.Fault != nil {
			return faulted(v.View, checkpoint)
		}
		if v.rows == nil || !checkpoint.Equal(known) { // another caller has changed the rows
			v.rows = rows.NewCache(storedRows{s.disk, v.View}, empty)
		}
		if s.tail.last().through-checkpoint.Position <= attachEvents {
			a := &attachment{ticket: newTicket(ctx), inline: v, expected: checkpoint}
			if err := s.writer.submit(a); !errors.Is(err, errBehind) {
				return err
			}
		}
		if known, err = s.catchUp(ctx, v, checkpoint); err != nil {
			return err
		}
	}
}

// viewState returns the checkpoint of a view, and whether it has no rows.
func (s *Store) viewState(ctx context.Context, view eventstore.ViewID) (c eventstore.Checkpoint, empty bool, err error) {
	err = s.reader.readDurable(ctx, func(tx *pages.Tx) error {
		state, err := viewfile.Load(tx, viewfile.Of(s.seed, view))
		if c, empty = state.Checkpoint, !state.HasRows; err == nil && c.IsZero() && !empty {
			return errDropping(view)
		}
		return err
	})
	return c, empty, err
}

func faulted(view eventstore.ViewID, c eventstore.Checkpoint) error {
	return &eventstore.FaultedError{View: view, Through: c.Position, Fault: *c.Fault}
}

// catchUp applies the next events after a checkpoint, commits the rows, and returns the new
// checkpoint.
func (s *Store) catchUp(ctx context.Context, v *inline, checkpoint eventstore.Checkpoint) (eventstore.Checkpoint, error) {
	commits, through, err := s.storedCommits(v.Query, checkpoint.Position)
	if err != nil {
		return eventstore.Checkpoint{}, err
	}
	change := viewChange{checkpoint: rows.CloneCheckpoint(checkpoint)}
	change.noteRun(v, commits, v.apply(commits, true), through)
	if change.late != nil && change.checkpoint.Equal(checkpoint) {
		return checkpoint, errLate // it has overrun at the first commit
	}
	job := newRowChange(ctx, eventstore.RowCommit{
		View: v.View, Expected: checkpoint, Checkpoint: change.checkpoint, Rows: change.rows,
	})
	job.owner = v
	err = s.writer.submit(job)
	switch {
	case err != nil:
	case change.checkpoint.Fault != nil:
		err = faulted(v.View, change.checkpoint)
	case change.late != nil:
		err = errLate
	default:
		v.rows.Put(change.rows...)
		if change.checkpoint.Position-checkpoint.Position >= catchUpEvents {
			v.overruns.Good()
		}
	}
	return change.checkpoint, err
}

// storedCommits returns the next commits after a position that have events for the query,
// and the position through which these are all.
func (s *Store) storedCommits(q eventstore.Query, after eventstore.Position) (commits viewCommits, through eventstore.Position, err error) {
	head := s.tail.last().through
	count := 0
	for scan := s.reader.scan(q, window{from: after + 1, to: head}); !scan.done; {
		if err := scan.page(logfile.PageEvents); err != nil {
			return nil, 0, err
		}
		for _, r := range scan.found {
			first := max(after+1, r.Event.Position-eventstore.Position(r.Place.I))
			if len(commits) == 0 || commits[len(commits)-1].first != first {
				if count >= catchUpEvents {
					return commits, first - 1, nil
				}
				commits = append(commits, viewCommit{first: first, sighting: sightingOf(&r.Event)})
			}
			count++
			last := &commits[len(commits)-1]
			last.events = append(last.events, r.Event)
		}
	}
	return commits, head, nil
}

// errBehind means that the tail does not reach back to the view's checkpoint any more.
var errBehind = errors.New("the view is too far behind")

// attachment is a view on its way to the writer, which attaches it between groups.
type attachment struct {
	ticket
	inline   *inline
	expected eventstore.Checkpoint
}

func (a *attachment) view() eventstore.ViewID { return a.inline.View }
func (a *attachment) alone() bool             { return true }

// enter implements job. The turn has no other jobs.
func (a *attachment) enter(t *turn) {
	view := a.inline.View
	if a.err = t.w.views.refused[view]; a.err != nil {
		return
	}
	change := t.change(view)
	if !change.checkpoint.Equal(a.expected) || !t.w.views.claims(a.inline) {
		a.err = &eventstore.CheckpointError{View: view, Expected: a.expected, Actual: rows.CloneCheckpoint(change.checkpoint)}
		return
	}
	groups, ok := t.w.tail.after(change.checkpoint.Position, groupEvents)
	if !ok {
		a.err = errBehind
		return
	}
	var commits viewCommits
	for _, since := range groups {
		commits = append(commits, a.inline.commits(since, change.checkpoint.Position+1)...)
	}
	change.noteRun(a.inline, commits, a.inline.apply(commits, false), t.group.through)
	switch {
	case change.checkpoint.Fault != nil:
		a.err = faulted(view, change.checkpoint)
	case change.late != nil:
		a.err = errLate
	default:
		change.attach = a.inline
	}
	change.detach, change.late = false, nil // it is not attached yet
}
