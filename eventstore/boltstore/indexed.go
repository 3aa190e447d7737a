package boltstore

import (
	"fmt"

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

// indexView is the index as it was before a transaction began.
type indexView struct {
	index *index.Index
	view  *index.View
}

// indexView returns the index as it is now.
func (s *Store) indexView() indexView {
	x := s.index.Load()
	return indexView{x, x.View()}
}

// ask runs fn with a reader of the index up to head. It reports whether the index
// can be used; if not, what fn found is worth nothing, and the caller looks in the
// log. fn may be run twice, for what is known in memory is found without the file.
func (s *Store) ask(head eventstore.Position, fn func(*index.Reader)) (indexed bool, err error) {
	if s.indexDown.Load() {
		return false, nil
	}
	x := s.indexView()
	if x.recall(head, fn) {
		return true, nil
	}
	err = s.view(func(tx *bolt.Tx) error {
		indexed = s.lookup(tx, x, head, fn)
		return nil
	})
	return indexed, err
}

// recall is ask for what is in memory. It reports whether that was enough.
func (x indexView) recall(head eventstore.Position, fn func(*index.Reader)) bool {
	reader, err := x.view.Reader(nil, head)
	if err != nil {
		return false
	}
	fn(reader)
	return reader.Err() == nil
}

// lookup is ask in a transaction that has begun after the view was taken.
func (s *Store) lookup(tx *bolt.Tx, x indexView, head eventstore.Position, fn func(*index.Reader)) (indexed bool) {
	if s.indexDown.Load() {
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
		s.suspect(x.index, err)
	}
	return err == nil
}

// suspect turns the index off, because of what was found in it, and asks the
// writer to build it anew. If it is not that index any more which is in use, what
// was found does not count.
func (s *Store) suspect(x *index.Index, found error) {
	if s.index.Load() != x || !s.indexDown.CompareAndSwap(false, true) {
		return
	}
	s.opts.Logger.Warn("the index is damaged, the log is read instead", "file", s.file.Path, "found", found)
	select {
	case s.repairs <- struct{}{}:
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
		place, err := aside.CreateBucket(fmt.Appendf(nil, "%d", tx.ID()))
		if err != nil {
			return err
		}
		if err := tx.MoveBucket([]byte(index.Bucket), nil, place); err != nil {
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
