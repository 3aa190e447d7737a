package logfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/pages"
)

// File is the log's file as the operating system has it.
type File struct {
	Path  string   // absolute
	OS    *os.File // bbolt's
	Info  fs.FileInfo
	Found pages.State // its meta pages as they were when it was opened

	// What is wrong with the pages that lead to others, and so what is not to be
	// walked: the index, or rows and checkpoints.
	Problems          []error
	BadIndex, BadRows error
}

// OpenOptions say how to open a file.
type OpenOptions struct {
	// ReadOnly opens it for reading.
	ReadOnly bool
	// LockTimeout is how long to wait for another opener to close the file; zero or
	// negative means 1 second.
	LockTimeout time.Duration
	// FileMode is the permissions that bbolt is given; they matter only for a file
	// that is created, and Open creates none.
	FileMode fs.FileMode
}

// Open opens the file as a bbolt database, or says in the contract's words
// why it cannot. What a process that was killed has left in the page cache only
// is on disk when it returns.
func Open(path string, opts OpenOptions) (*bolt.DB, *File, error) {
	if opts.LockTimeout <= 0 {
		opts.LockTimeout = time.Second
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	deadline := time.Now().Add(opts.LockTimeout)
	for {
		f := &File{Path: absolute}
		db, err := f.open(opts)
		if err != nil {
			return nil, nil, err
		}
		// Who waited for the lock may have got that of a file which was replaced
		// meanwhile.
		if f.InPlace() == nil {
			if err := f.makeDurable(db, opts); err != nil {
				return nil, nil, errors.Join(err, db.Close())
			}
			return db, f, nil
		}
		if err := db.Close(); err != nil {
			return nil, nil, err
		}
		if time.Now().After(deadline) {
			return nil, nil, fmt.Errorf("%w: it is replaced again and again", eventstore.ErrLocked)
		}
	}
}

// open opens and locks the file.
func (f *File) open(opts OpenOptions) (db *bolt.DB, err error) {
	options := &bolt.Options{
		ReadOnly:        opts.ReadOnly,
		Timeout:         opts.LockTimeout,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: ReservedAddresses(),
		OpenFile: func(name string, flag int, mode fs.FileMode) (_ *os.File, err error) {
			f.OS, err = openExisting(name, flag, mode)
			return f.OS, err
		},
	}
	err = Protect(func() error {
		db, err = bolt.Open(f.Path, opts.FileMode, options)
		if errors.Is(err, syscall.ENOMEM) && options.InitialMmapSize > 0 { // addresses are limited
			options.InitialMmapSize = 0
			db, err = bolt.Open(f.Path, opts.FileMode, options)
		}
		return err
	})
	switch {
	case err == nil:
		f.Info, err = f.OS.Stat()
		return db, err
	case errors.Is(err, ErrBadPage):
		return nil, errors.Join(err, unlock(f.OS), f.OS.Close())
	case errors.Is(err, berrors.ErrTimeout) && opts.ReadOnly:
		return nil, fmt.Errorf("%w (waited %v): as long as it can write, nobody else can read", eventstore.ErrLocked, opts.LockTimeout)
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w (waited %v)", eventstore.ErrLocked, opts.LockTimeout)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return nil, fmt.Errorf("%w: %w", eventstore.ErrCorrupt, err)
	}
	return nil, err
}

// openExisting opens a file that must be there and be one that bbolt can open:
// it would turn an empty file into a new database, and map pages of one that was
// cut short that are not there.
func openExisting(name string, flag int, mode fs.FileMode) (*os.File, error) {
	info, err := os.Stat(name) // before opening, which waits for ever on a pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is no file, but %s", eventstore.ErrFormat, kindOf(info.Mode()))
	}
	file, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	if _, err := Inspect(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// Inspect reads the meta pages, and says in the contract's words what is wrong
// with the file as a whole. It may be called while another process writes.
func Inspect(f *os.File) (pages.State, error) {
	info, err := f.Stat()
	if err != nil {
		return pages.State{}, err
	}
	if info.Size() == 0 {
		return pages.State{}, fmt.Errorf("%w: the file is empty", eventstore.ErrFormat)
	}
	state, err := pages.Inspect(f, info.Size())
	if now, statErr := f.Stat(); err != nil && statErr == nil && now.Size() > info.Size() {
		return Inspect(f) // it has grown meanwhile, and the size that was seen was the old one
	}
	switch {
	case errors.Is(err, pages.ErrForeign):
		return state, fmt.Errorf("%w: not a Yore log: %w", eventstore.ErrFormat, err)
	case errors.Is(err, pages.ErrDamaged):
		return state, fmt.Errorf("%w: %w", eventstore.ErrCorrupt, err)
	}
	return state, err
}

// makeDurable notes what the meta pages say, now that nobody else writes them, looks at
// the pages that lead to others, and makes all of it durable: a process that was
// killed may have left it in the page cache only, and pages that the older state on
// the disk still needs would be overwritten next.
func (f *File) makeDurable(db *bolt.DB, opts OpenOptions) (err error) {
	if f.Found, err = Inspect(f.OS); err != nil {
		return err
	}
	if opts.ReadOnly {
		_ = f.OS.Sync() // a medium that cannot be written has nothing to sync
		return f.checkBranches(opts.ReadOnly)
	}
	synced := make(chan error, 1)
	go func() { synced <- f.sync(db) }() // the disk is at work while the pages are checked
	problem := f.checkBranches(opts.ReadOnly)
	if err := cmp.Or(problem, <-synced); err != nil {
		return err
	}
	doubted, err := f.doubted()
	if doubted {
		err = f.endDoubt(db)
	}
	return err
}

// sync makes the file durable, and its name, for who created or replaced it may
// have ended before that.
func (f *File) sync(db *bolt.DB) error {
	if err := db.Sync(); err != nil {
		return err
	}
	return SyncDirectory(filepath.Dir(f.Path))
}

// After a sync that failed, the system takes the pages for written, though the
// disk has not got them: a further sync does nothing, in whatever process. The
// newest meta page then is one that the disk does not have, and of a transaction
// that was not acknowledged. So a writer whose commit fails like that leaves a
// note beside the file, and the next who opens it writes that page once more, as
// it is. The note need not be durable: what it tells of, the page cache, is lost
// with it.
//
// Without a note the page is left alone, for it may be that of the last
// transaction that was acknowledged, and a loss of power could make garbage of
// what is being written.

// doubtSuffix is what the name of the note has behind the file's.
const doubtSuffix = ".doubt"

// Doubt leaves the note.
func (f *File) Doubt() error {
	text := fmt.Sprintf("A write to %s could not be synced, so what the disk has of it is in doubt.\n"+
		"When Yore opens the file, it sees to that and removes this note. Do not remove it before.\n", filepath.Base(f.Path))
	return os.WriteFile(f.Path+doubtSuffix, []byte(text), f.Info.Mode().Perm())
}

// doubted reports whether there is a note.
func (f *File) doubted() (bool, error) {
	_, err := os.Stat(f.Path + doubtSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// endDoubt writes the newest meta page as it is, and removes the note.
func (f *File) endDoubt(db *bolt.DB) error {
	offset := int64(f.Found.TxID%2) * int64(f.Found.PageSize)
	page := make([]byte, f.Found.PageSize)
	if _, err := f.OS.ReadAt(page, offset); err != nil {
		return err
	}
	if _, err := f.OS.WriteAt(page, offset); err != nil {
		return err
	}
	if err := f.sync(db); err != nil {
		return err
	}
	return os.Remove(f.Path + doubtSuffix)
}

// checkBranches looks at the pages that lead to others and at the list of free
// ones, which have no checksums. bbolt goes by them: with one that is wrong, a
// reader may go in circles, and a transaction may overwrite pages that are in
// use. So what is damaged is not walked, and a file is not written to if more
// than its index is.
func (f *File) checkBranches(readOnly bool) error {
	problems, err := f.branchProblems(string(AsideBucket))
	if err != nil {
		return err
	}
	// If it is the index, or the rows, that use pages which are free, it is they that
	// are wrong.
	for _, suspect := range []struct {
		problem *error
		buckets []string
	}{
		{&problems.index, []string{index.Bucket}},
		{&problems.rows, bucketsOfViews},
	} {
		if problems.free == nil {
			break
		}
		others, err := f.branchProblems(append(suspect.buckets, string(AsideBucket))...)
		if err != nil {
			return err
		}
		if others.free == nil {
			*suspect.problem, problems.free = problems.free, nil
		}
	}
	f.BadIndex, f.BadRows = problems.index, problems.rows
	for _, problem := range []error{problems.index, problems.rows, problems.free} {
		if problem != nil {
			f.Problems = append(f.Problems, problem)
		}
	}
	switch {
	case problems.log != nil:
		return fmt.Errorf("%w; Salvage saves what can be read", problems.log)
	case !readOnly && (problems.free != nil || f.BadRows != nil):
		return fmt.Errorf("%w; Reindex makes a sound file, and this one can be opened for reading", cmp.Or(problems.free, f.BadRows))
	}
	return nil
}

// branchProblems are what is wrong with the pages that lead to others, one of
// each kind: those of the log, of the index, of rows and checkpoints, and the
// list of free ones.
type branchProblems struct{ log, index, rows, free error }

// branchProblems looks at the pages of all buckets but some; at the leaves of the
// bucket of changes, too, for where a layer has lost something, what it lies over
// would be taken for the newest.
func (f *File) branchProblems(ignore ...string) (problems branchProblems, err error) {
	opts := pages.CheckOptions{Branches: true, Leaves: []string{string(ChangesBucket)}, Ignore: ignore}
	err = pages.Check(f.OS, f.Found.Meta, opts, func(found pages.Finding) {
		kind := &problems.log
		switch {
		case found.Free:
			kind = &problems.free
		case found.Bucket == index.Bucket:
			kind = &problems.index
		case slices.Contains(bucketsOfViews, found.Bucket):
			kind = &problems.rows
		}
		*kind = fmt.Errorf("%w: page %d %s", eventstore.ErrCorrupt, found.Page, found.Problem)
	})
	return problems, err
}

// movedError says that the path does not name the open file any more. It matches
// ErrFailed, but does not give its advice: closing would let go of the file.
type movedError struct{ path, how string }

func (e *movedError) Error() string {
	return fmt.Sprintf("the file %s was %s while it was open", e.path, e.how)
}

func (e *movedError) Is(target error) bool { return target == eventstore.ErrFailed }

// InPlace returns an error if the path does not name the open file any more:
// what is written to it then is lost when it is closed.
func (f *File) InPlace() error {
	now, err := os.Stat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &movedError{f.Path, "removed or renamed"}
	case err == nil && !os.SameFile(now, f.Info):
		return &movedError{f.Path, "replaced by another one"}
	}
	return nil // also if it cannot be told
}

// ReservedAddresses is how much address space to map at once, in bytes. bbolt
// maps the file again when it outgrows its map, and that stops all readers and
// the writer; addresses that are not used cost nothing.
func ReservedAddresses() int {
	reserved := int64(16 << 30)
	if runtime.GOOS == "windows" || reserved > math.MaxInt {
		return 0 // there the file itself would become as large, or addresses are few
	}
	return int(reserved)
}
