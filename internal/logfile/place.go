package logfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
	"unsafe"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
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
	if err := f.isOf(tx, identity); err != nil {
		return err
	}
	if size := tx.Size(); size > f.needs.Load() {
		f.needs.Store(size)
		if now, err := f.OS.Stat(); err == nil {
			return f.longEnough(now)
		}
	}
	return nil
}

// EndsWith returns a [*LostError] if the log does not end with a head, as of the state before
// a write transaction: the file may have as many transactions as the log, and be another one's.
// A damaged head in the file says nothing.
func (f *File) EndsWith(before *pages.Tx, seed record.Seed, end Head) error {
	if said, _, ok := ReadHead(before, seed); ok && said != end {
		return f.lost("it ends at position %d and should end at %d with another running checksum: it was overwritten", said.Position, end.Position)
	}
	return nil
}

// See checks a read transaction of the log of the given identity when it begins. It returns
// a [*LostError] if the transaction is older than the one with the id durable, or newer than
// the one with the id newest, or if it is of another log. durable is the last durable
// transaction when this one began, and newest the last one that the store has begun to commit
// since then.
func (f *File) See(tx *bolt.Tx, durable, newest int64, identity Identity) (Seen, error) {
	seen := Seen{file: f, base: unsafe.Add(nil, tx.DB().Info().Data), tx: uint64(tx.ID())}
	seen.metas = seen.now()
	if id := int64(tx.ID()); id < durable || id > newest {
		return seen, f.lost("its last transaction is %d and should be %d: it was overwritten, or another process has it open", id, durable)
	}
	if seen.isOf(tx, &identity.StoreID) {
		return seen, nil
	}
	return seen, f.isOf(tx, identity)
}

// isOf returns a [*LostError] if the file has another identity, but not if its description
// is damaged.
func (f *File) isOf(tx *bolt.Tx, identity Identity) error {
	found, err := LoadIdentity(pages.View(tx))
	switch {
	case errors.Is(err, eventstore.ErrFormat):
		return f.lost("%v", err)
	case err == nil && found != identity:
		return f.lost("it has the content of another log")
	}
	return nil
}

// Seen is a read transaction that [File.See] has checked.
type Seen struct {
	file  *File
	base  unsafe.Pointer // of the map; not in the heap
	tx    uint64
	metas [2]uint64 // the transactions of the meta pages when it began
}

// Places in a meta page: behind its header, the magic number, the version, the page size and
// the flags are the root page and its sequence, the list of free pages, the high-water mark
// and the transaction's id.
const (
	metaRoot = 16 + 4*4
	metaTxID = metaRoot + 16 + 8 + 8
)

// at returns a number in the map.
func (s *Seen) at(offset uint64) uint64 { return *(*uint64)(unsafe.Add(s.base, offset)) }

// isOf reports whether the root page has the store's id. That is quick, but false does not
// mean that the log is another one.
func (s *Seen) isOf(tx *bolt.Tx, store *uuid.UUID) bool {
	id, size := uint64(tx.ID()), uint64(s.file.Found.PageSize)
	meta := id % 2 * size
	root := s.at(meta + metaRoot)
	if s.at(meta+metaTxID) != id || root >= uint64(tx.Size())/size {
		return false
	}
	page := unsafe.Slice((*byte)(unsafe.Add(s.base, root*size)), size)
	at := int(s.file.idAt.Load())
	if at+len(store) <= len(page) && uuid.UUID(page[at:at+len(store)]) == *store {
		return true
	}
	if at = bytes.Index(page, store[:]); at >= 0 {
		s.file.idAt.Store(int64(at))
	}
	return at >= 0
}

// now returns the transactions of the meta pages.
func (s *Seen) now() [2]uint64 {
	return [2]uint64{s.at(metaTxID), s.at(uint64(s.file.Found.PageSize) + metaTxID)}
}

// Still returns a [*LostError] if a meta page has changed since the transaction began, and not
// to that of a transaction after it, up to newest: another program has overwritten the file,
// and what the transaction has read may be wrong. newest returns the last transaction that the
// store has begun to commit.
func (s *Seen) Still(newest func() int64) error {
	// A read during the write of a meta page may see a part of it.
	for wait := time.Microsecond; !s.followed(newest); wait *= 4 {
		if wait > 5*time.Millisecond {
			return s.file.lost("it was overwritten during a read")
		}
		time.Sleep(wait)
	}
	return nil
}

// followed reports whether each meta page is as it was, or of a transaction that followed.
func (s *Seen) followed(newest func() int64) bool {
	now := s.now()
	if now == s.metas {
		return true
	}
	last := uint64(newest())
	for i, id := range now {
		if id != s.metas[i] && (id <= s.tx || id > last) {
			return false
		}
	}
	return true
}

// Kept returns a [*LostError] if the meta page of the transaction with the id durable is not
// in the file any more. A commit does not change it; so if it is missing after the next
// commit, the file was truncated or overwritten during that commit.
func (f *File) Kept(durable int64) error {
	var id [8]byte
	if _, err := f.OS.ReadAt(id[:], durable%2*int64(f.Found.PageSize)+metaTxID); err != nil {
		return nil // such as EIO: it is not known
	}
	if found := binary.NativeEndian.Uint64(id[:]); found != uint64(durable) {
		return f.lost("it was truncated or overwritten during a commit")
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
