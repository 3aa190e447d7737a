package boltstore

import (
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
// replaces it when it is damaged. It is safe for concurrent use, where a method does not
// say otherwise.
type indexKeeper struct {
	*disk
	tail   *tail
	submit func(job) error // hands a slice of the index to the writer

	current  atomic.Pointer[index.Index]
	down     atomic.Bool   // the index is damaged; the log is read instead
	repairs  chan struct{} // asks the writer to build the index anew
	repaired bool          // the writer has tried to; used with the pen

	work    chan struct{} // tells the indexer that there is something to do
	stuck   atomic.Bool   // the indexer could not write when it last tried
	stopped chan struct{} // closed when the indexer has ended
	room    gate          // opened when there may be room in the index's memory
}

func newIndexKeeper(d *disk, t *tail) *indexKeeper {
	return &indexKeeper{
		disk: d, tail: t,
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
	k.opts.Logger.Warn("the index is damaged, the log is read instead", "file", k.file.Path, "found", found)
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
