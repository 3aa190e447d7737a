package boltstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
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
	switch {
	case unusable == nil:
		err = k.catchUp(k.current.Load(), head)
	case k.readOnly:
		k.down.Store(true)
		k.warn(fmt.Sprintf("%v; queries read the whole log until the file is opened for writing", unusable))
	default:
		k.warn(fmt.Sprintf("%v; it was rebuilt", unusable))
		err = k.rebuild()
	}
	if err != nil {
		return err
	}
	unknown, err := k.unknown(head)
	for _, text := range unknown {
		k.warn(text)
	}
	return err
}

// unknown describes the events that could not be read when they were indexed. Beyond a few it
// says only that there are more.
func (k *indexKeeper) unknown(head eventstore.Position) (texts []string, err error) {
	const few = 8
	_, err = k.ask(head, func(reader *index.Reader) {
		texts = texts[:0]
		for p := reader.Unknown(0); p > 0; p = reader.Unknown(p) {
			if len(texts) == few {
				texts = append(texts, "further events cannot be read; Verify names them all")
				break
			}
			texts = append(texts, fmt.Sprintf(
				"the event at position %d cannot be read, so it is not known what it matches: what may depend on it ends with an error", p))
		}
	})
	return texts, err
}

// load opens the index in the file. unusable is the error if the index cannot be used.
func (k *indexKeeper) load(head eventstore.Position) (unusable, err error) {
	if k.file.BadIndex != nil {
		return fmt.Errorf("%w: %w", index.ErrUnusable, k.file.BadIndex), nil
	}
	var x *index.Index
	err = k.readTx(func(tx *pages.Tx) error {
		unusable = logfile.Protect(func() (err error) {
			x, err = index.Open(tx, k.seed, k.limits)
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
		unknown, _ := k.unknown(k.tail.last().through) // its error is that of the next question
		for _, text := range unknown {
			k.logger.Error(text, "file", k.file.Path)
		}
	} else if !errors.Is(err, eventstore.ErrClosed) {
		k.logger.Error("the index cannot be rebuilt", "file", k.file.Path, "error", err)
	}
	return true
}

// rebuild replaces the index by one made from the whole log. Only the holder of the pen, or
// the opener of the store, may call it.
func (k *indexKeeper) rebuild() error {
	if err := k.transact(k.setIndexAside); err != nil {
		return err
	}
	var x *index.Index
	err := k.readTx(func(tx *pages.Tx) (err error) {
		x, err = index.Open(tx, k.seed, k.limits)
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

// catchUp adds the events through head that the index lacks. The terms of a record whose
// identity is damaged, and of a missing one, are not known: the index notes the position as
// unknown, and every query that the event may match ends with an error.
func (k *indexKeeper) catchUp(x *index.Index, head eventstore.Position) error {
	scan := newScan(k.disk, k, eventstore.All(), window{from: x.Through() + 1, to: head})
	scan.matcher.IdentityOnly = true
	for !scan.done {
		if err := k.usable(context.Background()); err != nil {
			return err
		}
		err := scan.page(logfile.PageEvents)
		x.Add(len(scan.found), func(i int) index.Entry { return logfile.IndexEntry(&scan.found[i]) })
		var corrupt *eventstore.CorruptError
		if errors.As(err, &corrupt) && scan.from == corrupt.Position {
			if err := k.addUnknown(x, corrupt); err != nil {
				return err
			}
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

// addUnknown adds an event that cannot be read, unless Salvage has left its position out.
func (k *indexKeeper) addUnknown(x *index.Index, found *eventstore.CorruptError) error {
	var hole bool
	err := k.readTx(func(tx *pages.Tx) error {
		hole = logfile.InHole(tx, k.seed, found.Position)
		return nil
	})
	if err != nil || hole {
		return err
	}
	x.Add(1, func(int) index.Entry { return index.Entry{Position: found.Position, Unknown: true} })
	return nil
}

// ownIndexFile is the index.File of the one goroutine that may write to the store.
type ownIndexFile struct{ keeper *indexKeeper }

// ReadTx implements index.File.
func (f ownIndexFile) ReadTx(fn func(*pages.Tx) error) error { return f.keeper.readTx(fn) }

// Write implements index.File.
func (f ownIndexFile) Write(slice *index.Slice) error {
	return f.keeper.transact(func(tx *pages.WriteTx, _ *logfile.Head) error { return slice.Apply(tx) })
}
