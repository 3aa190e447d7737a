package logbuild

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
	"github.com/yore-es/yore/internal/viewfile"
)

// A Builder makes a whole log file from encoded records. It is the one mechanism behind
// everything that creates or replaces a log file.
//
// The file grows under a temporary name in its final directory: the final name, ".new-"
// and 16 hexadecimal digits. It is locked meanwhile. Finish gives it the final name, in one
// step of the file system, after it is complete, synced and read back. So at every moment
// the name stands for the old file or for the new one, and each is whole. A crash leaves at
// most the temporary file, which the next Open of the log for writing removes.
//
// Nothing is synced before Finish, since the file is useless until then. Records, rows and
// the index are written in slices, so memory is bounded.
//
//	b, err := New(path, Options{Identity: identity, Mode: mode})
//	if err != nil {
//		return err
//	}
//	defer func() { err = errors.Join(err, b.Abandon()) }()
//	// b.Add for each record, in the order of positions
//	return b.Finish(replace)
//
// A Builder is not safe for concurrent use.
type Builder struct {
	path     string // the final name
	seed     record.Seed
	temp     string // the temporary name; "" when the file is gone or installed
	db       *bolt.DB
	log      logfile.Sequence // the records added
	reseal   bool             // see Options.Salvaged
	chain    record.Chain     // up to the last record added
	holes    []hole           // that are not in the file yet
	replaces *Source          // see Options

	slice   logfile.Page // records that are not in the file yet
	writer  logfile.Writer
	index   *index.Index
	rows    []viewfile.SealedRow // rows that are not in the file yet
	rowSize int                  // bytes of rows
	views   viewfile.Loader
}

// Options describe a new file.
type Options struct {
	Identity logfile.Identity
	// Mode is reduced by the umask, unless ExactMode. Zero means 0o600.
	Mode      fs.FileMode
	ExactMode bool
	// Salvaged, if not nil, is the seed of the records that are added, which may lack
	// positions and versions. They must increase all the same. The records get the
	// checksums of the new log, and the log notes the positions that it lacks.
	Salvaged *record.Seed
	// Replaces is the open file that the new one replaces, nil if there is none. Finish
	// makes sure that it is still in its place.
	Replaces *Source
}

// A slice is written when it has sliceRecords records or sliceBytes bytes.
const (
	sliceRecords = 16_384
	sliceBytes   = 8 << 20
)

// builtIndex bounds the index in memory. It is large, so that the finished index has few
// parts.
var builtIndex = index.Limits{Bytes: 48 << 20, Events: 1 << 20}

// New creates the temporary file of a log that is to be at path. Only Finish looks whether
// path exists. The caller must call Finish or Abandon. Errors are those of the file system;
// a missing directory matches fs.ErrNotExist.
func New(path string, o Options) (_ *Builder, err error) {
	seed := o.Identity.Seed()
	b := &Builder{path: path, seed: seed, log: logfile.NewSequence(seed, 0, false), replaces: o.Replaces}
	b.views.Seed = seed
	if o.Salvaged != nil {
		b.log, b.reseal = logfile.NewSequence(*o.Salvaged, 0, true), true
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Abandon())
		}
	}()
	for inPlace := false; !inPlace; {
		if inPlace, err = b.open(o); err != nil {
			return nil, err
		}
	}
	if err := b.update(func(tx *pages.WriteTx) error { return logfile.Create(tx, o.Identity) }); err != nil {
		return nil, err
	}
	return b, b.view(func(tx *pages.Tx) (err error) {
		b.index, err = index.Open(tx, seed, builtIndex)
		return err
	})
}

