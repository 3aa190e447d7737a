package boltstore

import (
	"context"
	"errors"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
)

// The indexer is the store's other goroutine. It writes what the index holds in
// memory to the file, and keeps the parts of the index few, as internal/index
// tells. It sorts and encodes on its own, and hands the writer slices of bounded
// size, which go to disk with the next group: no append waits for more than that.
//
// Only if events are appended faster than the indexer can follow do appends wait
// until it has made room, so that memory is bounded.

// runIndexer is the indexer's goroutine. It ends when the store is closing.
func (s *Store) runIndexer() {
	defer close(s.indexerStopped)
	for {
		select {
		case <-s.indexWork:
		case <-s.closing:
			return
		}
		x := s.index.Load()
		err := x.Maintain(indexFile{s, x})
		s.indexStuck.Store(err != nil)
		switch {
		case err == nil, errors.Is(err, errIndexReplaced), errors.Is(err, eventstore.ErrClosed),
			errors.Is(err, eventstore.ErrFailed), errors.Is(err, eventstore.ErrUnknownOutcome):
		case errors.Is(err, index.ErrUnusable), errors.Is(err, logfile.ErrBadPage), x.Overflowing():
			s.suspect(x, err)
		default: // a full disk, perhaps; it is tried again when more has been appended
			s.opts.Logger.Warn("the index could not be written", "file", s.file.Path, "error", err)
		}
		s.room.open()
	}
}

// tendIndex is called by the writer when a group is durable.
func (s *Store) tendIndex(g *group) {
	x := s.index.Load()
	if len(g.entries) == 0 || s.indexDown.Load() || !x.Freeze(false) && !x.Waiting() {
		return
	}
	select {
	case s.indexWork <- struct{}{}:
	default: // it has been told already
	}
}

// awaitRoom returns when the index has room for more in memory. If the indexer
// could not write, the append goes on: it may fail for the same reason, and if not,
// the indexer tries again.
func (s *Store) awaitRoom(ctx context.Context) error {
	for {
		room := s.room.opened() // before looking: it is opened when there is something new to see
		if s.indexDown.Load() || s.indexStuck.Load() || !s.index.Load().Crowded() {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.failure:
			return eventstore.ErrFailed
		case <-s.closing:
			return eventstore.ErrClosed
		}
	}
}

// gate lets those pass who wait for it, each time that it is opened.
type gate struct {
	mu sync.Mutex
	ch chan struct{}
}

// opened returns a channel that is closed when the gate is opened the next time.
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

// indexFile is the file of an index for the indexer: what it writes goes through
// the writer.
type indexFile struct {
	store *Store
	index *index.Index
}

// View implements index.File.
func (f indexFile) View(fn func(*bolt.Tx) error) error { return f.store.view(fn) }

// Write implements index.File.
func (f indexFile) Write(slice *index.Slice) error {
	err := f.store.submit(&indexWrite{ticket: newTicket(context.Background()), index: f.index, slice: slice})
	f.store.room.open() // there may be some
	return err
}

// indexWrite is a slice of the index on its way to the writer.
type indexWrite struct {
	ticket
	index *index.Index
	slice *index.Slice
}

// errIndexReplaced says that the index was built anew meanwhile, or will be.
var errIndexReplaced = errors.New("the index is not in use any more")

// enter implements job.
func (w *indexWrite) enter(s *Store, g *group) {
	if s.indexDown.Load() || s.index.Load() != w.index {
		w.err = errIndexReplaced
		return
	}
	g.slices = append(g.slices, w)
}

// saveIndex writes what the index holds in memory when the store is closed, so
// that the next Open need not read it again. With little, that is not worth a
// part of its own.
func (s *Store) saveIndex() {
	const few = 1024
	if s.opts.ReadOnly || s.failed.Load() || s.indexDown.Load() {
		return
	}
	x := s.index.Load()
	if x.Through()-x.Saved() < few {
		return
	}
	if err := x.Save(ownIndexFile{s}); err != nil {
		s.opts.Logger.Warn("the index could not be written", "file", s.file.Path, "error", err)
	}
}
