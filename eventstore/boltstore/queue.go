package boltstore

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// job is a request to the writer that a caller waits for: to append events, change rows,
// attach a view, or write a slice of the index. Its caller can withdraw it until the
// writer takes it; from then until it has ended, only the writer uses it.
//
// A new kind of job is a type that embeds a ticket and has enter; it overrides view or
// alone if its answer is another. turn.fill puts the changes that enter adds to a turn into
// the transaction; turn.changesFile must know of them.
type job interface {
	// enter judges the job against everything before it, adds its changes to the turn, and
	// notes the outcome that it has if the turn becomes durable.
	enter(t *turn)
	// view returns the view whose rows the job changes, "" for none.
	view() eventstore.ViewID
	// alone reports whether the job must have a turn for itself.
	alone() bool

	// A job has a ticket, which implements the rest.
	take() bool
	end(err error)
	size() (weight, bytes int)
	waiter() *ticket
}

// ticket is a job's place in the queue, and its outcome.
type ticket struct {
	ctx    context.Context
	weight int // events or rows
	bytes  int

	state atomic.Int32 // waiting, taken or withdrawn
	err   error        // the outcome; valid once the batch has ended
}

const (
	waiting int32 = iota
	taken
	withdrawn
)

func newTicket(ctx context.Context) ticket { return ticket{ctx: ctx} }

func (t *ticket) view() eventstore.ViewID { return "" }
func (t *ticket) alone() bool             { return false }
func (t *ticket) waiter() *ticket         { return t }

func (t *ticket) size() (weight, bytes int) { return t.weight, t.bytes }

// take takes the job for the writer and reports whether it did. A job whose context has
// ended is withdrawn instead, and ends with the context's error.
func (t *ticket) take() bool {
	if err := t.ctx.Err(); err != nil {
		if t.state.CompareAndSwap(waiting, withdrawn) {
			t.err = err
		}
		return false
	}
	return t.state.CompareAndSwap(waiting, taken)
}

// end notes err, with which the job's turn has failed, as the outcome. If err is nil, the
// outcome that enter noted stands. A withdrawn job was not in the turn.
func (t *ticket) end(err error) {
	if err != nil && t.state.Load() != withdrawn {
		t.err = err
	}
}

// # Events go before rows
//
// Problem. A commit of rows may have thousands of rows, and a hundred projections may be
// rebuilt at once. In one queue an append would wait for all of their commits.
//
// Invariants. An append waits for at most one turn with rows that has begun, and for the
// rows that share its own turn; these are bounded, however many callers commit rows. The
// jobs of one view enter turns in the order of their arrival. Rows are not kept waiting for
// ever by appends, and small commits of rows, such as those of a view that follows the log,
// do not wait for many large ones.
//
// Steps. Jobs that change rows wait in two lanes of their own, few rows in one and many in
// the other. The lanes have bounds of their own, so that rows never keep an append out of the
// queue. A turn takes the waiting events, and at most one batch of each lane of rows:
// rowsWeight at most, or one larger job. An attachment has a turn alone, but no two of them
// follow each other while events wait. While events are being appended, many rows pay for
// the time that they took: after a turn with them, no more are taken from their lane for
// twice as long (rest), and so they get a third of the writer's time. Few rows cost little
// more than the syncs, and do not pay. A view's job enters the lane in which another one of
// the view waits.
//
// Rejected. Rows only when no events wait: a steady load would stop all projections. Rows
// without a rest: an appender that comes back after each turn waits for rows each time,
// though no longer than one turn. To split a large commit of rows: rows and checkpoint
// change together (I4).

// queue holds the jobs that wait for the writer. It is bounded: if a lane is full, a caller
// waits before its job enters.
//
// Jobs that arrive while the writer is busy form a batch, which ends as a whole: one channel
// wakes all of its callers.
type queue struct {
	mu     sync.Mutex
	events lane // jobs that change no rows
	rows   lane // jobs that change few rows
	bulk   lane // jobs that change many rows, or attach a view
	views  map[eventstore.ViewID]*viewJobs
	alone  bool // the last turn was of a job alone
	closed bool

	began  time.Time     // the time that lanes rest counts from it
	later  *time.Timer   // rings the bell when a lane has rested
	bell   chan struct{} // buffer of one; wakes the writer's goroutine when jobs wait
	plenty chan struct{} // buffer of one; an element means that the events are enough for a group
}

// viewJobs are the waiting jobs of one view, which are in one lane.
type viewJobs struct {
	lane *lane
	n    int
}

// lane is the jobs of one kind, in the order of their arrival.
type lane struct {
	batches []*batch
	limit   int // bytes; a larger job enters an empty lane
	bytes   int // of all batches
	most    int // the weight of a batch that takes no more jobs
	usual   int // the capacity of a new batch: the jobs of the last one taken

	jobs   atomic.Int64 // in all batches
	weight atomic.Int64 // of these jobs
	rested atomic.Int64 // nanoseconds; until then none are taken
	space  gate         // opened when batches have been removed
}

