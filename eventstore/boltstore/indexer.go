package boltstore

import (
	"context"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
)

// run is the indexer, a goroutine of the store (see indexkeeper.go). It ends when the store
// is closing.
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
		default: // such as a full disk; the next group wakes the indexer again
			k.opts.Logger.Warn("the index could not be written", "file", k.file.Path, "error", err)
		}
		k.room.open()
	}
}

// tend wakes the indexer if there is work for it. The writer calls it when a group is
// durable.
func (k *indexKeeper) tend(g *group) {
	x := k.current.Load()
	if len(g.entries) == 0 || k.down.Load() || !x.Freeze(false) && !x.Waiting() {
		return
	}
	select {
	case k.work <- struct{}{}:
	default: // it is woken already
	}
}

// awaitRoom returns when the index's memory has room, or when the context ends, the store
// fails or closes. It does not wait if the indexer cannot write: the append may fail for the
// same reason, and otherwise wakes the indexer again.
func (k *indexKeeper) awaitRoom(ctx context.Context) error {
	for {
		room := k.room.opened() // taken before the check, so that no opening is missed
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

// indexFile is the index.File of the indexer. Its slices are written by the writer.
type indexFile struct {
	keeper *indexKeeper
	index  *index.Index
}

// View implements index.File.
func (f indexFile) View(fn func(*bolt.Tx) error) error { return f.keeper.readTx(fn) }

// Write implements index.File.
func (f indexFile) Write(slice *index.Slice) error {
	err := f.keeper.submit(&indexWrite{ticket: newTicket(context.Background()), index: f.index, slice: slice})
	f.keeper.room.open() // the slice may have made room
	return err
}

// indexWrite is a slice of the index on its way to the writer.
type indexWrite struct {
	ticket
	index *index.Index
	slice *index.Slice
}

// errIndexReplaced means that the index has been rebuilt meanwhile, or will be.
var errIndexReplaced = errors.New("the index is not in use any more")

// enter implements job.
func (w *indexWrite) enter(t *turn) {
	if t.w.index.down.Load() || t.w.index.current.Load() != w.index {
		w.err = errIndexReplaced
		return
	}
	t.slices = append(t.slices, w)
}

// save writes the part of the index in memory when the store is closed, so that the next
// Open need not read these events again. A few events are not worth a part of their own.
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
