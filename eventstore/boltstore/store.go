package boltstore

import (
	"context"
	"sync"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/ids"
)

// Store is an event log in one bbolt file. It is safe for concurrent use by
// multiple goroutines. It implements [eventstore.Store].
type Store struct {
	*disk
	opts   Options
	info   eventstore.Info
	ids    ids.Source
	tail   *tail
	index  *indexKeeper
	reader *reader
	views  *viewSet
	writer *writer

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
	return (&durable{in: s.reader, head: s.tail.last().through}).byKey(key)
}

// Close implements [eventstore.Store]. Appends that the writer has taken are finished, and
// waiting ones return ErrClosed. Close waits for pages that are being read, and for an
// attached view at most for its Timeout, but not for loops that range over events. It ends and
// gives up the lock also if the Store has failed.
func (s *Store) Close() (err error) {
	s.closeOnce.Do(func() {
		close(s.closing)
		<-s.writer.stopped
		s.views.late.returning.Wait()
		<-s.index.stopped
		s.index.save()
		err = s.db.Close()
	})
	return err
}
