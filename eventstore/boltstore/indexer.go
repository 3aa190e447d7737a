package boltstore

import (
	"context"
	"errors"

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

// run is the indexer's goroutine. It ends when the store is closing.
func (k *indexKeeper) run() {
	defer close(k.stopped)
	for {
		select {
		case <-k.work:
		case <-k.closing:
			return
		}
		x := k.current.Load()
		err := x.Maintain(indexFile{k, x})
		k.stuck.Store(err != nil)
		switch {
		case err == nil, errors.Is(err, errIndexReplaced), errors.Is(err, eventstore.ErrClosed),
			errors.Is(err, eventstore.ErrFailed), errors.Is(err, eventstore.ErrUnknownOutcome):
		case errors.Is(err, index.ErrUnusable), errors.Is(err, logfile.ErrBadPage), x.Overflowing():
			k.suspect(x, err)
		default: // a full disk, perhaps; it is tried again when more has been appended
			k.opts.Logger.Warn("the index could not be written", "file", k.file.Path, "error", err)
		}
		k.room.open()
	}
}

// tend is called by the writer when a group is durable.
func (k *indexKeeper) tend(g *group) {
	x := k.current.Load()
	if len(g.entries) == 0 || k.down.Load() || !x.Freeze(false) && !x.Waiting() {
		return
	}
	select {
	case k.work <- struct{}{}:
	default: // it has been told already
	}
}

// awaitRoom returns when the index has room for more in memory. If the indexer
// could not write, the append goes on: it may fail for the same reason, and if not,
// the indexer tries again.
func (k *indexKeeper) awaitRoom(ctx context.Context) error {
	for {
		room := k.room.opened() // before looking: it is opened when there is something new to see
		if k.down.Load() || k.stuck.Load() || !k.current.Load().Crowded() {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		case <-k.failure:
			return eventstore.ErrFailed
		case <-k.closing:
			return eventstore.ErrClosed
		}
	}
}

// indexFile is the file of an index for the indexer: what it writes goes through
// the writer.
type indexFile struct {
	keeper *indexKeeper
	index  *index.Index
}

// ReadTx implements index.File.
func (f indexFile) ReadTx(fn func(*bolt.Tx) error) error { return f.keeper.readTx(fn) }

// Write implements index.File.
func (f indexFile) Write(slice *index.Slice) error {
	err := f.keeper.submit(&indexWrite{ticket: newTicket(context.Background()), index: f.index, slice: slice})
	f.keeper.room.open() // there may be some
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
func (w *indexWrite) enter(t *turn) {
	if t.w.index.down.Load() || t.w.index.current.Load() != w.index {
		w.err = errIndexReplaced
		return
	}
	t.slices = append(t.slices, w)
}

// save writes what the index holds in memory when the store is closed, so
// that the next Open need not read it again. With little, that is not worth a
// part of its own.
func (k *indexKeeper) save() {
	const few = 1024
	if k.opts.ReadOnly || k.failed.Load() || k.down.Load() {
		return
	}
	x := k.current.Load()
	if x.Through()-x.Saved() < few {
		return
	}
	if err := x.Save(ownIndexFile{k}); err != nil {
		k.opts.Logger.Warn("the index could not be written", "file", k.file.Path, "error", err)
	}
}
