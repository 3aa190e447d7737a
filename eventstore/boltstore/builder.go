package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
)

// A builder makes a whole log file from records that exist already. It is the
// one mechanism under all that replaces a log: Restore, Compact, Rebuild,
// Salvage and Import.
//
// The file grows under a temporary name, the log's own with ".new-" and a
// number behind it, in the directory where it is to be. Only finish gives it the
// log's name, when it is complete, synced and read back, in one step of the file
// system. So whatever happens at whatever moment, the name stands for the old
// file or for the new one, and each is whole; a crash leaves behind at most the
// temporary file, which may be deleted.
//
// Nothing is synced before finish, since until then the file is worth nothing.
// Records, rows and the index are written in slices, so that memory is bounded.
//
//	b, err := newBuilder(path, buildOptions{id: id, epoch: epoch, mode: mode})
//	if err != nil {
//		return err
//	}
//	defer func() { err = errors.Join(err, b.abandon()) }()
//	// b.add for each record, in the order of positions
//	// b.addCheckpoint and b.addRow for each view that is kept
//	return b.finish(replace)
//
// A builder is not safe for concurrent use.
type builder struct {
	path string // where the file is to be
	temp string // where it is, "" when it is there or gone
	db   *bolt.DB
	log  sequence // the records added
	// replaces is the file whose place this one takes, if it is known.
	replaces *source

	slice   recordPage // records not yet in the file
	writer  logWriter
	index   *index.Index
	rows    []builtRow // rows not yet in the file
	rowSize int        // bytes of them
	tallies map[eventstore.ViewID]*tally
}

// buildOptions say what a new file is.
type buildOptions struct {
	id    uuid.UUID   // of the store
	epoch uint64      // 1 or more
	mode  fs.FileMode // zero is 0o600
	// gaps lets positions and versions be missing, as where records were lost.
	// They must increase all the same. A store that has gaps is damaged.
	gaps bool
}

const (
	sliceRecords = 16_384  // a slice is written when it has so many records
	sliceBytes   = 8 << 20 // or so many bytes
)

// builtIndex says how much of the index is in memory at once: much, so that the
// index has few parts in the end.
var builtIndex = index.Limits{Bytes: 48 << 20, Events: 1 << 20}

// builtRow is a row as the file holds it.
type builtRow struct {
	view        eventstore.ViewID
	key, sealed []byte
}

// newBuilder begins a file that is to be at path. Whether there is one is
// finish's to look at.
func newBuilder(path string, o buildOptions) (_ *builder, err error) {
	temp, err := createTemp(path, o.mode)
	if err != nil {
		return nil, err
	}
	b := &builder{
		path: path, temp: temp,
		log:     sequence{gaps: o.gaps},
		tallies: make(map[eventstore.ViewID]*tally),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.abandon())
		}
	}()
	b.db, err = bolt.Open(temp, o.mode, &bolt.Options{
		NoSync:          true,
		NoGrowSync:      true,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: reservedAddresses(),
	})
	if err != nil {
		return nil, err
	}
	if err := b.update(func(tx *bolt.Tx) error { return describe(tx, o.id, o.epoch) }); err != nil {
		return nil, err
	}
	return b, b.db.View(func(tx *bolt.Tx) (err error) {
		b.index, err = index.Open(tx, builtIndex)
		return err
	})
}

// add adds the record at position p, as it lies in a log, behind those added
// before. It copies rec. A record that is damaged, or cannot come behind the one
// before it, is a [*eventstore.CorruptError] and has not been added; with gaps,
// the next may be. That the versions of streams follow each other, and that no
// key is that of two commits, is for finish to find out.
func (b *builder) add(p eventstore.Position, rec []byte) error {
	r, err := b.log.next(p, rec)
	if err != nil {
		return err
	}
	b.index.Add(1, func(int) index.Entry { return indexEntry(&r) })
	if b.index.Full() {
		if err := b.index.Save(builtFile{b}); err != nil {
			return err
		}
	}
	b.slice.add(p, rec)
	if len(b.slice.ends) >= sliceRecords || len(b.slice.bytes) >= sliceBytes {
		return b.flush()
	}
	return nil
}

// addCheckpoint adds the checkpoint of a view, as it lies in a log, when all
// records have been added. One that is damaged matches ErrCorrupt.
func (b *builder) addCheckpoint(view eventstore.ViewID, sealed []byte) error {
	c, err := openCheckpoint(view, sealed)
	if err != nil {
		return err
	}
	if c.Position > b.log.head {
		return fmt.Errorf("%w: checkpoint of view %q at position %d, beyond the head %d", eventstore.ErrCorrupt, view, c.Position, b.log.head)
	}
	return b.update(func(tx *bolt.Tx) error {
		checkpoints, err := viewBuckets(tx)
		if err != nil {
			return err
		}
		return checkpoints.Put([]byte(view), sealCheckpoint(view, c))
	})
}

