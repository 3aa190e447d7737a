package boltstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
	"github.com/yore-es/yore/internal/rows"
)

// An inline view is written with the events: its rows are in the transaction
// that makes the events durable. Its code is the application's, so the writer
// does not trust it. Before the transaction is opened, the writer hands the
// group's commits to a goroutine, which applies them one by one, each to a buffer
// of its own, and waits for it until the view's time is up. What a commit that
// came to a good end has put is merged into the group's rows; what comes after an
// error, a panic or the end of the view's time is dropped, and the view is detached
// where it stands. A goroutine that does not come back is abandoned: its buffer is
// closed, and it ends at the first thing that it reads or writes.

// inline is a view that is attached, or about to be.
type inline struct {
	eventstore.InlineView
	ctx context.Context // what the view does with it is known to be done by it
	// rows are as they are on disk. Once the view is attached, nobody but the store
	// writes them, so what was read or committed is remembered.
	rows *rows.Cache
}

// portion is the events of one commit, to be applied together.
type portion struct {
	first    eventstore.Position // of the commit, or of the part of it that is left
	sighting sighting            // of the first of the events
	events   []eventstore.Event  // or, where they are in the tail:
	group    *group
	entries  []int // indexes in the group
}

// load returns the portion's events.
func (p *portion) load() ([]eventstore.Event, error) {
	if p.group == nil {
		return p.events, nil
	}
	return p.group.decode(p.entries)
}

// application is a view's goroutine at work.
type application struct {
	ctx      context.Context // ends when the view's time is up
	cancel   context.CancelFunc
	apply    func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error
	portions []portion
	pause    time.Time     // begin no portion after this time; zero: begin all
	done     chan struct{} // closed when the goroutine ends

	mu    sync.Mutex // comes before those of the buffers
	over  bool       // nothing that the goroutine does counts any more
	group *rows.Buffer
	tx    *rows.Buffer // of the portion being applied, over group
	good  int          // so many portions came to a good end, and are in group
	fault error        // of the first one that did not
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

// start begins to apply the portions to the view's rows, or to what is over them. It
// ends at a time. With patience, it begins no more of them when a part of the view's
// time has passed: a view that has much to catch up with must not overrun for that
// alone.
func (v *inline) start(base rows.Base, end time.Time, portions []portion, patience bool) *application {
	a := &application{apply: v.Apply, portions: portions, group: rows.New(base), done: make(chan struct{})}
	a.ctx, a.cancel = context.WithDeadlineCause(v.ctx, end, rows.ErrOverrun)
	if patience {
		a.pause = time.Now().Add(v.firstPart())
	}
	go a.run()
	return a
}

// startNow begins to apply the portions, for which the view has all its time.
func (v *inline) startNow(portions []portion, patience bool) *application {
	return v.start(v.rows, time.Now().Add(v.timeout()), portions, patience)
}

// run is the view's goroutine.
func (a *application) run() {
	defer close(a.done)
	for i := range a.portions {
		if i > 0 && !a.pause.IsZero() && time.Now().After(a.pause) {
			return
		}
		tx := a.begin()
		if tx == nil || !a.end(tx, a.one(tx, &a.portions[i])) {
			return
		}
	}
}

// begin returns the buffer of the next portion, or nil if it is over.
func (a *application) begin() *rows.Buffer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return nil
	}
	a.tx = rows.New(a.group)
	return a.tx
}

// end notes what became of a portion, and reports whether the next may begin.
func (a *application) end(tx *rows.Buffer, fault error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return false
	}
	if fault == nil {
		fault = a.group.Merge(tx)
	}
	if fault != nil {
		a.fault = fault
		return false
	}
	a.good++
	return true
}

// one applies one portion to tx, which it closes.
func (a *application) one(tx *rows.Buffer, p *portion) (fault error) {
	defer func() {
		tx.Close()
		if r := recover(); r != nil {
			fault = rows.Panicked(r)
		}
	}()
	if a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	events, err := p.load()
	if err != nil {
		return err
	}
	err = a.apply(a.ctx, tx, events)
	if ended := a.ctx.Err(); ended != nil && errors.Is(err, ended) {
		return context.Cause(a.ctx)
	}
	return err
}

