package boltstore

import (
	"cmp"
	"runtime"
	"sync"
	"time"

	"github.com/yore-es/yore/internal/logfile"
)

// # One goroutine at a time writes
//
// Problem. A transaction costs two syncs, however much is in it, and bbolt allows one
// write transaction at a time. So the speed of appending is the number of commits in a
// transaction.
//
// Invariants. Only the holder of the pen writes. Commits are judged in the order in
// which they are taken, each against all before it (I5). A caller is told an outcome
// only when the transaction that it depends on is on disk (I1).
//
// Steps. In each turn the holder takes the waiting events, and some of the waiting rows, as
// one group (see queue); judges them in order; lets the inline views apply the events of those that stand; puts events and
// rows into one transaction; and when that is on disk, publishes the group to readers
// and gives every job its outcome. The refused jobs wait for that too, because the events
// that refused them may be in the group.
//
// The pen is the writer goroutine's while there is something to write. A caller that
// finds the pen free takes it and writes its own job, with those that arrive meanwhile:
// to wake another goroutine and to be woken by it takes as long as the rest of a small
// append. When that caller lays the pen down and jobs wait, the writer goroutine goes on.
//
// Callers whose jobs have just ended often come back with the next. If the holder took the
// waiting jobs at once, half of these callers would always miss the group and wait for two.
// So it waits for as many jobs as have just ended, but for at most a tenth of the last
// transaction's time, and never for a single one: a lone caller does not wait. A job that
// arrives while a transaction is being filled joins it, unless views are attached, which see
// a group as a whole before its transaction. Jobs are awaited, and join, only until the group
// is worth its syncs; the callers of further jobs prepare them while the group is written.
//
// Rejected. DB.Batch delays a lone caller by 10 ms and runs functions again. A writer
// goroutine that always writes costs two switches of goroutines an append. Forming a
// group while the one before is written doubles the number of transactions
// (docs/explanation/performance.md).

// The bounds of a group.
const (
	groupEvents = 8192 // events and rows; with these, the group is closed
	groupBytes  = 8 << 20

	// enough is how many events and rows make a group worth its syncs.
	enough = 512
)

// writer has the state of the holder of the pen. Only submit, tryWrite and the methods of
// the queue and the counters may be called without the pen.
type writer struct {
	*disk
	tail  *tail
	index *indexKeeper
	views *viewSet
	queue *queue

	counters counters
	stopped  chan struct{} // closed when the writer goroutine has ended

	pen    sync.Mutex
	expect int64         // jobs that may be waiting soon: as many as there were, and as have just ended
	until  time.Time     // how long it is worth waiting for them
	took   time.Duration // of the last group
	woke   bool          // the end of the last group has woken other goroutines

	appended time.Time // when the last events were
	log      logfile.Writer
}

// run is the writer goroutine. It ends when the store is closing.
func (w *writer) run() {
	defer close(w.stopped)
	defer w.queue.close()
	for {
		select {
		case <-w.queue.bell:
		case <-w.index.repairs:
		case <-w.closing:
			w.pen.Lock() // the holder finishes first
			defer w.pen.Unlock()
			return
		}
		w.pen.Lock()
		if w.index.repair() {
			w.tail.publish(w.newTurn().group) // wakes the readers that wait for these transactions
		}
		for !w.isClosing() && w.writeNext() {
		}
		w.pen.Unlock()
		w.queue.ringIfWaiting()
	}
}

// submit hands a job to the writer and waits for its outcome. Until the job is taken,
// its context and Close can withdraw it.
func (w *writer) submit(j job) error {
	t := j.waiter()
	b, err := w.queue.pushWaiting(j)
	if err != nil {
		return err
	}
	w.tryWrite()
	gone := t.ctx.Done()
	if gone == nil {
		<-b.ended
		return t.err
	}
	select {
	case <-b.ended:
		return t.err
	case <-gone:
		if t.state.CompareAndSwap(waiting, withdrawn) {
			return t.ctx.Err()
		}
	}
	<-b.ended
	return t.err
}

// tryWrite takes one turn on the caller's goroutine, if the pen is free. After the pen
// is laid down, the queue is looked at once more: a job may have found the pen taken.
func (w *writer) tryWrite() {
	if !w.pen.TryLock() {
		return
	}
	woke := false
	if !w.index.down.Load() && !w.isClosing() { // else the writer goroutine has to
		woke = w.writeNext() && w.woke
	}
	w.pen.Unlock()
	w.queue.ringIfWaiting()
	// The woken goroutines go first; with one processor all others do, since an appender
	// that comes back at once would keep it until it is preempted.
	if woke || runtime.GOMAXPROCS(0) == 1 {
		runtime.Gosched()
	}
}

// writeNext takes one turn, and reports whether there was anything to write.
func (w *writer) writeNext() bool {
	w.awaitCompany()
	batches := w.queue.take()
	if len(batches) > 0 {
		w.write(batches)
	}
	return len(batches) > 0
}

// awaitCompany waits a moment for the callers whose jobs have just ended.
//
// Gosched returns only after every runnable goroutine has run. So if more callers are
// expected than a group needs, the writer sleeps until the job that makes the queue
// large enough rings.
func (w *writer) awaitCompany() {
	q := w.queue
	if _, worth := q.ready(); w.expect > enough && !worth && time.Now().Before(w.until) {
		late := time.NewTimer(w.took)
		defer late.Stop()
		select {
		case <-q.plenty: // perhaps from before
		default:
		}
		if _, worth := q.ready(); !worth {
			select {
			case <-q.plenty:
			case <-late.C:
			}
		}
		return
	}
	for {
		jobs, worth := q.ready()
		if jobs >= w.expect || worth || !time.Now().Before(w.until) {
			return
		}
		runtime.Gosched()
	}
}

// write does the jobs of the batches, and those that join them, in one turn, and gives
// each its outcome.
func (w *writer) write(batches []*batch) {
	start := time.Now()
	t := w.newTurn()
	t.enter(batches)
	t.applyInline()
	var err error
	followed := false
	begin := time.Now()
	if t.changesFile() {
		err = t.commit()
		w.counters.count(t.group, time.Since(begin), err)
		if err == nil {
			w.views.keep(t.changes)
			followed = w.tail.publish(t.group)
			w.index.tend(t.group)
		}
	}
	many := w.rest(t, time.Since(start))
	queued, _ := w.queue.ready()
	told, back := 0, int64(0)
	for _, b := range t.batches {
		for _, j := range b.jobs {
			j.end(cmp.Or(err, t.outcome(j)))
		}
		told += len(b.jobs)
		if !many || !b.rows() {
			back += int64(len(b.jobs))
		}
		close(b.ended)
	}
	w.expect = queued + back
	w.woke = followed || told > 1
	now := time.Now()
	w.took = now.Sub(begin)
	w.until = now.Add(w.took / 10)
	if len(t.group.entries) > 0 {
		w.appended = now
	}
	if err == nil {
		w.views.remember(t.changes)
		w.logFaults(t.changes)
	}
}

// rest makes the lanes rest whose many rows were in a turn that took this long, if events are
// being appended. It reports whether there were many rows.
func (w *writer) rest(t *turn, took time.Duration) (many bool) {
	for _, b := range t.batches {
		if !b.manyRows() {
			continue
		}
		many = true
		if time.Since(w.appended) < restMost {
			w.queue.rest(b.lane, took)
		}
	}
	return many
}
