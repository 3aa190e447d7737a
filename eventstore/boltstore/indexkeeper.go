package boltstore

import (
	"fmt"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
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
// It is safe for concurrent use by multiple goroutines, unless a method says otherwise.
type indexKeeper struct {
	*disk
	tail   *tail
	submit func(job) error // submits a slice of the index to the writer

	current  atomic.Pointer[index.Index]
	down     atomic.Bool   // the index is damaged; the log is read instead
	repairs  chan struct{} // buffer of one; asks the writer to rebuild the index
	repaired bool          // the writer has tried to rebuild it; used with the pen

	work    chan struct{} // buffer of one; wakes the indexer
	stuck   atomic.Bool   // the indexer's last attempt to write has failed
	stopped chan struct{} // closed when the indexer has ended
	room    gate          // opened when the index's memory may have room
}

func newIndexKeeper(d *disk, t *tail) *indexKeeper {
	return &indexKeeper{
		disk: d, tail: t,
		repairs: make(chan struct{}, 1), work: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
}

// indexSnapshot is the state of the index at a moment. It can be read in a transaction that
// has begun later.
type indexSnapshot struct {
	index *index.Index
	view  *index.View
}

// snapshot returns the present state of the index.
func (k *indexKeeper) snapshot() indexSnapshot {
	x := k.current.Load()
	return indexSnapshot{x, x.View()}
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
	err = k.readTx(func(tx *bolt.Tx) error {
		indexed = k.lookUp(tx, x, head, fn)
		return nil
	})
	return indexed, err
}

// recall runs fn with a reader of the part in memory. It reports whether that sufficed.
func (x indexSnapshot) recall(head eventstore.Position, fn func(*index.Reader)) bool {
	reader, err := x.view.Reader(nil, head)
	if err != nil {
		return false
	}
	fn(reader)
	return reader.Err() == nil
}

// lookUp is ask in a transaction that has begun after the snapshot was taken.
func (k *indexKeeper) lookUp(tx *bolt.Tx, x indexSnapshot, head eventstore.Position, fn func(*index.Reader)) (indexed bool) {
	if k.down.Load() {
		return false
	}
	err := logfile.Protect(func() error {
		reader, err := x.view.Reader(tx, head)
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
	k.opts.Logger.Warn("the index is damaged; queries read the log instead", "file", k.file.Path, "found", found)
	select {
	case k.repairs <- struct{}{}:
	default: // it is asked already
	}
}

// setIndexAside creates an empty index. It moves an existing one into AsideBucket.
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
	// A damaged element may be a value in place of the bucket.
	cursor := tx.Cursor()
	if key, _ := cursor.Seek([]byte(index.Bucket)); string(key) == index.Bucket {
		if err := cursor.Delete(); err != nil {
			return err
		}
	}
	return index.Create(tx)
}
