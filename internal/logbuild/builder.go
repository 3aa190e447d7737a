package logbuild

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
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/viewfile"
)

// A Builder makes a whole log file from records that exist already. It is the
// one mechanism under all that replaces a log: Restore, Compact, Reindex,
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
//	b, err := New(path, Options{ID: id, Epoch: epoch, Mode: mode})
//	if err != nil {
//		return err
//	}
//	defer func() { err = errors.Join(err, b.abandon()) }()
//	// b.add for each record, in the order of positions
//	// b.addCheckpoint and b.addRow for each view that is kept
//	return b.finish(replace)
//
// A builder is not safe for concurrent use.
type Builder struct {
	path string // where the file is to be
	temp string // where it is, "" when it is there or gone
	db   *bolt.DB
	log  logfile.Sequence // the records added
	// Replaces is the file whose place this one takes, if it is known.
	Replaces *Source

	slice   logfile.Page // records not yet in the file
	writer  logfile.Writer
	index   *index.Index
	rows    []builtRow // rows not yet in the file
	rowSize int        // bytes of them
	tallies map[eventstore.ViewID]*viewfile.Tally
}

// Options say what a new file is.
type Options struct {
	ID    uuid.UUID   // of the store
	Epoch uint64      // 1 or more
	Mode  fs.FileMode // zero is 0o600
	// Gaps lets positions and versions be missing, as where records were lost.
	// They must increase all the same. A store that has gaps is damaged.
	Gaps bool
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

// New begins a file that is to be at path. Whether there is one is
// finish's to look at.
func New(path string, o Options) (_ *Builder, err error) {
	temp, err := logfile.CreateTemp(path, o.Mode)
	if err != nil {
		return nil, err
	}
	b := &Builder{
		path: path, temp: temp,
		log:     logfile.Sequence{Gaps: o.Gaps},
		tallies: make(map[eventstore.ViewID]*viewfile.Tally),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Abandon())
		}
	}()
	b.db, err = bolt.Open(temp, o.Mode, &bolt.Options{
		NoSync:          true,
		NoGrowSync:      true,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: logfile.ReservedAddresses(),
	})
	if err != nil {
		return nil, err
	}
	if err := b.update(func(tx *bolt.Tx) error { return logfile.Describe(tx, o.ID, o.Epoch) }); err != nil {
		return nil, err
	}
	return b, b.db.View(func(tx *bolt.Tx) (err error) {
		b.index, err = index.Open(tx, builtIndex)
		return err
	})
}

// Add adds the record at position p, as it lies in a log, behind those added
// before. It copies rec. A record that is damaged, or cannot come behind the one
// before it, is a [*eventstore.CorruptError] and has not been added; with gaps,
// the next may be. That the versions of streams follow each other, and that no
// key is that of two commits, is for finish to find out.
func (b *Builder) Add(p eventstore.Position, rec []byte) error {
	r, err := b.log.Next(p, rec)
	if err != nil {
		return err
	}
	b.index.Add(1, func(int) index.Entry { return logfile.IndexEntry(&r) })
	if b.index.Full() {
		if err := b.index.Save(builtFile{b}); err != nil {
			return err
		}
	}
	b.slice.Add(p, rec)
	if len(b.slice.Ends) >= sliceRecords || len(b.slice.Bytes) >= sliceBytes {
		return b.flush()
	}
	return nil
}

// addCheckpoint adds the checkpoint of a view, as it lies in a log, when all
// records have been added. One that is damaged matches ErrCorrupt.
func (b *Builder) addCheckpoint(view eventstore.ViewID, sealed []byte) error {
	c, err := viewfile.OpenCheckpoint(view, sealed)
	if err != nil {
		return err
	}
	if c.Position > b.log.Head {
		return fmt.Errorf("%w: checkpoint of view %q at position %d, beyond the head %d", eventstore.ErrCorrupt, view, c.Position, b.log.Head)
	}
	return b.update(func(tx *bolt.Tx) error {
		checkpoints, err := viewfile.CreateBuckets(tx)
		if err != nil {
			return err
		}
		return checkpoints.Put([]byte(view), viewfile.SealCheckpoint(view, c))
	})
}

// addRow adds a row of a view, as it lies in a log. The rows of a view are added
// in the order of their keys, and not its tally. It copies key and sealed. A row
// that is damaged matches ErrCorrupt.
func (b *Builder) addRow(view eventstore.ViewID, key, sealed []byte) error {
	if _, err := viewfile.OpenRow(view, key, sealed); err != nil {
		return err
	}
	if b.tallies[view] == nil {
		b.tallies[view] = new(viewfile.Tally)
	}
	b.tallies[view].Add(sealed)
	both := append(append(make([]byte, 0, len(key)+len(sealed)), key...), sealed...)
	b.rows = append(b.rows, builtRow{view, both[:len(key):len(key)], both[len(key):]})
	b.rowSize += len(both)
	if len(b.rows) >= sliceRecords || b.rowSize >= sliceBytes {
		return b.flush()
	}
	return nil
}