// applied is what became of portions.
type applied struct {
	good  int // so many came to a good end
	rows  []eventstore.Row
	fault *eventstore.Fault // of the first one that did not
	cause error             // of the fault
}

// wait returns when the goroutine is done or its time is up.
func (a *application) wait() applied {
	defer a.cancel()
	select {
	case <-a.done:
	case <-a.ctx.Done():
	}
	fault := a.stop()
	if a.tx != nil {
		a.tx.Close() // by which alone group is reached
	}
	result := applied{good: a.good, rows: a.group.Rows()}
	if fault != nil {
		p := a.portions[a.good].sighting
		result.fault, result.cause = rows.NewFault(eventstore.Event{Position: p.position, Type: p.eventType}, fault), fault
	}
	return result
}

// stop ends the application where it stands, and returns what kept it from being
// done, if it has not paused.
func (a *application) stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	if a.fault != nil || a.good == len(a.portions) {
		return a.fault
	}
	select {
	case <-a.done:
	default:
		return context.Cause(a.ctx)
	}
	if a.pause.IsZero() || a.good == 0 {
		return rows.ErrExited
	}
	return nil
}

// applyInline lets every attached view apply the group's events. Meanwhile others
// come, and while the group is small, and no view has used much of its time, it takes
// them in: once its transaction is open they could not join it. But it goes on no longer
// than a transaction takes, for that is what they save: with a view that is slower,
// those who came first would wait for all who come.
func (s *Store) applyInline(g *group) {
	if len(s.views.inline) == 0 {
		return
	}
	begin := time.Now()
	for applied := 0; applied < len(g.entries); {
		n := len(g.entries)
		s.applyFrom(g, applied, begin)
		elapsed := time.Since(begin)
		if applied = n; n >= enough || elapsed > s.writer.took || !s.views.early(elapsed) {
			return
		}
		g.enter(s, s.queue.takeMore(g.batches))
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
func (s *Store) applyFrom(g *group, from int, begin time.Time) {
	var views []*inline
	var running []*application
	for _, v := range s.views.inline {
		change := g.views[v.View]
		if change != nil && change.detach {
			continue
		}
		base := rows.Base(v.rows)
		if change != nil && change.applied != nil {
			base = change.applied
		}
		views = append(views, v)
		running = append(running, v.start(base, begin.Add(v.timeout()), v.portions(g, g.position(from)), false))
	}
	for i, a := range running {
		change := g.view(s, views[i].View)
		change.note(a.portions, a.wait(), g.through)
		change.applied = a.group
		change.detach = change.checkpoint.Fault != nil
	}
}

// note adds to the change what became of portions, which reach through a
// position.
func (c *viewChange) note(portions []portion, result applied, through eventstore.Position) {
	c.rows = append(c.rows, result.rows...)
	c.checkpoint.Fault, c.cause = result.fault, result.cause
	if result.good < len(portions) {
		through = portions[result.good].first - 1
	}
	c.checkpoint.Position = through
}

// portions returns the commits of the group, from a position on, that have
// events for the view.
func (v *inline) portions(g *group, from eventstore.Position) []portion {
	var portions []portion
	for _, c := range g.commits {
		var matches []int
		for j := c.start; j < c.start+c.n; j++ {
			if e := &g.entries[j]; g.position(j) >= from && v.Query.Matches(e.stream, e.kind, e.tags) {
				matches = append(matches, j)
			}
		}
		if len(matches) > 0 {
			portions = append(portions, portion{
				first: max(from, g.position(c.start)), sighting: g.sighting(matches[0]), group: g, entries: matches,
			})
		}
	}
	return portions
}

// decode returns copies of the group's entries with these indexes.
func (g *group) decode(indexes []int) ([]eventstore.Event, error) {
	events := make([]eventstore.Event, len(indexes))
	for i, j := range indexes {
		r, err := record.Decode(g.position(j), g.entries[j].record)
		if err != nil {
			return nil, err
		}
		events[i] = r.Event
	}
	return events, nil
}
