package boltstore

import (
	"context"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// inline is a view that is attached, or being attached. Its rows are written in the
// transaction that makes the events durable. Before that transaction is opened, the view's
// code runs on a goroutine of its own (see rows.Application).
type inline struct {
	eventstore.InlineView
	ctx context.Context // of the view's code; the store recognizes calls with it
	// rows are the rows on disk. While the view is attached, only the store writes them,
	// so rows that were read or committed are cached.
	rows *rows.Cache

	// The holder of the pen uses these while the view is attached, else the goroutine that
	// attaches it.
	overruns rows.Overruns
	run      *rows.Application // the last one
}

// viewCommit is the events of one commit that a view takes.
type viewCommit struct {
	first    eventstore.Position // of the commit, or of its part that is not applied yet
	sighting sighting            // the first event
	events   []eventstore.Event  // if group is nil
	group    *group              // that has the events; nil: they are in events
	entries  []int               // indexes of the events in group
}

// viewCommits implements rows.Commits.
type viewCommits []viewCommit

func (c viewCommits) Len() int { return len(c) }

func (c viewCommits) First(i int) (eventstore.Position, string) {
	return c[i].sighting.position, c[i].sighting.eventType
}

func (c viewCommits) Load(i int) ([]eventstore.Event, error) {
	if c[i].group == nil {
		return c[i].events, nil
	}
	return c[i].group.decode(c[i].entries)
}

// timeout returns how long the view may take to apply a group.
func (v *inline) timeout() time.Duration {
	if v.Timeout == 0 {
		return eventstore.DefaultTimeout
	}
	return v.Timeout
}

// firstPart returns the part of its time after which the view gets no more events that can be
// applied later.
func (v *inline) firstPart() time.Duration { return v.timeout() / 4 }

// apply begins to apply the commits to the view's rows. The view has its whole timeout for
// them. With patience it begins no further commit after the first part of that time.
func (v *inline) apply(commits viewCommits, patience bool) *rows.Application {
	now, pause := time.Now(), time.Time{}
	if patience {
		pause = now.Add(v.firstPart())
	}
	return rows.Start(v.ctx, v.InlineView, v.rows, commits, now.Add(v.timeout()), pause)
}

// applyInline lets every attached view apply the group's events. Jobs that arrive meanwhile
// join the group while it is small and no view has used much of its time, since they cannot
// join once the transaction is open. That goes on for no longer than the last transaction
// took, because a job that joins saves that much: with a slower view, the first callers
// would wait for all later ones.
func (t *turn) applyInline() {
	w, g := t.w, t.group
	if len(w.views.inline) == 0 {
		return
	}
	begin := time.Now()
	for applied := 0; applied < len(g.entries); {
		n := len(g.entries)
		t.applyFrom(applied, begin)
		elapsed := time.Since(begin)
		if applied = n; n >= enough || elapsed > w.took || !w.views.early(elapsed) {
			return
		}
		t.enter(w.queue.takeMore(t.batches))
	}
}

// early reports whether, after elapsed, every attached view has most of its time left.
func (v *viewSet) early(elapsed time.Duration) bool {
	for _, in := range v.inline {
		if elapsed > in.firstPart() {
			return false
		}
	}
	return true
}

// applyFrom lets every attached view apply the group's events from index from on. The time of
// the views counts from begin.
func (t *turn) applyFrom(from int, begin time.Time) {
	w, g := t.w, t.group
	type application struct {
		view    *inline
		commits viewCommits
		*rows.Application
	}
	var running []application
	for _, v := range w.views.inline {
		change := t.changes[v.View]
		if change != nil && change.detach {
			continue
		}
		if v.busy() {
			t.change(v.View).leaveBusy(v)
			continue
		}
		base := rows.Base(v.rows)
		if change != nil && change.applied != nil {
			base = change.applied
		}
		commits, end := v.commits(g, g.position(from)), begin.Add(v.timeout())
		running = append(running, application{v, commits, rows.Start(v.ctx, v.InlineView, base, commits, end, time.Time{})})
	}
	for _, a := range running {
		change := t.change(a.view.View)
		change.noteRun(a.view, a.commits, a.Application, g.through)
		change.applied = a.Buffer()
		if len(a.commits) > 0 && !change.detach {
			a.view.overruns.Good()
		}
	}
}

// note adds the result of applying commits to the change. through is the position through
// which commits are all commits for the view.
func (c *viewChange) note(commits viewCommits, result rows.Applied, through eventstore.Position) {
	c.rows = append(c.rows, result.Rows...)
	c.checkpoint.Fault, c.cause = result.Fault, result.Cause
	if result.Good < len(commits) {
		through = commits[result.Good].first - 1
	}
	c.checkpoint.Position = through
}

// commits returns the commits of the group that have events for the view at position from or
// later, with these events.
func (v *inline) commits(g *group, from eventstore.Position) viewCommits {
	var commits viewCommits
	for _, c := range g.commits {
		var matches []int
		for j := c.start; j < c.start+c.n; j++ {
			if e := &g.entries[j]; g.position(j) >= from && v.Query.Matches(e.stream, e.kind, e.tags) {
				matches = append(matches, j)
			}
		}
		if len(matches) > 0 {
			commits = append(commits, viewCommit{
				first: max(from, g.position(c.start)), sighting: g.sighting(matches[0]), group: g, entries: matches,
			})
		}
	}
	return commits
}