// open creates the temporary file, opens and locks it. It reports false, and must be called
// again, if another process has taken the file for one that was left behind, and has removed
// it before it was locked.
func (b *Builder) open(o Options) (inPlace bool, err error) {
	if b.temp, err = logfile.CreateTemp(b.path, o.Mode, o.ExactMode); err != nil {
		return false, err
	}
	var file *os.File
	b.db, err = logfile.OpenMapped(b.temp, 0, &bolt.Options{
		NoSync:       true,
		NoGrowSync:   true,
		FreelistType: bolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode fs.FileMode) (_ *os.File, err error) {
			file, err = os.OpenFile(name, flag&^os.O_CREATE, mode)
			return file, err
		},
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	locked, err := file.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Lstat(b.temp)
	if err == nil && os.SameFile(named, locked) {
		return true, nil
	}
	return false, b.Abandon()
}

// Add adds a copy of the encoded record at position p. A record that is damaged, or may
// not follow the one before, is a [*eventstore.CorruptError] and is not added; the builder
// can be used further. Versions and keys are checked by Finish.
func (b *Builder) Add(p eventstore.Position, rec []byte) error {
	last := b.log.Head()
	r, err := b.log.Next(p, rec)
	if err != nil {
		return err
	}
	if b.reseal {
		rec = bytes.Clone(rec)
		b.chain = record.Reseal(rec, b.seed, b.chain, p)
	} else {
		b.chain = r.Chain(b.chain)
	}
	if p > last+1 {
		b.holes = append(b.holes, hole{last + 1, p - 1})
	}
	b.index.Add(1, func(int) index.Entry { return logfile.IndexEntry(&r) })
	if b.index.Full() {
		if err := b.index.Save(builtFile{b}); err != nil {
			return err
		}
	}
	b.slice.Add(p, rec)
	if b.slice.Len() >= sliceRecords || b.slice.Size() >= sliceBytes {
		return b.flush()
	}
	return nil
}

// hole is a range of positions without a record.
type hole struct{ first, last eventstore.Position }

// addCheckpoint adds the checkpoint of a view, after all records and before the view's
// rows. One beyond the last record matches ErrCorrupt.
func (b *Builder) addCheckpoint(view eventstore.ViewID, c eventstore.Checkpoint) error {
	if c.Position > b.log.Head() {
		return fmt.Errorf("%w: checkpoint of view %q at position %d, beyond the head %d", eventstore.ErrCorrupt, view, c.Position, b.log.Head())
	}
	return b.update(func(tx *pages.WriteTx) error { return b.views.PutCheckpoint(tx, view, c) })
}

// addRows adds rows of a view, as they are in a log; those of a view in the order of their
// keys. The builder keeps them. A damaged row matches ErrCorrupt when it is written.
func (b *Builder) addRows(rows []viewfile.SealedRow) error {
	b.rows = append(b.rows, rows...)
	for i := range rows {
		b.rowSize += rows[i].Size()
	}
	if len(b.rows) >= sliceRecords || b.rowSize >= sliceBytes {
		return b.flush()
	}
	return nil
}

// Finish writes the rest, syncs the file, reads it back, and gives it its final name. With
// replace it replaces a file of that name; without, an existing file is an error that matches
// fs.ErrExist. A commit that is not complete, versions that do not follow each other (unless
// Gaps) and a key of two commits are a [*eventstore.CorruptError].
//
// After an error the name stands for the same file as before, with one exception, which
// the error names: the directory could not be synced. The builder cannot be used afterwards.
func (b *Builder) Finish(replace bool) (err error) {
	defer func() { err = errors.Join(err, b.Abandon()) }()
	if err := b.log.End(); err != nil {
		return err
	}
	if err := b.flush(); err != nil {
		return err
	}
	if err := b.update(b.views.Finish); err != nil {
		return err
	}
	if err := b.index.Finish(builtFile{b}, b.log.HasGaps()); err != nil {
		return err
	}
	if err := b.update(b.putHead); err != nil {
		return err
	}
	if err := b.db.Sync(); err != nil {
		return err
	}
	if err := b.readBack(); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if err := b.letGo(); err != nil {
		return err
	}
	return b.install(replace)
}

// install closes the file and gives it its final name. It is locked until it has that name,
// so that no opener takes it for a file that was left behind; but an open file cannot be
// renamed on Windows.
func (b *Builder) install(replace bool) error {
	close := func() error {
		db := b.db
		b.db = nil
		return db.Close()
	}
	if runtime.GOOS == "windows" {
		if err := close(); err != nil {
			return err
		}
	}
	if err := logfile.Install(b.temp, b.path, replace); err != nil {
		return err
	}
	var err error
	if b.db != nil {
		err = close()
	}
	if err = errors.Join(err, logfile.SyncName(b.path)); err != nil {
		return fmt.Errorf("the new file is in place, but a loss of power may bring back the old one: %w", err)
	}
	return nil
}

// letGo checks that the path still names the file that is to be replaced, and closes that
// file where an open file cannot be replaced.
func (b *Builder) letGo() error {
	if b.replaces == nil {
		return nil
	}
	if err := b.replaces.file.InPlace(); err != nil {
		return err
	}
	if runtime.GOOS == "windows" {
		return b.replaces.Close()
	}
	return nil
}

// Abandon removes the temporary file. After Finish and after a first Abandon it does
// nothing.
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
	if b.slice.Len()+len(b.rows) == 0 {
		return nil
	}
	err := b.update(func(tx *pages.WriteTx) error {
		return errors.Join(b.putRecords(tx), b.putHoles(tx), b.views.Put(tx, b.rows))
	})
	if err != nil {
		return err
	}
	b.slice.Reset()
	b.holes = b.holes[:0]
	b.rows, b.rowSize = b.rows[:0], 0
	return nil
}

