package logfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/pages"
)

// File is an open log file. Its fields do not change after [Open].
type File struct {
	Path  string      // absolute, without symbolic links
	OS    *os.File    // the handle that bbolt has opened; not to be closed
	Info  fs.FileInfo // as of Open
	Found pages.State // the meta pages as of Open

	// Problems are the faults of the pages that lead to other pages. BadIndex and
	// BadRows are not nil if the trees of the index, or of rows and checkpoints, have one
	// of these faults; then they must not be walked.
	Problems          []error
	BadIndex, BadRows error

	// Leftovers are the names of the incomplete files of killed processes that Open has
	// removed.
	Leftovers []string

	needs atomic.Int64 // bytes that the newest known transaction needs
	idAt  atomic.Int64 // where the store's id was found in the root page
}

// OpenOptions are the options of Open.
type OpenOptions struct {
	// ReadOnly opens the file for reading, with a shared lock.
	ReadOnly bool
	// LockTimeout is how long to wait for another opener to close the file; zero or
	// negative means 1 second.
	LockTimeout time.Duration
}

// Open opens the file as a bbolt database and locks it. When it returns, everything in
// the file is on disk, also what a killed process had left in the page cache only. A
// symbolic link is followed once: all later work is on the file that it leads to. When
// Open opens the file for writing, it removes the incomplete files that killed processes
// have left beside it.
//
// Errors a caller can match: fs.ErrNotExist, ErrLocked (another opener kept the file for
// LockTimeout), ErrFormat (not a bbolt file), ErrCorrupt (the pages that lead to the log
// are damaged, or others that a writer relies on), and those of the file system.
func Open(path string, opts OpenOptions) (*DB, *File, error) {
	if opts.LockTimeout <= 0 {
		opts.LockTimeout = time.Second
	}
	real, err := Resolve(path)
	if err != nil {
		return nil, nil, err
	}
	deadline := time.Now().Add(opts.LockTimeout)
	for {
		f := &File{Path: real}
		db, err := f.open(opts)
		if err != nil {
			return nil, nil, err
		}
		// While Open waited for the lock, the file may have been replaced.
		if f.InPlace() == nil {
			if err := f.makeDurable(db, opts); err != nil {
				return nil, nil, errors.Join(err, db.Close())
			}
			if !opts.ReadOnly {
				f.removeLeftovers()
			}
			return db, f, nil
		}
		if err := db.Close(); err != nil {
			return nil, nil, err
		}
		if time.Now().After(deadline) {
			return nil, nil, fmt.Errorf("%w: the file keeps being replaced", eventstore.ErrLocked)
		}
	}
}

// open opens and locks the file.
func (f *File) open(opts OpenOptions) (*DB, error) {
	db := &DB{file: f, options: bolt.Options{
		ReadOnly:     opts.ReadOnly,
		Timeout:      opts.LockTimeout,
		FreelistType: bolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode fs.FileMode) (_ *os.File, err error) {
			f.OS, err = openExisting(name, flag, mode)
			return f.OS, err
		},
	}}
	err := Protect(func() error {
		options := db.options
		b, err := OpenMapped(f.Path, 0o600, &options)
		db.bolt.Store(b)
		return err
	})
	switch {
	case err == nil:
		f.Info, err = f.OS.Stat()
		return db, err
	case errors.Is(err, ErrBadPage):
		return nil, errors.Join(err, unlock(f.OS), f.OS.Close())
	case errors.Is(err, berrors.ErrTimeout) && opts.ReadOnly:
		return nil, fmt.Errorf("%w (waited %v): a file that is open for writing cannot be opened for reading", eventstore.ErrLocked, opts.LockTimeout)
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w (waited %v)", eventstore.ErrLocked, opts.LockTimeout)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return nil, fmt.Errorf("%w: %w", eventstore.ErrCorrupt, err)
	}
	return nil, err
}

