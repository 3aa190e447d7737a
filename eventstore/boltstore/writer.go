package boltstore

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
)

// One goroutine at a time writes: it has the store's pen. Each turn it takes all
// jobs that are waiting as one group: it judges them in order, each against all
// before it; lets the inline views apply the events of those that stand; puts
// events and rows into one transaction; and when that is on disk, publishes the
// group to readers and tells all callers their outcome, the refused ones too, for
// what refused them is true only if the group is.
//
// The pen is the writer goroutine's as long as there is something to write. A caller
// who finds it free takes it and does his job himself, with those that come
// meanwhile: to wake another goroutine, and be woken by it, would take as long as
// all else that is done for a small append. When he lays it down and there is more,
// the writer goroutine goes on.
//
// How fast the writer is depends on how large its groups are, for the syncs of a
// transaction cost the same however much is in it. Callers whose jobs have just
// ended are often about to come back with the next: if the writer took at once
// what is there, half of them would always miss the group and wait for two. So it
// waits for as many as have just been told, but only for a tenth of the time that
// the last transaction took, and never for a single one: a lone caller waits for
// nobody. And who comes while a transaction is being filled joins it, unless
// views are attached, which see a group as a whole before that. But all this only
// until the group is worth its syncs: with thousands of callers, half of them had
// better come to the next one, and have been at work while this one was written.
//
// If the transaction fails, the whole group fails with its error, and the
// writer goes on with the log as it was. That is safe as long as the failed
// transaction cannot have become the newest one in the file; if it can, whether
// it survives is the operating system's to decide, and the store stops taking
// appends until it is opened again and has looked.

const (
	groupEvents = 8192 // a group is closed when it has so many events and rows,
	groupBytes  = 8 << 20

	// With so many events and rows a group is worth its syncs; more of them had
	// better be got ready, by their callers, while it is written.
	enough = 512
)

// writer is the state of who writes. It is used with the pen in hand.
type writer struct {
	store  *Store
	pen    sync.Mutex
	expect int64         // jobs that may be waiting soon: as many as there were, and as have just been told
	until  time.Time     // how long it is worth waiting for them
	took   time.Duration // of the last group
	woke   bool          // its end has woken others
	log    logfile.Writer
}

// runWriter is the writer's goroutine. It ends when the store is closing.
func (s *Store) runWriter() {
	defer close(s.stopped)
	defer s.queue.close()
	w := &s.writer
	for {
		select {
		case <-s.queue.bell:
		case <-s.repairs:
		case <-s.closing:
			w.pen.Lock() // whoever has it finishes first
			defer w.pen.Unlock()
			return
		}
		w.pen.Lock()
		s.repairIndex()
		for w.turn() && !s.isClosing() {
		}
		w.pen.Unlock()
		s.queue.ringIfWaiting()
	}
}

// tryWrite does a turn on the caller's goroutine, if nobody else is writing. Whoever
// lays the pen down looks once more whether somebody came and found it taken.
func (s *Store) tryWrite() {
	if !s.writer.pen.TryLock() {
		return
	}
	woke := false
	if !s.indexDown.Load() && !s.isClosing() { // else it is for the writer's goroutine
		woke = s.writer.turn() && s.writer.woke
	}
	s.writer.pen.Unlock()
	s.queue.ringIfWaiting()
	// They go first; and so do all others if there is one processor, which an appender who
	// comes again and again would keep until it is taken from him.
	if woke || runtime.GOMAXPROCS(0) == 1 {
		runtime.Gosched()
	}
}

// turn writes a group, and reports whether there was anything to write.
func (w *writer) turn() bool {
	w.awaitCompany()
	batches := w.store.queue.take()
	if len(batches) > 0 {
		w.writeGroup(batches)
	}
	return len(batches) > 0
}