func (b *Builder) putRecords(tx *pages.WriteTx) error {
	b.writer.Begin(tx)
	for p, rec := range b.slice.All() {
		if err := b.writer.Put(p, rec); err != nil {
			return err
		}
	}
	return b.writer.End()
}

func (b *Builder) putHoles(tx *pages.WriteTx) error {
	for _, h := range b.holes {
		if err := logfile.PutHole(tx, b.seed, h.first, h.last); err != nil {
			return err
		}
	}
	return nil
}

// putHead writes the head of the log, in the last transaction.
func (b *Builder) putHead(tx *pages.WriteTx) error {
	return logfile.PutHead(tx, b.seed, logfile.Head{Position: b.log.Head(), Chain: b.chain})
}

// readBack reads the log in the file and checks every record, and the ends of log and index.
func (b *Builder) readBack() error {
	return b.view(func(tx *pages.Tx) error {
		var chain record.Chain
		last := eventstore.Position(0)
		var err error
		for key, value := range tx.Bucket(logfile.LogBucket).All() {
			v, damage := logfile.ParseValue(key, value)
			err = cmp.Or(err, damage)
			for p, rec := range v.All() {
				r, damage := record.Decode(b.seed, p, rec)
				if damage == nil && (p <= last || r.Last() && r.Before != chain) {
					damage = fmt.Errorf("%w: position %d does not follow position %d in the log", eventstore.ErrCorrupt, p, last)
				}
				chain, last = r.Chain(chain), p
				err = cmp.Or(err, damage)
			}
		}
		end, headErr := logfile.LoadHead(tx, b.seed)
		through, throughErr := index.Through(tx, b.seed)
		if err = errors.Join(err, headErr, throughErr); err == nil && (end.Head != logfile.Head{Position: b.log.Head(), Chain: b.chain} || through != b.log.Head()) {
			err = fmt.Errorf("%w: the log ends at position %d and the index at %d, and both should end at %d", eventstore.ErrCorrupt, end.Position, through, b.log.Head())
		}
		return err
	})
}

func (b *Builder) update(fn func(*pages.WriteTx) error) error {
	return logfile.Unmapped(logfile.Protect(func() error {
		return b.db.Update(func(tx *bolt.Tx) error { return fn(pages.Write(tx)) })
	}))
}

func (b *Builder) view(fn func(*pages.Tx) error) error {
	return logfile.Protect(func() error {
		return b.db.View(func(tx *bolt.Tx) error { return fn(pages.View(tx)) })
	})
}

// builtFile is the index.File of a Builder.
type builtFile struct{ b *Builder }

// ReadTx implements index.File.
func (f builtFile) ReadTx(fn func(*pages.Tx) error) error {
	return f.b.view(fn)
}

// Write implements index.File.
func (f builtFile) Write(slice *index.Slice) error { return f.b.update(slice.Apply) }
