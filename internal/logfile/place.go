package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
	"unsafe"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// movedError reports that the path does not name the open file any more. It matches
// ErrFailed without its advice to close the store: closing would lose a removed file.
type movedError struct{ path, how string }

// Error implements error.
func (e *movedError) Error() string {
	return fmt.Sprintf("the file %s was %s while it was open", e.path, e.how)
}

// Is reports whether target is ErrFailed.
func (e *movedError) Is(target error) bool { return target == eventstore.ErrFailed }

// LostError reports that another program has truncated or overwritten the open file. It
// matches ErrFailed.
type LostError struct{ path, how string }

// Error implements error.
func (e *LostError) Error() string {
	return fmt.Sprintf("another program has written to the file %s while it was open: %s; close the store, put the file or a backup back in place, and reopen it, or save what is left with Salvage", e.path, e.how)
}

// Is reports whether target is ErrFailed.
func (e *LostError) Is(target error) bool { return target == eventstore.ErrFailed }

func (f *File) lost(format string, args ...any) error {
	return &LostError{f.Path, fmt.Sprintf(format, args...)}
}

// InPlace returns an error that matches ErrFailed if the path does not name the open file
// any more, or if the file, as a [*LostError], is smaller than the newest transaction that
// [File.Follows] knows. Later writes to such a file are lost.
func (f *File) InPlace() error {
	now, err := os.Lstat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &movedError{f.Path, "removed or renamed"}
	case err == nil && !os.SameFile(now, f.Info):
		return &movedError{f.Path, "replaced by another one"}
	case err != nil: // the file itself may tell its size all the same
		if now, err = f.OS.Stat(); err != nil {
			return nil
		}
	}
	return f.longEnough(now)
}

func (f *File) longEnough(now fs.FileInfo) error {
	if needs := f.needs.Load(); now.Size() < needs {
		return f.lost("it was truncated to %d bytes and needs %d", now.Size(), needs)
	}
	return nil
}

// Follows returns a [*LostError] if the write transaction does not follow the transaction
// with the id durable in the log of the given identity. It must be called before fn has
// changed anything.
func (f *File) Follows(tx *bolt.Tx, durable int64, identity Identity) error {
	if id := int64(tx.ID()); id != durable+1 {
		return f.lost("its last transaction is %d and should be %d: it was overwritten, or another process has it open", id-1, durable)
	}
	if found, err := LoadIdentity(tx); err != nil {
		return f.lost("its description cannot be read (%v)", err)
	} else if found != identity {
		return f.lost("it has the content of another log")
	}
	if size := tx.Size(); size > f.needs.Load() {
		f.needs.Store(size)
		if now, err := f.OS.Stat(); err == nil {
			return f.longEnough(now)
		}
	}
	return nil
}

// Continues returns a [*LostError] if a read transaction is older than the transaction
// with the id durable, or was not written by the holder of the lock: it is newer than the
// one that may be under way. durable must be loaded before the transaction began, and
// later after.
func (f *File) Continues(tx *bolt.Tx, durable, later int64) error {
	if id := int64(tx.ID()); id < durable || id > later+1 {
		return f.lost("its last transaction is %d and should be %d: it was overwritten, or another process has it open", id, later)
	}
	return nil
}

// The place of a meta page's transaction id: behind the page's header, the magic number,
// the version, the page size, the flags, the root, the list of free pages and the high-water
// mark.
const metaTxID = 16 + 4*4 + 16 + 8 + 8

// Unchanged returns a [*LostError] if the file has no meta page with the id durable or a
// newer one any more: another program has overwritten it since the transaction began, and
// what the transaction has read may be wrong.
func (f *File) Unchanged(tx *bolt.Tx, durable int64) error {
	first := unsafe.Add(nil, tx.DB().Info().Data+metaTxID) // in the map, not in the heap
	second := unsafe.Add(first, f.Found.PageSize)
	if newest := max(*(*uint64)(first), *(*uint64)(second)); newest < uint64(durable) {
		return f.lost("it was overwritten during a read")
	}
	return nil
}

// Overwritten looks for the reason of an error that matches ErrBadPage or ErrCorrupt. It
// returns a [*LostError] if another program has truncated the file or has overwritten the
// pages that describe it. durable is the id of the last durable transaction.
func (f *File) Overwritten(durable int64) error {
	if now, err := f.OS.Stat(); err == nil {
		if err := f.longEnough(now); err != nil {
			return err
		}
	}
	// A read of the meta pages during a write may see half of a page.
	for wait := time.Microsecond; ; wait *= 4 {
		state, err := Inspect(f.OS)
		switch {
		case err == nil && int64(state.TxID) >= durable:
			return nil
		case err != nil && !errors.Is(err, eventstore.ErrFormat) && !errors.Is(err, eventstore.ErrCorrupt):
			return nil // such as EIO: it is not known
		case wait < 5*time.Millisecond:
			time.Sleep(wait)
		case err != nil:
			return f.lost("it was overwritten (%v)", err)
		default:
			return f.lost("it was overwritten by an older state: its last transaction is %d and should be %d", state.TxID, durable)
		}
	}
}