// addRow adds a row of a view, as it lies in a log. The rows of a view are added
// in the order of their keys, and not its tally. It copies key and sealed. A row
// that is damaged matches ErrCorrupt.
func (b *builder) addRow(view eventstore.ViewID, key, sealed []byte) error {
	if _, err := openRow(view, key, sealed); err != nil {
		return err
	}
	if b.tallies[view] == nil {
		b.tallies[view] = new(tally)
	}
	b.tallies[view].add(sealed)
	both := append(append(make([]byte, 0, len(key)+len(sealed)), key...), sealed...)
	b.rows = append(b.rows, builtRow{view, both[:len(key):len(key)], both[len(key):]})
	b.rowSize += len(both)
	if len(b.rows) >= sliceRecords || b.rowSize >= sliceBytes {
		return b.flush()
	}
	return nil
}

// finish writes what is left, makes the file durable, looks through it, and
// gives it its name. Without replace, a file that is there is an error that
// matches fs.ErrExist, and is left alone. On an error the name stands for what
// it did before, with one exception, which says so: the directory could not be
// synced.
func (b *builder) finish(replace bool) (err error) {
	defer func() { err = errors.Join(err, b.abandon()) }()
	if err := b.log.end(); err != nil {
		return err
	}
	if err := b.flush(); err != nil {
		return err
	}
	if err := b.update(b.putTallies); err != nil {
		return err
	}
	if err := b.index.Finish(builtFile{b}, b.log.gaps); err != nil {
		return err
	}
	if err := b.db.Sync(); err != nil {
		return err
	}
	if err := b.readBack(); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	db := b.db
	b.db = nil
	if err := db.Close(); err != nil {
		return err
	}
	if err := b.letGo(); err != nil {
		return err
	}
	if err := place(b.temp, b.path, replace); err != nil {
		return err
	}
	if err := syncDirectory(filepath.Dir(b.path)); err != nil {
		return fmt.Errorf("the new file is in its place, but may lose it to the old one when power fails: %w", err)
	}
	return nil
}

// letGo makes sure that the file which is replaced is still the one that was
// copied, and lets go of it where an open file cannot be replaced.
func (b *builder) letGo() error {
	if b.replaces == nil {
		return nil
	}
	if err := b.replaces.file.inPlace(); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return b.replaces.close()
	}
	return nil
}

// abandon removes what has been made, unless finish has put it in its place. It
// may be called at any time, and more than once.
func (b *builder) abandon() (err error) {
	if b.db != nil {
		err = b.db.Close()
		b.db = nil
	}
	if b.temp != "" {
		if removeErr := os.Remove(b.temp); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		b.temp = ""
	}
	return err
}

// flush writes the slice and the rows.
func (b *builder) flush() error {
	if len(b.slice.ends)+len(b.rows) == 0 {
		return nil
	}
	err := b.update(func(tx *bolt.Tx) error {
		return errors.Join(b.putRecords(tx), b.putRows(tx))
	})
	if err != nil {
		return err
	}
	b.slice.reset()
	b.rows, b.rowSize = b.rows[:0], 0
	return nil
}

func (b *builder) putRecords(tx *bolt.Tx) error {
	b.writer.begin(tx)
	for p, rec := range b.slice.all() {
		if err := b.writer.put(p, rec); err != nil {
			return err
		}
	}
	return b.writer.end()
}

func (b *builder) putRows(tx *bolt.Tx) error {
	if len(b.rows) == 0 {
		return nil
	}
	if _, err := viewBuckets(tx); err != nil {
		return err
	}
	for _, row := range b.rows {
		bucket, err := tx.Bucket(rowsBucket).CreateBucketIfNotExists([]byte(row.view))
		if err != nil {
			return err
		}
		bucket.FillPercent = 0.9 // in order now, but rows will come between later
		if err := bucket.Put(row.key, row.sealed); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) putTallies(tx *bolt.Tx) error {
	for view, t := range b.tallies {
		if err := viewRows(tx, view).Put(tallyKey, sealTally(view, *t)); err != nil {
			return err
		}
	}
	return nil
}

// readBack looks through the log as it is in the file now.
func (b *builder) readBack() error {
	return guard(func() error {
		return b.db.View(func(tx *bolt.Tx) error {
			last := eventstore.Position(0)
			err := tx.Bucket(logBucket).ForEach(func(key, value []byte) error {
				v, err := wholeValue(key, value)
				if err == nil && v.First <= last {
					err = fmt.Errorf("%w: position %d comes behind %d in the log", eventstore.ErrCorrupt, v.First, last)
				}
				last = v.Last
				return err
			})
			through, throughErr := index.Through(tx)
			if err = errors.Join(err, throughErr); err == nil && (last != b.log.head || through != b.log.head) {
				err = fmt.Errorf("%w: the log ends at position %d, the index at %d, not at %d", eventstore.ErrCorrupt, last, through, b.log.head)
			}
			return err
		})
	})
}

func (b *builder) update(fn func(*bolt.Tx) error) error {
	return guard(func() error { return b.db.Update(fn) })
}

// builtFile is the file of the index that is built.
type builtFile struct{ b *builder }

// View implements index.File.
func (f builtFile) View(fn func(*bolt.Tx) error) error {
	return guard(func() error { return f.b.db.View(fn) })
}

// Write implements index.File.
func (f builtFile) Write(slice *index.Slice) error { return f.b.update(slice.Apply) }
