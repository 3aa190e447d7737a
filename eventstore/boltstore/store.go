package boltstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/ids"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
)

// Store is an event log in one bbolt file. It is safe for concurrent use by
// multiple goroutines. It implements [eventstore.Store].
type Store struct {
	db   *bolt.DB
	file *logfile.File
	opts Options
	ids  ids.Source
	info eventstore.Info
	tail *tail

	commitTx func(*bolt.Tx) error // bbolt's Commit; tests make it fail

	queue     *queue // to the writer
	writer    writer
	durableTx atomic.Int64  // id of the last transaction that is on disk
	failed    atomic.Bool   // an outcome was unknown: no more appends
	failure   chan struct{} // closed when failed is set
	closing   chan struct{} // closed when Close is called
	stopped   chan struct{} // closed when the writer has ended

	index          atomic.Pointer[index.Index]
	indexDown      atomic.Bool   // the log is read instead
	repairs        chan struct{} // asks the writer to build the index anew
	repaired       bool          // the writer has tried to; its own
	indexWork      chan struct{} // tells the indexer that there is something to do
	indexStuck     atomic.Bool   // the indexer could not write when it last tried
	indexerStopped chan struct{} // closed when the indexer has ended
	room           gate          // opened when there may be room in the index

	views  viewSet
	guards guardMemo

	counters  counters
	closeOnce sync.Once
}

var _ eventstore.Store = (*Store)(nil)

// Head implements [eventstore.Store].
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	return s.tail.last().through, nil
}

// Info implements [eventstore.Store].
func (s *Store) Info() eventstore.Info { return s.info }

// Lookup implements [eventstore.Store].
func (s *Store) Lookup(ctx context.Context, key string) (eventstore.Receipt, bool, error) {
	if err := s.usable(ctx); err != nil {
		return eventstore.Receipt{}, false, err
	}
	if err := eventstore.ValidateKey(key); err != nil {
		return eventstore.Receipt{}, false, err
	}
	return (&durable{store: s, head: s.tail.last().through}).byKey(key)
}

// Close implements [eventstore.Store]. Appends that the writer has taken are
// finished first. It waits for pages being read, but not for loops that range
// over events.
func (s *Store) Close() (err error) {
	s.closeOnce.Do(func() {
		close(s.closing)
		<-s.stopped
		<-s.indexerStopped
		s.saveIndex()
		err = s.db.Close()
	})
	return err
}

func (s *Store) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// usable returns the error that every call ends with on a closed store or an
// ended context.
func (s *Store) usable(ctx context.Context) error {
	select {
	case <-s.closing:
		return eventstore.ErrClosed
	default:
		return ctx.Err()
	}
}

// takesChanges returns the error that every call which changes something ends
// with on a store that takes no changes.
func (s *Store) takesChanges() error {
	switch {
	case s.opts.ReadOnly:
		return eventstore.ErrReadOnly
	case s.failed.Load():
		return eventstore.ErrFailed
	}
	return nil
}

// viewer returns what reads the file for the packages below.
func (s *Store) viewer() logfile.Viewer { return logfile.Viewer{Usable: s.usable, View: s.view} }

// view runs fn in a read transaction. No code but ours runs in it, and it is
// short.
func (s *Store) view(fn func(*bolt.Tx) error) error {
	err := logfile.Protect(func() error { return s.db.View(fn) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return eventstore.ErrClosed
	}
	return err
}
