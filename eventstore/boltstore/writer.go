package boltstore

import (
	"cmp"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/record"
)

// One goroutine writes. Each turn it takes all jobs that are waiting as one group:
// it judges them in order, each against all before it; lets the inline views
// apply the events of those that stand; puts events and rows into one
// transaction; and when that is on disk, publishes the group to readers and
// tells all callers their outcome, the refused ones too, for what refused them
// is true only if the group is. A lone job is a group of its own and waits for
// nobody.
//
// If the transaction fails, the whole group fails with its error, and the
// writer goes on with the log as it was. That is safe as long as the failed
// transaction cannot have become the newest one in the file; if it can, whether
// it survives is the operating system's to decide, and the store stops taking
// appends until it is opened again and has looked.

const (
	groupEvents = 8192 // a group is closed when it has so many events and rows,
	groupBytes  = 8 << 20
)

// runWriter is the writer's goroutine. It ends when the store is closing.
func (s *Store) runWriter() {
	defer close(s.stopped)
	var next job
	for {
		if s.indexDown.Load() {
			s.repairIndex()
		}
		if next != nil {
			next = s.writeGroup(next)
			continue
		}
		select {
		case j := <-s.queue:
			next = s.writeGroup(j)
		case <-s.repairs:
		case <-s.closing:
			return
		}
	}
}

// writeGroup does the first job and those that wait behind it, as one group, and
// gives each its outcome. It returns the job that has to begin the next group, if
// there is one.
func (s *Store) writeGroup(first job) (next job) {
	jobs, next := s.collect(first)
	last := s.tail.last()
	g := newGroup(last.through, last.recorded)
	for _, j := range jobs {
		j.enter(s, g)
	}
	if len(g.entries) > 0 {
		s.applyInline(g)
	}
	var err error
	if g.changesFile() {
		if err = s.commit(g); err == nil {
			s.settleViews(g)
			g.views = nil // done with; the tail need not keep the rows
			s.tail.publish(g)
		}
	}
	for _, j := range jobs {
		j.end(cmp.Or(err, g.outcome(j)))
	}
	return next
}

// collect takes the first job and those that wait behind it, as far as a group
// goes.
func (s *Store) collect(first job) (jobs []job, next job) {
	weight, bytes := 0, 0
	for j := first; ; {
		if j.take() {
			jobs = append(jobs, j)
			w, b := j.size()
			weight, bytes = weight+w, bytes+b
		}
		if weight >= groupEvents || bytes >= groupBytes || isAttachment(first) {
			return jobs, nil
		}
		select {
		case j = <-s.queue:
		default:
			return jobs, nil
		}
		if isAttachment(j) {
			return jobs, j
		}
	}
}

// commit makes the group durable. On an error nothing of it is in the log,
// apart from ErrUnknownOutcome.
func (s *Store) commit(g *group) error {
	indexed := !s.indexDown.Load()
	for {
		err := s.transact(func(tx *bolt.Tx) error { return g.put(tx, indexed) })
		var bad *badViewError
		switch {
		case err == nil:
			return nil
		case indexed && (errors.Is(err, index.ErrUnusable) || errors.Is(err, errIndexPage)):
			s.suspect(err)
			indexed = false
		case errors.As(err, &bad) && g.spared[bad.view] == nil:
			s.opts.Logger.Error("a view's rows are damaged", "file", s.file.path, "error", bad)
			g.spare(s, bad)
		default:
			return fmt.Errorf("append: %w", err)
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
	if err := s.file.inPlace(); err != nil {
		return err
	}
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	if err := guard(func() error { return fn(tx) }); err != nil { // nothing was written yet
		if rollbackErr := guard(tx.Rollback); rollbackErr != nil {
			return s.fail(errors.Join(err, rollbackErr))
		}
		return err
	}
	id := tx.ID()
	if err := guard(func() error { return s.commitTx(tx) }); err != nil {
		if errors.Is(err, errBadPage) { // bbolt has not ended it
			if rollbackErr := guard(tx.Rollback); rollbackErr != nil {
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
func (g *group) changesFile() bool { return len(g.entries) > 0 || len(g.views) > 0 }

// put writes all that the group changes; the index only if it is in use.
func (g *group) put(tx *bolt.Tx, indexed bool) error {
	if err := g.putViews(tx); err != nil || len(g.entries) == 0 {
		return err
	}
	log := tx.Bucket(logBucket)
	log.FillPercent = 1 // keys come in order: pages are never split to be filled later
	for i := range g.entries {
		key := record.Key(g.position(i))
		if err := log.Put(key[:], g.entries[i].record); err != nil {
			return err
		}
	}
	if !indexed {
		return nil
	}
	err := guard(func() error { return index.Add(tx, g.indexEntries()) })
	if errors.Is(err, errBadPage) {
		return fmt.Errorf("%w: %w", errIndexPage, err)
	}
	return err
}

// errIndexPage says that the index has a page that bbolt panics on.
var errIndexPage = errors.New("the index")

func (g *group) indexEntries() []index.Entry {
	entries := make([]index.Entry, len(g.entries))
	for i := range g.entries {
		e := &g.entries[i]
		entries[i] = index.Entry{Position: g.position(i), Stream: e.stream, Version: e.version, Type: e.kind, Tags: e.tags}
	}
	for key, i := range g.keys {
		entries[g.commits[i].start].Key = key
	}
	return entries
}

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
		if err := s.file.doubt(); err != nil {
			cause = errors.Join(cause, err)
		}
	}
	return fmt.Errorf("%w: close and reopen the store, and send the commit again: %w", eventstore.ErrUnknownOutcome, cause)
}
