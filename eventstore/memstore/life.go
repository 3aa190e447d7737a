package memstore

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// Close implements [eventstore.Store]. It waits for the commit that is being written, and
// so for each inline view at most for the view's Timeout; a late view ends within that, too.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.ended)
	s.wake()
	s.mu.Unlock()
	s.writing <- struct{}{}
	s.endWrite()
	s.returning.Wait()
	return nil
}

// Reopen returns a store with the log and the rows of this one, for tests of a program
// that starts again. No view is attached to the new store. Reopen returns ErrLocked if
// this store is not closed. Call it at most once.
func (s *Store) Reopen() (*Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		return nil, eventstore.ErrLocked
	}
	next := New(&Options{Clock: s.clock, NewID: s.newID, Logger: s.logger})
	next.id, next.log, next.streams, next.keys, next.views = s.id, s.log, s.streams, s.keys, s.views
	return next, nil
}

// beginWrite takes writing, and endWrite releases it. beginWrite returns an error, which
// names the call, if the store is closed, the context has ended, the context is that of a
// view's Apply, or the arguments are invalid.
func (s *Store) beginWrite(ctx context.Context, call string, invalid error) error {
	if err := s.takeWriting(ctx, invalid); err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	return nil
}

func (s *Store) takeWriting(ctx context.Context, invalid error) error {
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := rows.MayChange(ctx, s); err != nil {
		return err
	}
	if invalid != nil {
		return invalid
	}
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return eventstore.ErrClosed
	}
	if err := s.check(ctx); err != nil {
		s.endWrite()
		return err
	}
	return nil
}

func (s *Store) endWrite() { <-s.writing }

// check takes mu and calls usable.
func (s *Store) check(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usable(ctx)
}

// usable returns ErrClosed for a closed store, else the error of the context. The caller
// holds mu.
func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return eventstore.ErrClosed
	}
	return ctx.Err()
}

// wake wakes all followers that wait. The caller holds mu.
func (s *Store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}
