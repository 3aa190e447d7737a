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

// maxUnsaved bounds the events in the index's memory of a store that is open for reading. If
// the index on disk lacks more events, queries read the log.
const maxUnsaved = 1 << 21

// open loads the index when the store is opened and adds the events that it lacks, or
// rebuilds it.
func (k *indexKeeper) open(head eventstore.Position) error {
	unusable, err := k.load(head)
	if err != nil {
		return err
	}
	if x := k.current.Load(); unusable == nil && k.readOnly && head-x.Saved() > maxUnsaved {
		unusable = fmt.Errorf("%w: it ends at position %d, and the log at %d", index.ErrUnusable, x.Saved(), head)
	}
	if unusable == nil {
		return k.catchUp(k.current.Load(), head)
	}
	if k.readOnly {
		k.down.Store(true)
		k.warn(fmt.Sprintf("%v; queries read the whole log until the file is opened for writing", unusable))
		return nil
	}
	k.warn(fmt.Sprintf("%v; it was rebuilt", unusable))
	return k.rebuild()
}

// load opens the index in the file. unusable is the error if the index cannot be used.
func (k *indexKeeper) load(head eventstore.Position) (unusable, err error) {
	if k.file.BadIndex != nil {
		return fmt.Errorf("%w: %w", index.ErrUnusable, k.file.BadIndex), nil
	}
	var x *index.Index
	err = k.readTx(func(tx *bolt.Tx) error {
		unusable = logfile.Protect(func() (err error) {
			x, err = index.Open(tx, k.limits)
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
	k.current.Store(x)
	return nil, nil
}

// unsavedEvents is the number of events in a part of the index in memory. After a crash,
// Open reads up to three times as many events again.
const unsavedEvents = 1 << 17

// repair rebuilds an index that suspect has turned down, while readers use the log. It
// reports whether it has written transactions. The holder of the pen calls it.
func (k *indexKeeper) repair() (wrote bool) {
	if !k.down.Load() || k.repaired {
		return false
	}
	k.repaired = true
	err := k.rebuild()
	if err == nil {
		k.down.Store(false)
		k.logger.Info("the index was rebuilt", "file", k.file.Path)
	} else if !errors.Is(err, eventstore.ErrClosed) {
		k.logger.Error("the index cannot be rebuilt", "file", k.file.Path, "error", err)
	}
	return true
}

// rebuild replaces the index by one made from the whole log. Only the holder of the pen, or
// the opener of the store, may call it.
func (k *indexKeeper) rebuild() error {
	if err := k.transact(setIndexAside); err != nil {
		return err
	}
	var x *index.Index
	err := k.readTx(func(tx *bolt.Tx) (err error) {
		x, err = index.Open(tx, k.limits)
		return err
	})
	if err != nil {
		return err
	}
	if err := k.catchUp(x, k.tail.last().through); err != nil {
		return err
	}
	k.current.Store(x)
	return nil
}

// catchUp adds the events through head that the index lacks. The terms of a damaged record
// are not known: the index notes the position as unknown, and every query that reads there
// returns its error.
func (k *indexKeeper) catchUp(x *index.Index, head eventstore.Position) error {
	for scan := newScan(k.disk, k, eventstore.All(), window{from: x.Through() + 1, to: head}); !scan.done; {
		if err := k.usable(context.Background()); err != nil {
			return err
		}
		err := scan.page(logfile.PageEvents)
		x.Add(len(scan.found), func(i int) index.Entry { return logfile.IndexEntry(&scan.found[i]) })
		var corrupt *eventstore.CorruptError
		if errors.As(err, &corrupt) && scan.from == corrupt.Position {
			k.logger.Error("an event cannot be read", "file", k.file.Path, "error", err)
			x.Add(1, func(int) index.Entry { return index.Entry{Position: corrupt.Position, Unknown: true} })
			scan.pass()
		} else if err != nil {
			return err
		}
		if !k.readOnly && x.Full() {
			if err := x.Save(ownIndexFile{k}); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownIndexFile is the index.File of the one goroutine that may write to the store.
type ownIndexFile struct{ keeper *indexKeeper }

// ReadTx implements index.File.
func (f ownIndexFile) ReadTx(fn func(*bolt.Tx) error) error { return f.keeper.readTx(fn) }

// Write implements index.File.
func (f ownIndexFile) Write(slice *index.Slice) error { return f.keeper.transact(slice.Apply) }