// awaitCompany waits a moment for the callers that have just been told.
//
// Who yields to a crowd gets his turn only when all of it has had one. So if more
// callers are expected than a group needs, the one that makes it large enough rings.
func (w *writer) awaitCompany() {
	q := w.store.queue
	if w.expect > enough && q.weight.Load() < enough && time.Now().Before(w.until) {
		late := time.NewTimer(w.took)
		defer late.Stop()
		select {
		case <-q.plenty: // perhaps from before
		default:
		}
		if q.weight.Load() < enough {
			select {
			case <-q.plenty:
			case <-late.C:
			}
		}
		return
	}
	for q.jobs.Load() < w.expect && q.weight.Load() < enough && time.Now().Before(w.until) {
		runtime.Gosched()
	}
}

// writeGroup does the jobs of the batches, and those that join them, as one group,
// and gives each its outcome.
func (w *writer) writeGroup(batches []*batch) {
	s := w.store
	last := s.tail.last()
	g := newGroup(last.through, last.recorded)
	g.enter(s, batches)
	s.applyInline(g)
	var err error
	followed, told := false, 0
	begin := time.Now()
	if g.changesFile() {
		err = s.commit(g)
		s.counters.count(g, time.Since(begin), err)
		if err == nil {
			s.settleViews(g)
			followed = s.tail.publish(g)
			s.tendIndex(g)
		}
	}
	queued := s.queue.jobs.Load()
	for _, b := range g.batches {
		for _, j := range b.jobs {
			j.end(cmp.Or(err, g.outcome(j)))
		}
		told += len(b.jobs)
		close(b.ended)
	}
	w.expect = queued + int64(told)
	w.woke = followed || told > 1
	now := time.Now()
	w.took = now.Sub(begin)
	w.until = now.Add(w.took / 10)
	if err == nil {
		s.rememberRows(g)
		s.logFaults(g)
	}
	g.views, g.slices, g.batches = nil, nil, nil // done with; the tail need not keep them
}

// enter lets the jobs of the batches enter the group.
func (g *group) enter(s *Store, batches []*batch) {
	g.batches = append(g.batches, batches...)
	for _, b := range batches {
		for _, j := range b.jobs {
			if j.take() {
				j.enter(s, g)
			}
		}
	}
}

// indexGroup begins to add the group to the index in memory, while it is written;
// readers, who know the head, look no further than that.
func (s *Store) indexGroup(g *group) {
	x := s.index.Load()
	n := len(g.entries)
	if n == 0 || s.indexDown.Load() || x.Through() != g.first-1 {
		return
	}
	var keys map[int]string // by the entry that has it
	if len(g.keys) > 0 {
		keys = make(map[int]string, len(g.keys))
	}
	for key, i := range g.keys {
		keys[g.commits[i].start] = key
	}
	entry := func(i int) index.Entry {
		e := &g.entries[i]
		return index.Entry{Position: g.position(i), Stream: e.stream, Version: e.version, Type: e.kind, Tags: e.tags, Key: keys[i]}
	}
	const few = 64 // not worth another goroutine
	var adding sync.WaitGroup
	if n < few {
		x.Add(n, entry)
	} else {
		adding.Go(func() { x.Add(n, entry) })
	}
	g.indexed = func(durable bool) {
		adding.Wait()
		g.indexed = nil
		if !durable {
			x.Undo(n, entry)
		}
	}
}

// commit makes the group durable. On an error nothing of it is in the log,
// apart from ErrUnknownOutcome.
func (s *Store) commit(g *group) error {
	for {
		err := s.transact(func(tx *bolt.Tx) error { return s.fill(tx, g) })
		if g.indexed != nil {
			g.indexed(err == nil)
		}
		var bad *badViewError
		switch {
		case err == nil:
			return nil
		case len(g.slices) > 0 && (errors.Is(err, index.ErrUnusable) || errors.Is(err, errIndexPage)):
			s.suspect(g.slices[0].index, err)
			g.dropSlices(errIndexReplaced)
		case errors.As(err, &bad) && g.spared[bad.view] == nil:
			s.opts.Logger.Error("a view's rows are damaged", "file", s.file.Path, "error", bad)
			g.spare(s, bad)
		case len(g.slices) > 0 && len(g.entries)+len(g.views) > 0 && !s.failed.Load():
			g.dropSlices(err) // there may be room for the events, if not for the index
		default:
			return err
		}
	}
}