// Finish writes what is left, makes the file durable, looks through it, and
// gives it its name. Without replace, a file that is there is an error that
// matches fs.ErrExist, and is left alone. On an error the name stands for what
// it did before, with one exception, which says so: the directory could not be
// synced.
func (b *Builder) Finish(replace bool) (err error) {
	defer func() { err = errors.Join(err, b.Abandon()) }()
	if err := b.log.End(); err != nil {
		return err
	}
	if err := b.flush(); err != nil {
		return err
	}
	if err := b.update(b.putTallies); err != nil {
		return err
	}
	if err := b.index.Finish(builtFile{b}, b.log.Gaps); err != nil {
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
	if err := logfile.Install(b.temp, b.path, replace); err != nil {
		return err
	}
	if err := logfile.SyncDirectory(filepath.Dir(b.path)); err != nil {
		return fmt.Errorf("the new file is in its place, but may lose it to the old one when power fails: %w", err)
	}
	return nil
}

// letGo makes sure that the file which is replaced is still the one that was
// copied, and lets go of it where an open file cannot be replaced.
func (b *Builder) letGo() error {
	if b.Replaces == nil {
		return nil
	}
	if err := b.Replaces.file.InPlace(); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return b.Replaces.Close()
	}
	return nil
}

// Abandon removes what has been made, unless finish has put it in its place. It
// may be called at any time, and more than once.
func (b *Builder) Abandon() (err error) {
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
func (b *Builder) flush() error {
	if len(b.slice.Ends)+len(b.rows) == 0 {
		return nil
	}
	err := b.update(func(tx *bolt.Tx) error {
		return errors.Join(b.putRecords(tx), b.putRows(tx))
	})
	if err != nil {
		return err
	}
	b.slice.Reset()
	b.rows, b.rowSize = b.rows[:0], 0
	return nil
}

func (b *Builder) putRecords(tx *bolt.Tx) error {
	b.writer.Begin(tx)
	for p, rec := range b.slice.All() {
		if err := b.writer.Put(p, rec); err != nil {
			return err
		}
	}
	return b.writer.End()
}

func (b *Builder) putRows(tx *bolt.Tx) error {
	if len(b.rows) == 0 {
		return nil
	}
	if _, err := viewfile.CreateBuckets(tx); err != nil {
		return err
	}
	for _, row := range b.rows {
		bucket, err := tx.Bucket(logfile.RowsBucket).CreateBucketIfNotExists([]byte(row.view))
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

func (b *Builder) putTallies(tx *bolt.Tx) error {
	for view, t := range b.tallies {
		if err := viewfile.Rows(tx, view).Put(viewfile.TallyKey, viewfile.SealTally(view, *t)); err != nil {
			return err
		}
	}
	return nil
}

// readBack looks through the log as it is in the file now.
func (b *Builder) readBack() error {
	return logfile.Protect(func() error {
		return b.db.View(func(tx *bolt.Tx) error {
			last := eventstore.Position(0)
			err := tx.Bucket(logfile.LogBucket).ForEach(func(key, value []byte) error {
				v, err := logfile.WholeValue(key, value)
				if err == nil && v.First <= last {
					err = fmt.Errorf("%w: position %d comes behind %d in the log", eventstore.ErrCorrupt, v.First, last)
				}
				last = v.Last
				return err
			})
			through, throughErr := index.Through(tx)
			if err = errors.Join(err, throughErr); err == nil && (last != b.log.Head || through != b.log.Head) {
				err = fmt.Errorf("%w: the log ends at position %d, the index at %d, not at %d", eventstore.ErrCorrupt, last, through, b.log.Head)
			}
			return err
		})
	})
}

func (b *Builder) update(fn func(*bolt.Tx) error) error {
	return logfile.Protect(func() error { return b.db.Update(fn) })
}

// builtFile is the file of the index that is built.
type builtFile struct{ b *Builder }

// ReadTx implements index.File.
func (f builtFile) ReadTx(fn func(*bolt.Tx) error) error {
	return logfile.Protect(func() error { return f.b.db.View(fn) })
}

// Write implements index.File.
func (f builtFile) Write(slice *index.Slice) error { return f.b.update(slice.Apply) }
