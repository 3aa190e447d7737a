package boltstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// errLate means that a view has overrun its time while it caught up, and that this is not
// a fault yet.
var errLate = errors.New("the view has overrun its time")

// lateViews are the attached views that have overrun their time. The writer goes on without
// them, and a goroutine of the store for each of them attaches it again (see
// rows.Overruns). A late view stays claimed. Its methods are safe for concurrent use by
// multiple goroutines.
type lateViews struct {
	some      atomic.Bool // there are late views
	mu        sync.Mutex
	views     map[eventstore.ViewID]lateView
	returning sync.WaitGroup // the goroutines
}

type lateView struct {
	eventstore.Late
	cancel context.CancelFunc // ends the view's goroutine
}

// of returns how late a view is; nil if it is not late. A reader must ask before it reads
// rows: then rows of a view that is not late have all events that were published before.
func (l *lateViews) of(view eventstore.ViewID) *eventstore.Late {
	if !l.some.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.views[view]
	if !ok {
		return nil
	}
	return &v.Late
}

// add adds a view and calls bringBack on a goroutine, with a context that ends when the view
// is removed.
func (l *lateViews) add(view eventstore.ViewID, late eventstore.Late, bringBack func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.views == nil {
		l.views = make(map[eventstore.ViewID]lateView)
	}
	l.views[view] = lateView{late, cancel}
	l.some.Store(true)
	l.returning.Go(func() { bringBack(ctx) })
}

// remove removes a view that is attached again, has a fault, or was dropped. It reports
// whether the view was late.
func (l *lateViews) remove(view eventstore.ViewID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.views[view]
	if ok {
		v.cancel()
		delete(l.views, view)
		l.some.Store(len(l.views) > 0)
	}
	return ok
}

// leave makes the writer go on without a view that is late.
func (v *viewSet) leave(view eventstore.ViewID, late eventstore.Late) {
	i := slices.IndexFunc(v.inline, func(in *inline) bool { return in.View == view })
	if i < 0 {
		return
	}
	in := v.inline[i]
	v.inline = slices.Delete(v.inline, i, i+1)
	v.late.add(view, late, func(ctx context.Context) { v.bringBack(ctx, in, late) })
}

// noteRun waits for a run of a view and notes its result in the change, like note. The
// change is late if the view has overrun.
func (c *viewChange) noteRun(v *inline, commits viewCommits, run *rows.Application, through eventstore.Position) {
	result := run.Wait()
	v.run = run
	if v.overruns.Note(&result) {
		c.late = v.overruns.Late(result)
		result.Cause = nil
	}
	c.note(commits, result, through)
	c.detach = c.checkpoint.Fault != nil || c.late != nil
}

// busy reports whether an abandoned run of the view's code is still at work. That can be if
// the transaction failed that would have detached the view.
func (v *inline) busy() bool {
	if v.run == nil {
		return false
	}
	select {
	case <-v.run.Ended():
		return false
	default:
		return true
	}
}

// leaveBusy makes the view late without a run.
func (c *viewChange) leaveBusy(v *inline) {
	c.detach, c.late = true, v.overruns.Late(rows.Applied{Cause: rows.ErrOverrun})
}

// changed tells the view's owner that the view is late, or not any more.
func (v *inline) changed() {
	if v.Changed != nil {
		v.Changed()
	}
}

// bringBack attaches a late view again. It ends when the view is attached, has a fault, is
// damaged or was dropped, or the store has failed or is closed.
func (s *Store) bringBack(ctx context.Context, v *inline, late eventstore.Late) {
	attrs := []any{"file", s.file.Path, "view", v.View, "timeout", v.timeout()}
	s.logger.Warn("a view has run out of time and is late until it has caught up", append(attrs, "reason", late.Reason)...)
	v.changed()
	err := s.awaitRun(ctx, v)
	for err == nil {
		err = s.attachInTime(ctx, v)
		var faulted *eventstore.FaultedError
		switch {
		case err == nil:
			s.logger.Info("a late view is attached again", append(attrs, "late for", time.Since(late.Since))...)
			v.changed()
			return
		case errors.As(err, &faulted):
			s.views.late.remove(v.View)
			s.views.unclaim(v)
			s.logger.Error("a late view stopped at a fault", append(attrs, "error", err)...)
			v.changed()
			return
		case errors.Is(err, eventstore.ErrCorrupt): // no later attempt would read what this one could not
			s.logger.Error("a late view cannot be attached; rebuild it", append(attrs, "error", err)...)
			return
		case ctx.Err() == nil && !s.isClosing():
			s.logger.Warn("a late view cannot be attached", append(attrs, "error", err)...)
			v.overruns.Delay()
			err = s.awaitRun(ctx, v)
		}
	}
}

// attachInTime attaches a view that the caller has claimed. After an overrun it waits, and
// tries again.
func (s *Store) attachInTime(ctx context.Context, v *inline) error {
	for {
		v.rows = nil // its cache may have rows that are not on disk
		err := s.attachClaimed(ctx, v)
		if !errors.Is(err, errLate) {
			return err
		}
		if err := s.awaitRun(ctx, v); err != nil {
			return err
		}
	}
}

// stuckAfter is how long a run may be at work after its time until that is logged.
const stuckAfter = 10 * time.Second

// awaitRun waits until the view's last run has ended, and then for its backoff.
func (s *Store) awaitRun(ctx context.Context, v *inline) error {
	stuck := time.AfterFunc(stuckAfter, func() {
		s.logger.Error("the Apply of a late view does not return, and keeps it late", "file", s.file.Path, "view", v.View)
	})
	defer stuck.Stop()
	if err := s.pause(ctx, v.run.Ended()); err != nil {
		return err
	}
	stuck.Stop()
	elapsed := make(chan struct{})
	defer time.AfterFunc(v.overruns.Backoff(), func() { close(elapsed) }).Stop()
	return s.pause(ctx, elapsed)
}

// pause waits for a channel to be closed.
func (s *Store) pause(ctx context.Context, until <-chan struct{}) error {
	select {
	case <-until:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.failure:
		return eventstore.ErrFailed
	case <-s.closing:
		return eventstore.ErrClosed
	}
}