// transact runs fn in a transaction and makes it durable. On an error nothing of
// it is in the file, apart from ErrUnknownOutcome, after which the store takes
// no changes any more.
func (s *Store) transact(fn func(*bolt.Tx) error) error {
	if s.failed.Load() {
		return eventstore.ErrFailed
	}
	if err := s.file.InPlace(); err != nil {
		return fmt.Errorf("%w; its events can still be read: back them up (Store.Backup) before the store is closed", err)
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	if err := logfile.Protect(func() error { return fn(tx) }); err != nil { // nothing was written yet
		if rollbackErr := logfile.Protect(tx.Rollback); rollbackErr != nil {
			return s.fail(errors.Join(err, rollbackErr))
		}
		return err
	}
	id := tx.ID()
	if err := logfile.Protect(func() error { return s.commitTx(tx) }); err != nil {
		if errors.Is(err, logfile.ErrBadPage) { // bbolt has not ended it
			if rollbackErr := logfile.Protect(tx.Rollback); rollbackErr != nil {
				return s.fail(errors.Join(err, rollbackErr))
			}
		}
		if s.mayBeNewest(id) {
			return s.fail(err)
		}
		return err
	}
	s.durableTx.Store(int64(id))
	return nil
}

// changesFile reports whether there is anything to write.
func (g *group) changesFile() bool { return len(g.entries)+len(g.views)+len(g.slices) > 0 }

// fill puts all that the group changes into the transaction, and what comes
// meanwhile.
func (s *Store) fill(tx *bolt.Tx, g *group) error {
	if err := g.putViews(tx); err != nil {
		return err
	}
	log := &s.writer.log
	log.Begin(tx)
	for put := 0; ; {
		for ; put < len(g.entries); put++ {
			if err := log.Put(g.position(put), g.entries[put].record); err != nil {
				return err
			}
		}
		if !g.joinable(s) {
			break
		}
		batches := s.queue.takeMore(g.batches)
		if len(batches) == 0 {
			break
		}
		g.enter(s, batches)
	}
	if err := log.End(); err != nil {
		return err
	}
	s.indexGroup(g)
	return g.putSlices(tx)
}

// joinable reports whether others may join the group, whose views have been put
// into the transaction: it is small, none of the views has to see their events, and
// they change no rows.
func (g *group) joinable(s *Store) bool {
	return len(g.entries) > 0 && len(g.entries) < enough && len(g.views) == 0 && len(s.views.inline) == 0
}

// putSlices puts what the group changes in the index into the transaction.
func (g *group) putSlices(tx *bolt.Tx) error {
	for _, w := range g.slices {
		err := logfile.Protect(func() error { return w.slice.Apply(tx) })
		if errors.Is(err, logfile.ErrBadPage) {
			return fmt.Errorf("%w: %w", errIndexPage, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropSlices takes out of the group what it does to the index; who wanted that is
// told err.
func (g *group) dropSlices(err error) {
	for _, w := range g.slices {
		w.err = err
	}
	g.slices = nil
}

// errIndexPage says that the index has a page that bbolt panics on.
var errIndexPage = errors.New("the index")

// mayBeNewest reports whether a transaction whose commit failed may be found by
// the next one that begins: its meta page is in the page cache, and may or may
// not get to the disk.
func (s *Store) mayBeNewest(id int) bool {
	newest := id
	err := s.view(func(tx *bolt.Tx) error {
		newest = tx.ID()
		return nil
	})
	return err != nil || newest >= id
}

// fail stops the store from taking changes, because the outcome of a
// transaction is unknown.
func (s *Store) fail(cause error) error {
	if s.failed.CompareAndSwap(false, true) {
		close(s.failure)
		if err := s.file.Doubt(); err != nil {
			cause = errors.Join(cause, err)
		}
	}
	return fmt.Errorf("%w: close and reopen the store, and send the commit again: %w", eventstore.ErrUnknownOutcome, cause)
}
