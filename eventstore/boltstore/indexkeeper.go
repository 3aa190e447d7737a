package boltstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
)

// # How the index is maintained
//
// Problem. To write the postings of each event with the event would cost a page at a random
// place for each of its terms. And the index can be damaged like any other part of the file,
// but it holds nothing that the log does not hold.
//
// Invariants. The index has the postings of all durable events, on disk or in memory, or
// it is down. Its memory is bounded. No question fails because the index is damaged: what
// the index answers, the log answers too, slowly (I6). No append waits for more than a
// slice of the index.
//
// Steps, while the index is sound. The writer adds the postings of each group to the
// index's memory (turn.indexGroup). When a part of that memory is full (tend), the indexer,
// a goroutine of the store, sorts and encodes it, and merges parts on disk so that they
// stay few; internal/index describes how. It submits the result to the writer in slices of
// bounded size, as jobs, which are written with the next turn. If events are appended
// faster than the indexer writes, appends wait (awaitRoom). If the indexer cannot write,
// for example because the disk is full, appends go on and the indexer tries again later.
// Close writes what is worth a part of its own (save); Open reads the events again that the
// index on disk lacks (indexbuild.go).
//
// Steps, when damage is found. The reader that finds it turns the index down (suspect). It
// and all later readers read the log instead. The writer sets the damaged index aside,
// builds a new one from the log and turns it up again (repair). It does so once while the
// file is open: if the new index is found damaged too, something else is wrong, and the log
// is read until the file is opened again.
//
// Rejected. To delete a damaged index: its pages would be freed according to their own
// headers, and a wrong header would free pages of the log. So its bucket is moved into one
// that nothing reads, until the file is compacted. Postings as keys written with each
// event, or an unsorted tree written later: each term still costs a page (docs/adr/0010).

// indexKeeper answers from the index, has it written, and replaces it when it is damaged.
// The questions and suspect are safe for concurrent use by multiple goroutines. open is for
// Open and save for Close; run is the indexer's; tend and repair need the pen.
type indexKeeper struct {
	*disk
	tail   *tail
	limits index.Limits // of a part of the index in memory; a full part is written
	// write hands a slice of an index to the writer and waits until it is durable.
	write func(*index.Index, *index.Slice) error

	current  atomic.Pointer[index.Index]
	down     atomic.Bool   // the index is damaged; the log is read instead
	repairs  chan struct{} // buffer of one; asks the writer to rebuild the index
	repaired bool          // the writer has tried to rebuild it; used with the pen

	work    chan struct{} // buffer of one; wakes the indexer
	stuck   atomic.Bool   // the indexer's last attempt to write has failed
	stopped chan struct{} // closed when the indexer has ended
	room    gate          // opened when the index's memory may have room
}

func newIndexKeeper(d *disk, t *tail, limits index.Limits) *indexKeeper {
	return &indexKeeper{
		disk: d, tail: t, limits: limits,
		repairs: make(chan struct{}, 1), work: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
}

// indexSnapshot is the state of the index at a moment. It can be read in a transaction that
// has begun later.
type indexSnapshot struct {
	index    *index.Index
	snapshot *index.Snapshot
}

// snapshot returns the present state of the index.
func (k *indexKeeper) snapshot() indexSnapshot {
	x := k.current.Load()
	return indexSnapshot{x, x.Snapshot()}
}

// ask runs fn with a reader of the index up to head. It reports whether the index could be
// used; if not, what fn has found must be ignored, and the caller reads the log. fn may run
// twice: it runs first without the file, and the part of the index in memory may suffice.
func (k *indexKeeper) ask(head eventstore.Position, fn func(*index.Reader)) (indexed bool, err error) {
	if k.down.Load() {
		return false, nil
	}
	x := k.snapshot()
	if x.recall(head, fn) {
		return true, nil
	}
	err = k.readTx(func(tx *pages.Tx) error {
		indexed = k.lookUp(tx, x, head, fn)
		return nil
	})
	return indexed, err
}

// recall runs fn with a reader of the part in memory. It reports whether that sufficed.
func (x indexSnapshot) recall(head eventstore.Position, fn func(*index.Reader)) bool {
	reader, err := x.snapshot.Reader(nil, head)
	if err != nil {
		return false
	}
	fn(reader)
	return reader.Err() == nil
}

// lookUp is ask in a transaction that has begun after the snapshot was taken.
func (k *indexKeeper) lookUp(tx *pages.Tx, x indexSnapshot, head eventstore.Position, fn func(*index.Reader)) (indexed bool) {
	if k.down.Load() {
		return false
	}
	err := logfile.Protect(func() error {
		reader, err := x.snapshot.Reader(tx, head)
		if err != nil {
			return err
		}
		fn(reader)
		return reader.Err()
	})
	if err != nil {
		k.suspect(x.index, err)
	}
	return err == nil
}

// suspect turns the index down because of damage found in x, and asks the writer to rebuild
// it. It does nothing if x is not in use any more.
func (k *indexKeeper) suspect(x *index.Index, found error) {
	if k.current.Load() != x || !k.down.CompareAndSwap(false, true) {
		return
	}
	k.logger.Warn("the index is damaged; queries read the log instead", "file", k.file.Path, "found", found)
	select {
	case k.repairs <- struct{}{}:
	default: // it is asked already
	}
}

// setIndexAside creates an empty index. It moves an existing one into AsideBucket.
func (k *indexKeeper) setIndexAside(tx *pages.WriteTx, _ *logfile.Head) error {
	if tx.Bucket([]byte(index.Bucket)) != nil {
		aside, err := tx.Root().CreateBucketIfNotExists(logfile.AsideBucket)
		if err != nil {
			return err
		}
		bucket, err := aside.CreateBucket(fmt.Appendf(nil, "%d", tx.ID()))
		if err != nil {
			return err
		}
		if err := tx.Root().MoveBucket([]byte(index.Bucket), bucket); err != nil {
			return err
		}
	}
	// A damaged element may be a value in place of the bucket.
	if err := tx.Root().Delete([]byte(index.Bucket)); err != nil {
		return err
	}
	return index.Create(tx, k.seed)
}

// run is the indexer, a goroutine of the store. It ends when the store
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
			k.logger.Warn("the index could not be written", "file", k.file.Path, "error", err)
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

// ReadTx implements index.File.
func (f indexFile) ReadTx(fn func(*pages.Tx) error) error { return f.keeper.readTx(fn) }

// Write implements index.File.
func (f indexFile) Write(slice *index.Slice) error {
	err := f.keeper.write(f.index, slice)
	f.keeper.room.open() // the slice may have made room
	return err
}

// errIndexReplaced means that the index has been rebuilt meanwhile, or will be.
var errIndexReplaced = errors.New("the index is not in use any more")

// save writes the part of the index in memory when the store is closed, so that the next
// Open need not read these events again. A few small events are not worth a part of their
// own.
func (k *indexKeeper) save() {
	const few, small = 1024, 256 << 10 // events, and bytes of their postings
	if k.readOnly || k.failed.Load() || k.down.Load() {
		return
	}
	x := k.current.Load()
	if unsaved := x.Through() - x.Saved(); unsaved == 0 || unsaved < few && x.Stats().Memory < small {
		return
	}
	if err := x.Save(ownIndexFile{k}); err != nil {
		k.logger.Warn("the index could not be written", "file", k.file.Path, "error", err)
	}
}