// openExisting opens a file that exists and that bbolt can open safely. bbolt would turn
// an empty file into a new database, and would map pages beyond the end of a file that
// was cut short.
func openExisting(name string, flag int, mode fs.FileMode) (*os.File, error) {
	info, err := os.Stat(name) // before opening: to open a pipe blocks
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is not a regular file, but %s", eventstore.ErrFormat, kindOf(info.Mode()))
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

// Inspect reads the meta pages. Its error matches ErrFormat if the file is not a bbolt
// file, and ErrCorrupt if neither meta page is whole or the file was cut short. Inspect
// may be called while another process writes.
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
		return Inspect(f) // the file has grown since its size was read
	}
	switch {
	case errors.Is(err, pages.ErrForeign):
		return state, fmt.Errorf("%w: not a Yore log: %w", eventstore.ErrFormat, err)
	case errors.Is(err, pages.ErrDamaged):
		return state, fmt.Errorf("%w: %w", eventstore.ErrCorrupt, err)
	}
	return state, err
}

// makeDurable reads the meta pages again under the lock, checks the pages that lead to
// others, and syncs the file. A killed process may have left its last transaction in the
// page cache only. Without the sync, the next transaction could overwrite pages that the
// older state on the disk still uses.
func (f *File) makeDurable(db *DB, opts OpenOptions) (err error) {
	if f.Found, err = Inspect(f.OS); err != nil {
		return err
	}
	f.needs.Store(int64(f.Found.HighWater) * int64(f.Found.PageSize))
	if opts.ReadOnly {
		_ = f.OS.Sync() // fails on a read-only medium, which has nothing to sync
		return f.checkBranches(opts.ReadOnly)
	}
	synced := make(chan error, 1)
	go func() { synced <- f.sync(db) }() // at the same time as the pages are checked
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

// sync makes the file and its name durable. The process that created or replaced the
// file may have ended before it synced the directory.
func (f *File) sync(db *DB) error {
	if err := db.Sync(); err != nil {
		return err
	}
	return SyncName(f.Path)
}

// checkBranches checks the pages that lead to others and the list of free pages, which
// have no checksums. With a wrong one, a transaction may overwrite pages that are in use. So
// a file is not opened for writing if anything except its index and its rows is damaged, and
// damaged trees are not used. Readers check each page themselves; they would notice later.
func (f *File) checkBranches(readOnly bool) error {
	problems, err := f.branchProblems(string(AsideBucket))
	if err != nil {
		return err
	}
	// If only the index, or only the rows, use pages that are free, the fault is theirs
	// and not that of the list.
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

// branchProblems are faults of the pages that lead to others, one of each kind: of the
// log, the index, rows and checkpoints, and the list of free pages.
type branchProblems struct{ log, index, rows, free error }

// branchProblems checks the pages of all buckets except the ignored ones. In the bucket
// of changes it checks the leaves too: where a layer has lost a row, the older row below
// would be read as the newest.
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

// OpenMapped opens a database with reservedAddresses, or, if the process may not have as
// many, with those that bbolt takes. It changes the options.
func OpenMapped(path string, mode fs.FileMode, options *bolt.Options) (*bolt.DB, error) {
	options.InitialMmapSize = reservedAddresses()
	db, err := bolt.Open(path, mode, options)
	if errors.As(err, new(syscall.Errno)) && options.InitialMmapSize > 0 { // usually ENOMEM
		options.InitialMmapSize = 0
		db, err = bolt.Open(path, mode, options)
	}
	return db, Unmapped(err)
}

// Unmapped returns err and, if it matches ENOMEM, what to do.
func Unmapped(err error) error {
	if errors.Is(err, syscall.ENOMEM) {
		return fmt.Errorf("the file cannot be mapped into memory; give the process more address space (ulimit -v): %w", err)
	}
	return err
}

// reservedAddresses returns how many bytes of address space to map at once; 0 leaves it
// to bbolt. bbolt maps the file again when it outgrows the map, which stops all readers
// and the writer. Unused addresses cost nothing.
func reservedAddresses() int {
	reserved := int64(16 << 30)
	if runtime.GOOS == "windows" || reserved > math.MaxInt {
		return 0 // Windows makes the file as large as the map; 32 bits have few addresses
	}
	return int(reserved)
}
