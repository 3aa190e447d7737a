package boltstore

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/record"
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

// asideBucket holds indexes that were damaged, each in a bucket named after the
// transaction that put it there.
var asideBucket = []byte("aside")

// lookup runs fn with a reader of the index up to head. It reports whether the
// index can be used; if not, what fn found is worth nothing, and the caller
// looks in the log.
func (s *Store) lookup(tx *bolt.Tx, head eventstore.Position, fn func(*index.Reader)) bool {
	if s.indexDown.Load() {
		return false
	}
	err := guard(func() error {
		reader, err := index.NewReader(tx, head)
		if err != nil {
			return err
		}
		fn(reader)
		return reader.Err()
	})
	if err != nil {
		s.suspect(err)
	}
	return err == nil
}

// suspect turns the index off, because of what was found in it, and asks the
// writer to build it anew.
func (s *Store) suspect(found error) {
	if !s.indexDown.CompareAndSwap(false, true) {
		return
	}
	s.opts.Logger.Warn("the index is damaged, the log is read instead", "file", s.file.path, "found", found)
	select {
	case s.repairs <- struct{}{}:
	default: // it has been asked already
	}
}

// openIndex looks at the index when the store is opened, and brings it up to
// the log.
func (s *Store) openIndex(head eventstore.Position) error {
	var through eventstore.Position
	var unusable error
	if s.file.badIndex != nil {
		unusable = fmt.Errorf("%w: %w", index.ErrUnusable, s.file.badIndex)
	} else if err := s.view(func(tx *bolt.Tx) error {
		unusable = guard(func() (err error) {
			through, err = index.Through(tx)
			return err
		})
		return nil
	}); err != nil || unusable == nil && through == head {
		return err
	}
	if unusable == nil {
		unusable = fmt.Errorf("%w: it ends at position %d, and the log at %d", index.ErrUnusable, through, head)
	}
	if s.opts.ReadOnly {
		s.indexDown.Store(true)
		s.warn(fmt.Sprintf("%v; queries read the whole log until the file is opened for writing", unusable))
		return nil
	}
	s.warn(fmt.Sprintf("%v; it was built anew", unusable))
	return s.rebuildIndex(through > head || through == 0)
}

// repairIndex is the writer's answer to suspect. Readers use the log meanwhile.
func (s *Store) repairIndex() {
	if !s.indexDown.Load() || s.repaired {
		return
	}
	s.repaired = true
	err := s.rebuildIndex(true)
	if err == nil {
		s.indexDown.Store(false)
		s.opts.Logger.Info("the index was built anew", "file", s.file.path)
	} else if !errors.Is(err, eventstore.ErrClosed) {
		s.opts.Logger.Error("the index cannot be built anew", "file", s.file.path, "error", err)
	}
	last := s.tail.last()
	s.tail.publish(newGroup(last.through, last.recorded)) // wakes who waits for these transactions
}

// rebuildIndex indexes what the log has and the index has not, in bounded
// slices; all of it, if the index is to be new. What a damaged record says is not
// known; it is left out, and read by its position only.
func (s *Store) rebuildIndex(anew bool) error {
	if anew {
		if err := s.transact(setIndexAside); err != nil {
			return err
		}
	}
	var through eventstore.Position
	err := s.view(func(tx *bolt.Tx) (err error) {
		through, err = index.Through(tx)
		return err
	})
	if err != nil {
		return err
	}
	slice := indexSlice{store: s}
	for scan := newScan(s, eventstore.All(), window{from: through + 1, to: s.tail.last().through}); !scan.done; {
		if err := s.usable(context.Background()); err != nil {
			return err
		}
		err := scan.page(pageEvents)
		if err := slice.add(scan.found); err != nil {
			return err
		}
		var corrupt *eventstore.CorruptError
		if errors.As(err, &corrupt) && scan.from == corrupt.Position {
			s.opts.Logger.Error("an event is in no query any more", "file", s.file.path, "error", err)
			scan.pass()
		} else if err != nil {
			return err
		}
	}
	return slice.write()
}

// indexSlice is what is added to the index in one transaction when it is built.
type indexSlice struct {
	store   *Store
	entries []index.Entry
}

const indexSliceEvents = 16_384

func (i *indexSlice) add(records []record.Record) error {
	for r := range records {
		i.entries = append(i.entries, indexEntry(&records[r]))
	}
	if len(i.entries) < indexSliceEvents {
		return nil
	}
	return i.write()
}

func (i *indexSlice) write() error {
	if len(i.entries) == 0 {
		return nil
	}
	err := i.store.transact(func(tx *bolt.Tx) error { return index.Add(tx, i.entries) })
	i.entries = i.entries[:0]
	return err
}

func indexEntry(r *record.Record) index.Entry {
	return index.Entry{
		Position: r.Event.Position, Stream: r.Event.Stream, Version: r.Event.Version,
		Type: r.Event.Type, Tags: r.Event.Tags, Key: r.Key,
	}
}

// setIndexAside makes an empty index, and keeps one that is there out of the way.
func setIndexAside(tx *bolt.Tx) error {
	if tx.Bucket([]byte(index.Bucket)) != nil {
		aside, err := tx.CreateBucketIfNotExists(asideBucket)
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
	return index.Create(tx)
}
