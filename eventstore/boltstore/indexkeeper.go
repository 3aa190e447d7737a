package boltstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
)

// The index is derived, and the store can do without it: whatever the index
// tells, the log tells too, but slowly. So nothing that is asked fails because
// the index is damaged. What comes upon damage looks in the log instead, as does
// all that follows, until the writer has set the damaged index aside and built a
// new one. It does so once while the file is open: if that one is found wrong
// again, something else is, and the log serves until the file is opened anew.
//
// A damaged tree of pages is not deleted, for its pages would be freed by what
// they say of themselves, and the log's among them if they lie. It is moved into
// a bucket that nothing reads, until the file is compacted.

// indexKeeper keeps the index: it answers from it, has it written behind the log, and
// replaces it when it is damaged. The questions and suspect are safe for concurrent use.
// open is for Open, save for Close; run is the indexer's; tend and repair need the pen.
type indexKeeper struct {
	*disk
	tail   *tail
	limits index.Limits // of what is in memory
	// write hands a slice of an index to the writer and waits until it is durable.
	write func(*index.Index, *index.Slice) error

	current  atomic.Pointer[index.Index]
	down     atomic.Bool   // the index is damaged; the log is read instead
	repairs  chan struct{} // asks the writer to build the index anew
	repaired bool          // the writer has tried to; used with the pen

	work    chan struct{} // tells the indexer that there is something to do
	stuck   atomic.Bool   // the indexer could not write when it last tried
	stopped chan struct{} // closed when the indexer has ended
	room    gate          // opened when there may be room in the index's memory
}

func newIndexKeeper(d *disk, t *tail, limits index.Limits) *indexKeeper {
	return &indexKeeper{
		disk: d, tail: t, limits: limits,
		repairs: make(chan struct{}, 1), work: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
}

// indexSnapshot is the index as it was before a transaction began.
type indexSnapshot struct {
	index    *index.Index
	snapshot *index.Snapshot
}

// snapshot returns the index as it is now.
func (k *indexKeeper) snapshot() indexSnapshot {
	x := k.current.Load()
	return indexSnapshot{x, x.Snapshot()}
}

// ask runs fn with a reader of the index up to head. It reports whether the index
// can be used; if not, what fn found is worth nothing, and the caller looks in the
// log. fn may be run twice, for what is known in memory is found without the file.
func (k *indexKeeper) ask(head eventstore.Position, fn func(*index.Reader)) (indexed bool, err error) {
	if k.down.Load() {
		return false, nil
	}
	x := k.snapshot()
	if x.recall(head, fn) {
		return true, nil
	}
	err = k.readTx(func(tx *bolt.Tx) error {
		indexed = k.lookUp(tx, x, head, fn)
		return nil
	})
	return indexed, err
}

// recall is ask for what is in memory. It reports whether that was enough.
func (x indexSnapshot) recall(head eventstore.Position, fn func(*index.Reader)) bool {
	reader, err := x.snapshot.Reader(nil, head)
	if err != nil {
		return false
	}
	fn(reader)
	return reader.Err() == nil
}

// lookUp is ask in a transaction that has begun after the view was taken.
func (k *indexKeeper) lookUp(tx *bolt.Tx, x indexSnapshot, head eventstore.Position, fn func(*index.Reader)) (indexed bool) {
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

// suspect turns the index off, because of what was found in it, and asks the
// writer to build it anew. If it is not that index any more which is in use, what
// was found does not count.
func (k *indexKeeper) suspect(x *index.Index, found error) {
	if k.current.Load() != x || !k.down.CompareAndSwap(false, true) {
		return
	}
	k.logger.Warn("the index is damaged, the log is read instead", "file", k.file.Path, "found", found)
	select {
	case k.repairs <- struct{}{}:
	default: // it has been asked already
	}
}

// setIndexAside makes an empty index, and keeps one that is there out of the way.
func setIndexAside(tx *bolt.Tx) error {
	if tx.Bucket([]byte(index.Bucket)) != nil {
		aside, err := tx.CreateBucketIfNotExists(logfile.AsideBucket)
		if err != nil {
			return err
		}
		bucket, err := aside.CreateBucket(fmt.Appendf(nil, "%d", tx.ID()))
		if err != nil {
			return err
		}
		if err := tx.MoveBucket([]byte(index.Bucket), nil, bucket); err != nil {
			return err
		}
	}
	// A damaged element may say that the bucket is a value.
	cursor := tx.Cursor()
	if key, _ := cursor.Seek([]byte(index.Bucket)); string(key) == index.Bucket {
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	return index.Create(tx)
}

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
			k.logger.Warn("the index could not be written", "file", k.file.Path, "error", err)
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
	err := f.keeper.write(f.index, slice)
	f.keeper.room.open() // there may be some
	return err
}

// save writes what the index holds in memory when the store is closed, so
// that the next Open need not read it again. With little, that is not worth a
// part of its own.
func (k *indexKeeper) save() {
	const few = 1024
	if k.readOnly || k.failed.Load() || k.down.Load() {
		return
	}
	x := k.current.Load()
	if x.Through()-x.Saved() < few {
		return
	}
	if err := x.Save(ownIndexFile{k}); err != nil {
		k.logger.Warn("the index could not be written", "file", k.file.Path, "error", err)
	}
}
