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

// open looks at the index when the store is opened, and brings it up to the
// log: what the last appends had in memory is read from there again.
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
	k.warn(fmt.Sprintf("%v; it was built anew", unusable))
	return k.rebuild()
}

// load opens the index that is in the file. What is wrong with the index is
// returned as unusable.
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

// unsavedEvents is how many events the index has in memory before they are
// written. After a crash, Open reads up to three times as many again.
const unsavedEvents = 1 << 17

// repair is the writer's answer to suspect. It reports whether it has written
// transactions. Readers use the log meanwhile.
func (k *indexKeeper) repair() (wrote bool) {
	if !k.down.Load() || k.repaired {
		return false
	}
	k.repaired = true
	err := k.rebuild()
	if err == nil {
		k.down.Store(false)
		k.logger.Info("the index was built anew", "file", k.file.Path)
	} else if !errors.Is(err, eventstore.ErrClosed) {
		k.logger.Error("the index cannot be built anew", "file", k.file.Path, "error", err)
	}
	return true
}

// rebuild makes a new index of the whole log.
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

// catchUp adds to the index what the log has and the index has not. What a
// damaged record says is not known: whoever reads by a query comes by it, and is
// told that it is damaged.
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

// ownIndexFile is the file of an index for whoever alone writes to the store at
// the moment.
type ownIndexFile struct{ keeper *indexKeeper }

// ReadTx implements index.File.
func (f ownIndexFile) ReadTx(fn func(*bolt.Tx) error) error { return f.keeper.readTx(fn) }

// Write implements index.File.
func (f ownIndexFile) Write(slice *index.Slice) error { return f.keeper.transact(slice.Apply) }
