package boltstore

import (
	"context"
	"sync"
	"sync/atomic"

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

// queue holds the jobs that wait for the writer, in the order of their arrival. It is
// bounded: if it is full, a caller waits before its job enters.
//
// Jobs that arrive while the writer is busy form a batch, which ends as a whole: one channel
// wakes all of its callers.
type queue struct {
	mu      sync.Mutex
	batches []*batch
	bytes   int // of all batches
	usual   int // the capacity of a new batch: the jobs of the last one taken
	closed  bool

	jobs   atomic.Int64  // in all batches
	weight atomic.Int64  // of these jobs
	bell   chan struct{} // buffer of one; wakes the writer's goroutine when jobs wait
	plenty chan struct{} // buffer of one; an element means that the jobs are enough for a group
	space  gate          // opened when batches have been removed
}

// The bounds of the queue. A job that is larger than queueBytes enters an empty queue.
const (
	queueJobs  = 4096
	queueBytes = 64 << 20
)

// batch is a list of jobs that enter one turn and end together.
type batch struct {
	jobs          []job
	weight, bytes int
	rows          bool          // some of the jobs change rows
	ended         chan struct{} // closed when the jobs have ended
}

func newQueue() *queue { return &queue{bell: make(chan struct{}, 1), plenty: make(chan struct{}, 1)} }

// push adds a job to the queue and returns its batch. If the queue is full, it returns a
// channel instead, which is closed when the queue may have space.
func (q *queue) push(j job) (b *batch, full <-chan struct{}, err error) {
	weight, bytes := j.size()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, nil, eventstore.ErrClosed
	}
	if n := q.jobs.Load(); n >= queueJobs || n > 0 && q.bytes+bytes > queueBytes {
		return nil, q.space.opened(), nil
	}
	if last := len(q.batches) - 1; last >= 0 && q.batches[last].fits(j) {
		b = q.batches[last]
	} else {
		b = &batch{ended: make(chan struct{}), jobs: make([]job, 0, q.usual)}
		q.batches = append(q.batches, b)
	}
	b.jobs = append(b.jobs, j)
	b.rows = b.rows || j.view() != ""
	b.weight += weight
	b.bytes += bytes
	q.bytes += bytes
	q.jobs.Add(1)
	if now := q.weight.Add(int64(weight)); now >= enough && now-int64(weight) < enough {
		select {
		case q.plenty <- struct{}{}:
		default:
		}
	}
	return b, nil, nil
}

// pushWaiting adds a job to the queue and returns its batch. While the queue is full it
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

// ringIfWaiting wakes the writer's goroutine if jobs wait.
func (q *queue) ringIfWaiting() {
	if q.jobs.Load() == 0 {
		return
	}
	select {
	case q.bell <- struct{}{}:
	default: // it is rung already
	}
}

// fits reports whether the job can join the batch. An attachment is a batch of its own,
// since views are attached between groups.
func (b *batch) fits(j job) bool {
	return b.weight < groupEvents && b.bytes < groupBytes && !j.alone() && !b.jobs[0].alone()
}

// take removes and returns the batches for the next turn, within the bounds of a group.
func (q *queue) take() []*batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	weight, bytes, n := 0, 0, 0
	for _, b := range q.batches {
		if n > 0 && (weight+b.weight > groupEvents || bytes+b.bytes > groupBytes || b.jobs[0].alone()) {
			break
		}
		weight, bytes = weight+b.weight, bytes+b.bytes
		if n++; b.jobs[0].alone() {
			break
		}
	}
	return q.remove(n)
}

// takeMore removes and returns the next batch if it can join the batches of a turn.
func (q *queue) takeMore(group []*batch) []*batch {
	if q.jobs.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.batches) == 0 {
		return nil
	}
	next := q.batches[0]
	weight, bytes := next.weight, next.bytes
	for _, b := range group {
		weight, bytes = weight+b.weight, bytes+b.bytes
	}
	if next.rows || weight > groupEvents || bytes > groupBytes {
		return nil
	}
	return q.remove(1)
}

// remove removes and returns the first n batches. The caller holds mu.
func (q *queue) remove(n int) []*batch {
	batches := q.batches[:n:n]
	q.batches = q.batches[n:]
	for _, b := range batches {
		q.bytes -= b.bytes
		q.jobs.Add(-int64(len(b.jobs)))
		q.weight.Add(-int64(b.weight))
		q.usual = len(b.jobs)
	}
	if n > 0 {
		q.space.open()
	}
	return batches
}

// load returns the number and the bytes of the waiting jobs.
func (q *queue) load() (jobs, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.jobs.Load()), q.bytes
}

// close ends all waiting jobs with ErrClosed; later pushes return it.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, b := range q.batches {
		for _, j := range b.jobs {
			j.end(eventstore.ErrClosed)
		}
		close(b.ended)
	}
	q.batches = nil
	q.space.open()
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
