package boltstore

import (
	"context"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// inline is a view that is attached, or about to be. Its rows are in the transaction that
// makes the events durable: before that transaction is opened, the view's code is run on
// a goroutine of its own (see rows.Application).
type inline struct {
	eventstore.InlineView
	ctx context.Context // what the view does with it is known to be done by it
	// rows are as they are on disk. Once the view is attached, nobody but the store
	// writes them, so what was read or committed is remembered.
	rows *rows.Cache
}

// viewCommit is the events of one commit that a view takes.
type viewCommit struct {
	first    eventstore.Position // of the commit, or of the part of it that is left
	sighting sighting            // of the first of the events
	events   []eventstore.Event  // or, where they are in the tail:
	group    *group
	entries  []int // indexes in the group
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

// timeout is how long the view may take to apply a group.
func (v *inline) timeout() time.Duration {
	if v.Timeout == 0 {
		return eventstore.DefaultTimeout
	}
	return v.Timeout
}

// firstPart is the part of its time after which the view is not given more to do, where
// that can be put off.
func (v *inline) firstPart() time.Duration { return v.timeout() / 4 }

// apply applies the commits to the view's rows; the view has all its time for them. With
// patience, it begins no more of them when a part of that time has passed.
func (v *inline) apply(commits viewCommits, patience bool) rows.Applied {
	now, pause := time.Now(), time.Time{}
	if patience {
		pause = now.Add(v.firstPart())
	}
	return rows.Start(v.ctx, v.InlineView, v.rows, commits, now.Add(v.timeout()), pause).Wait()
}

// applyInline lets every attached view apply the group's events. Meanwhile others
// come, and while the group is small, and no view has used much of its time, it takes
// them in: once its transaction is open they could not join it. But it goes on no longer
// than a transaction takes, for that is what they save: with a view that is slower,
// those who came first would wait for all who come.
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

// early reports whether after so long every attached view has most of its time left.
func (v *viewSet) early(elapsed time.Duration) bool {
	for _, in := range v.inline {
		if elapsed > in.firstPart() {
			return false
		}
	}
	return true
}

// applyFrom lets every attached view apply the group's events from an index on. The
// time of the views counts from begin.
func (t *turn) applyFrom(from int, begin time.Time) {
	w, g := t.w, t.group
	var views []*inline
	var running []*rows.Application
	var commits []viewCommits
	for _, v := range w.views.inline {
		change := t.changes[v.View]
		if change != nil && change.detach {
			continue
		}
		base := rows.Base(v.rows)
		if change != nil && change.applied != nil {
			base = change.applied
		}
		views = append(views, v)
		commits = append(commits, v.commits(g, g.position(from)))
		running = append(running, rows.Start(v.ctx, v.InlineView, base, commits[len(commits)-1], begin.Add(v.timeout()), time.Time{}))
	}
	for i, a := range running {
		change := t.change(views[i].View)
		change.note(commits[i], a.Wait(), g.through)
		change.applied = a.Buffer()
		change.detach = change.checkpoint.Fault != nil
	}
}

// note adds to the change what became of commits, which reach through a
// position.
func (c *viewChange) note(commits viewCommits, result rows.Applied, through eventstore.Position) {
	c.rows = append(c.rows, result.Rows...)
	c.checkpoint.Fault, c.cause = result.Fault, result.Cause
	if result.Good < len(commits) {
		through = commits[result.Good].first - 1
	}
	c.checkpoint.Position = through
}

// commits returns the commits of the group, from a position on, that have
// events for the view.
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
