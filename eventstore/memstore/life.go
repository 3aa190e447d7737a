package memstore

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// Close implements [eventstore.Store]. It waits for the commit that is being
// written, and so for its inline views, but for none longer than its Timeout.
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
	return nil
}

// Reopen returns a store with the log and the rows of this one, which must be
// closed, or else it is ErrLocked: what a test needs of a program that starts
// again. No view is attached to it. Call it once.
func (s *Store) Reopen() (*Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		return nil, eventstore.ErrLocked
	}
	next := New(&Options{Clock: s.clock, NewID: s.newID})
	next.id, next.log, next.streams, next.keys, next.views = s.id, s.log, s.streams, s.keys, s.views
	return next, nil
}

// beginWrite takes writing, unless the store or the context has ended, a view
// that is being applied asks for it, or what is to be written is not valid: then
// the error says in which call. endWrite gives it back.
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

// check is usable for a caller that does not hold mu.
func (s *Store) check(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usable(ctx)
}

// usable returns the error that every call ends with on a closed store or an
// ended context. The caller holds mu.
func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return eventstore.ErrClosed
	}
	return ctx.Err()
}

// wake tells all followers to look again. The caller holds mu.
func (s *Store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}
