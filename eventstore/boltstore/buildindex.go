package boltstore

import (
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
)

// maxUnsaved is how many events a store that cannot write to its index holds in
// memory at most. With more, queries read the log.
const maxUnsaved = 1 << 21

// openIndex looks at the index when the store is opened, and brings it up to the
// log: what the last appends had in memory is read from there again.
func (s *Store) openIndex(head eventstore.Position) error {
	unusable, err := s.loadIndex(head)
	if err != nil {
		return err
	}
	if x := s.index.Load(); unusable == nil && s.opts.ReadOnly && head-x.Saved() > maxUnsaved {
		unusable = fmt.Errorf("%w: it ends at position %d, and the log at %d", index.ErrUnusable, x.Saved(), head)
	}
	if unusable == nil {
		return s.catchUpIndex(s.index.Load(), head)
	}
	if s.opts.ReadOnly {
		s.indexDown.Store(true)
		s.warn(fmt.Sprintf("%v; queries read the whole log until the file is opened for writing", unusable))
		return nil
	}
	s.warn(fmt.Sprintf("%v; it was built anew", unusable))
	return s.rebuildIndex()
}

// loadIndex opens the index that is in the file. What is wrong with the index is
// returned as unusable.
func (s *Store) loadIndex(head eventstore.Position) (unusable, err error) {
	if s.file.BadIndex != nil {
		return fmt.Errorf("%w: %w", index.ErrUnusable, s.file.BadIndex), nil
	}
	var x *index.Index
	err = s.view(func(tx *bolt.Tx) error {
		unusable = logfile.Protect(func() (err error) {
			x, err = index.Open(tx, s.indexLimits())
			return err
		})
		return nil
	})
	if err != nil || unusable != nil {
		return unusable, err
	}
	if x.Through() > head {
		return fmt.Errorf("%w: it ends at position %d, and the log at %d", index.ErrUnusable, x.Through(), head), nil
	}
	s.index.Store(x)
	return nil, nil
}

// indexLimits returns how much the index holds in memory before it is written.
func (s *Store) indexLimits() index.Limits {
	return index.Limits{Bytes: s.opts.IndexMemory, Events: unsavedEvents}
}

// unsavedEvents is how many events the index has in memory before they are
// written. After a crash, Open reads up to three times as many again.
const unsavedEvents = 1 << 17

// repairIndex is the writer's answer to suspect. Readers use the log meanwhile.
func (s *Store) repairIndex() {
	if !s.indexDown.Load() || s.repaired {
		return
	}
	s.repaired = true
	err := s.rebuildIndex()
	if err == nil {
		s.indexDown.Store(false)
		s.opts.Logger.Info("the index was built anew", "file", s.file.Path)
	} else if !errors.Is(err, eventstore.ErrClosed) {
		s.opts.Logger.Error("the index cannot be built anew", "file", s.file.Path, "error", err)
	}
	last := s.tail.last()
	s.tail.publish(newGroup(last.through, last.recorded)) // wakes who waits for these transactions
}

// rebuildIndex makes a new index of the whole log.
func (s *Store) rebuildIndex() error {
	if err := s.transact(setIndexAside); err != nil {
		return err
	}
	var x *index.Index
	err := s.view(func(tx *bolt.Tx) (err error) {
		x, err = index.Open(tx, s.indexLimits())
		return err
	})
	if err != nil {
		return err
	}
	if err := s.catchUpIndex(x, s.tail.last().through); err != nil {
		return err
	}
	s.index.Store(x)
	return nil
}

// catchUpIndex adds to the index what the log has and the index has not. What a
// damaged record says is not known: whoever reads by a query comes by it, and is
// told that it is damaged.
func (s *Store) catchUpIndex(x *index.Index, head eventstore.Position) error {
	for scan := newScan(s, eventstore.All(), window{from: x.Through() + 1, to: head}); !scan.done; {
		if err := s.usable(context.Background()); err != nil {
			return err
		}
		err := scan.page(logfile.PageEvents)
		x.Add(len(scan.found), func(i int) index.Entry { return logfile.IndexEntry(&scan.found[i]) })
		var corrupt *eventstore.CorruptError
		if errors.As(err, &corrupt) && scan.from == corrupt.Position {
			s.opts.Logger.Error("an event cannot be read", "file", s.file.Path, "error", err)
			x.Add(1, func(int) index.Entry { return index.Entry{Position: corrupt.Position, Unknown: true} })
			scan.pass()
		} else if err != nil {
			return err
		}
		if !s.opts.ReadOnly && x.Full() {
			if err := x.Save(ownIndexFile{s}); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownIndexFile is the file of an index for whoever alone writes to the store at
// the moment.
type ownIndexFile struct{ store *Store }

// View implements index.File.
func (f ownIndexFile) View(fn func(*bolt.Tx) error) error { return f.store.view(fn) }

// Write implements index.File.
func (f ownIndexFile) Write(slice *index.Slice) error { return f.store.transact(slice.Apply) }