// The bounds of the queue.
const (
	queueJobs  = 4096 // in each lane
	eventBytes = 64 << 20
	rowBytes   = 16 << 20
)

// rowsWeight bounds the rows of a turn. A change of a view counts for viewWeight rows more
// than it has: it writes the view's checkpoint and tally, too.
const (
	rowsWeight = 4096
	viewWeight = 16
)

// After a turn with many rows, their lane rests for restShare times as long as the turn took, at
// most restMost, if events were appended within restMost.
const (
	restShare = 2
	restMost  = time.Second
)

// batch is a list of jobs that enter one turn and end together.
type batch struct {
	lane          *lane
	jobs          []job
	weight, bytes int
	ended         chan struct{} // closed when the jobs have ended
}

// rows reports whether the jobs of the batch change rows, and manyRows whether they change
// many, or attach a view.
func (b *batch) rows() bool     { return b.jobs[0].view() != "" }
func (b *batch) manyRows() bool { return b.rows() && (b.weight > enough || b.jobs[0].alone()) }

func newQueue() *queue {
	q := &queue{
		events: lane{limit: eventBytes, most: groupEvents},
		rows:   lane{limit: rowBytes, most: rowsWeight}, bulk: lane{limit: rowBytes, most: rowsWeight},
		views: make(map[eventstore.ViewID]*viewJobs),
		began: time.Now(), bell: make(chan struct{}, 1), plenty: make(chan struct{}, 1),
	}
	q.later = time.AfterFunc(time.Hour, q.ring)
	q.later.Stop()
	return q
}

// laneOf returns the lane that a job enters. The caller holds mu.
func (q *queue) laneOf(j job, weight int) *lane {
	if j.view() == "" {
		return &q.events
	}
	if others := q.views[j.view()]; others != nil {
		return others.lane
	}
	if weight > enough || j.alone() {
		return &q.bulk
	}
	return &q.rows
}

// push adds a job to the queue and returns its batch. If its lane is full, it returns a
// channel instead, which is closed when the lane may have space.
func (q *queue) push(j job) (b *batch, full <-chan struct{}, err error) {
	weight, bytes := j.size()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, nil, eventstore.ErrClosed
	}
	l := q.laneOf(j, weight)
	if n := l.jobs.Load(); n >= queueJobs || n > 0 && l.bytes+bytes > l.limit {
		return nil, l.space.opened(), nil
	}
	b = l.add(j, weight, bytes)
	if view := j.view(); view != "" {
		if q.views[view] == nil {
			q.views[view] = &viewJobs{lane: l}
		}
		q.views[view].n++
	}
	if now := l.weight.Load(); now >= enough && now-int64(weight) < enough {
		select {
		case q.plenty <- struct{}{}:
		default:
		}
	}
	return b, nil, nil
}

// add adds a job to the last batch, or to a new one, and returns the batch. The caller holds
// the queue's mu.
func (l *lane) add(j job, weight, bytes int) (b *batch) {
	if last := len(l.batches) - 1; last >= 0 && l.fits(l.batches[last], j, weight) {
		b = l.batches[last]
	} else {
		b = &batch{lane: l, ended: make(chan struct{}), jobs: make([]job, 0, l.usual)}
		l.batches = append(l.batches, b)
	}
	b.jobs = append(b.jobs, j)
	b.weight += weight
	b.bytes += bytes
	l.bytes += bytes
	l.jobs.Add(1)
	l.weight.Add(int64(weight))
	return b
}

// fits reports whether the job can join the batch. An attachment is a batch of its own,
// since views are attached between groups.
func (l *lane) fits(b *batch, j job, weight int) bool {
	return b.weight+weight <= l.most && b.bytes < groupBytes && !j.alone() && !b.jobs[0].alone()
}

// pushWaiting adds a job to the queue and returns its batch. While its lane is full it
// waits, until the job's context ends.
func (q *queue) pushWaiting(j job) (*batch, error) {
	for {
		b, full, err := q.push(j)
		if b != nil || err != nil {
			return b, err
		}
		ctx := j.waiter().ctx
		select {
		case <-full:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ring wakes the writer's goroutine.
func (q *queue) ring() {
	select {
	case q.bell <- struct{}{}:
	default: // it is rung already
	}
}

// ringIfWaiting wakes the writer's goroutine if jobs wait that can be taken, or when a lane
// has rested.
func (q *queue) ringIfWaiting() {
	q.mu.Lock()
	defer q.mu.Unlock()
	var left time.Duration
	for _, l := range []*lane{&q.events, &q.rows, &q.bulk} {
		if l.jobs.Load() == 0 {
			continue
		}
		rest := q.resting(l)
		if rest <= 0 {
			q.ring()
			return
		}
		if left == 0 || rest < left {
			left = rest
		}
	}
	if left > 0 {
		q.later.Reset(left)
	}
}

// resting returns for how long nothing is taken from a lane.
func (q *queue) resting(l *lane) time.Duration {
	until := l.rested.Load()
	if until == 0 {
		return 0
	}
	return time.Duration(until) - time.Since(q.began)
}

// rest makes a lane rest after a turn with many rows of it, which took this long.
func (q *queue) rest(l *lane, took time.Duration) {
	l.rested.Store(int64(time.Since(q.began) + min(restShare*took, restMost)))
}

// ready returns the number of waiting jobs that a turn may take now, and whether they are
// worth its syncs.
func (q *queue) ready() (jobs int64, worth bool) {
	jobs, worth = q.events.jobs.Load(), q.events.weight.Load() >= enough
	for _, l := range []*lane{&q.rows, &q.bulk} {
		if n := l.jobs.Load(); n > 0 && q.resting(l) <= 0 {
			jobs, worth = jobs+n, worth || l.weight.Load() >= enough
		}
	}
	return jobs, worth
}

// take removes and returns the batches for the next turn: events, and one batch of each lane
// of rows that does not rest; or an attachment.
func (q *queue) take() []*batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ready [2]*lane // of rows
	n := 0
	for _, l := range []*lane{&q.rows, &q.bulk} {
		if len(l.batches) == 0 || q.resting(l) > 0 {
			continue
		}
		if l.batches[0].jobs[0].alone() {
			if q.alone && len(q.events.batches) > 0 { // the events go first this time
				continue
			}
			q.alone = true
			return q.removeRows(l)
		}
		ready[n] = l
		n++
	}
	q.alone = false
	taken := q.takeEvents()
	for _, l := range ready[:n] {
		taken = append(taken, q.removeRows(l)...)
	}
	return taken
}

// takeEvents removes and returns batches of events, within the bounds of a group. The caller
// holds mu.
func (q *queue) takeEvents() []*batch {
	weight, bytes, n := 0, 0, 0
	for _, b := range q.events.batches {
		if n > 0 && (weight+b.weight > groupEvents || bytes+b.bytes > groupBytes) {
			break
		}
		weight, bytes = weight+b.weight, bytes+b.bytes
		n++
	}
	return q.events.remove(n)
}

// removeRows removes and returns the first batch of a lane of rows. The caller holds mu.
func (q *queue) removeRows(l *lane) []*batch {
	batches := l.remove(1)
	for _, j := range batches[0].jobs {
		if others := q.views[j.view()]; others != nil && others.n > 1 {
			others.n--
		} else {
			delete(q.views, j.view())
		}
	}
	return batches
}

// takeMore removes and returns the next batch of events if it can join the batches of a turn.
func (q *queue) takeMore(group []*batch) []*batch {
	if q.events.jobs.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events.batches) == 0 {
		return nil
	}
	next := q.events.batches[0]
	weight, bytes := next.weight, next.bytes
	for _, b := range group {
		weight, bytes = weight+b.weight, bytes+b.bytes
	}
	if weight > groupEvents || bytes > groupBytes {
		return nil
	}
	return q.events.remove(1)
}

// remove removes and returns the first n batches. The caller holds the queue's mu.
func (l *lane) remove(n int) []*batch {
	batches := l.batches[:n:n]
	l.batches = l.batches[n:]
	for _, b := range batches {
		l.bytes -= b.bytes
		l.jobs.Add(-int64(len(b.jobs)))
		l.weight.Add(-int64(b.weight))
		l.usual = len(b.jobs)
	}
	if n > 0 {
		l.space.open()
	}
	return batches
}

// load returns the number and the bytes of the waiting jobs.
func (q *queue) load() (jobs, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range []*lane{&q.events, &q.rows, &q.bulk} {
		jobs, bytes = jobs+int(l.jobs.Load()), bytes+l.bytes
	}
	return jobs, bytes
}

// close ends all waiting jobs with ErrClosed; later pushes return it.
func (q *queue) close() {
	q.later.Stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, l := range []*lane{&q.events, &q.rows, &q.bulk} {
		for _, b := range l.batches {
			for _, j := range b.jobs {
				j.end(eventstore.ErrClosed)
			}
			close(b.ended)
		}
		l.batches = nil
		l.space.open()
	}
}

// gate is a broadcast: each call of open wakes the goroutines that wait for it. The zero
// gate is ready for use.
type gate struct {
	mu sync.Mutex
	ch chan struct{}
}

// opened returns a channel that the next call of open closes.
func (g *gate) opened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ch == nil {
		g.ch = make(chan struct{})
	}
	return g.ch
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ch != nil {
		close(g.ch)
		g.ch = nil
	}
}
