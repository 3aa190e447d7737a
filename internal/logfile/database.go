package logfile

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
)

// DB is an open bbolt database whose calls end, also when another program damages the
// file meanwhile, or when the file cannot be mapped. It is safe for concurrent use by
// multiple goroutines.
//
// # When the file cannot be mapped again
//
// Problem. bbolt maps a file that outgrows its map again: it removes the old map and asks
// for a larger one. A process with a limit of address space (ulimit -v) may not get it.
// Then the transaction fails, and bbolt has no map: every later transaction fails too,
// though the file is as it was before.
//
// Steps. The first transaction that finds no map opens the file again, through a copy of
// the handle, which shares its lock. This database has the map that the file needs, as
// before the failed transaction: bbolt maps the whole file, so an unused end that does not
// fit into such a map is cut off. The old database is not closed, since that would give up
// the lock; only its handle is.
//
// Limits. If that fails too, bbolt gives up the shared lock, and it is taken again. Another
// process may lock the file in between; File.Follows then notices its transactions.
//
// Rejected. To map more from the start, when little is allowed: the addresses would be
// missing elsewhere in the process. To close and open the file: another process could
// lock it in between.
type DB struct {
	file    *File
	options bolt.Options // of Open

	bolt   atomic.Pointer[bolt.DB]
	remaps sync.Mutex  // one attempt to map the file again at a time
	copied *os.File    // the handle of the present database, if the file was mapped again
	stuck  atomic.Bool // bbolt may hold a lock for ever: it must not be called again
	leaves atomic.Bool // Begin has left its locks behind once, as is expected
}

// errUnmapped means that the file cannot be mapped.
var errUnmapped = fmt.Errorf("%w: the file cannot be mapped into memory; give the process more address space (ulimit -v)", eventstore.ErrFailed)

// errStuck means that bbolt may hold a lock for ever.
var errStuck = fmt.Errorf("%w: bbolt has stopped in the middle of a call", ErrBadPage)

// Bolt returns the bbolt database. It may change when the file is mapped again.
func (db *DB) Bolt() *bolt.DB { return db.bolt.Load() }

// View runs fn in a read transaction. Its errors are those of fn, of bbolt, and of
// [Protect]; one that matches ErrFailed says that the file cannot be mapped.
func (db *DB) View(fn func(*bolt.Tx) error) error {
	tx, err := db.begin(false)
	if err != nil {
		return err
	}
	return Protect(func() (err error) {
		defer func() { err = errors.Join(err, tx.Rollback()) }()
		return fn(tx)
	})
}

// Begin begins a write transaction. Its errors are as those of View.
func (db *DB) Begin() (*bolt.Tx, error) { return db.begin(true) }

func (db *DB) begin(writable bool) (*bolt.Tx, error) {
	for again := true; ; again = false {
		b := db.bolt.Load()
		tx, err := db.beginOn(b, writable)
		if !errors.Is(err, berrors.ErrInvalidMapping) || !again {
			return tx, err
		}
		if err := db.remap(b); err != nil {
			return nil, err
		}
	}
}

func (db *DB) beginOn(b *bolt.DB, writable bool) (tx *bolt.Tx, err error) {
	if db.stuck.Load() {
		return nil, errStuck
	}
	err = Protect(func() error {
		tx, err = b.Begin(writable)
		return err
	})
	if errors.Is(err, ErrBadPage) && !db.release(b, writable) {
		db.stuck.Store(true)
	}
	return tx, err
}

// Rollback ends a write transaction and ignores its changes.
func (db *DB) Rollback(tx *bolt.Tx) error {
	b := tx.DB()
	err := Protect(tx.Rollback)
	if errors.Is(err, ErrBadPage) && b != nil && !db.release(b, true) {
		db.stuck.Store(true)
	}
	return err
}

// remap opens the file again, if old, which has lost its map, is still in use.
func (db *DB) remap(old *bolt.DB) (err error) {
	db.remaps.Lock()
	defer db.remaps.Unlock()
	if db.bolt.Load() != old {
		return nil
	}
	if err := db.file.cutUnused(); err != nil {
		return fmt.Errorf("%w: %w", errUnmapped, err)
	}
	var handle *os.File
	options := db.options
	options.InitialMmapSize = 0
	options.OpenFile = func(string, int, os.FileMode) (_ *os.File, err error) {
		handle, err = duplicate(db.file.OS)
		return handle, err
	}
	err = Protect(func() error {
		b, err := bolt.Open(db.file.Path, 0, &options)
		if err == nil {
			db.bolt.Store(b)
			if db.copied != nil {
				_ = db.copied.Close() // everything was written through it, or has failed
			}
			db.copied = handle
		}
		return err
	})
	if err != nil {
		// bbolt has given up the lock, unless it failed before that.
		err = errors.Join(err, lock(db.file.OS, options.ReadOnly))
		return fmt.Errorf("%w: %w", errUnmapped, err)
	}
	return nil
}

// cutUnused cuts off the end of the file that is not used, if the file would need a larger
// map with it.
func (f *File) cutUnused() error {
	info, err := f.OS.Stat()
	if err != nil {
		return err
	}
	state, err := Inspect(f.OS)
	if err != nil {
		return err
	}
	if size := mapSize((int64(state.HighWater) + 1) * int64(state.PageSize)); size < info.Size() {
		return f.OS.Truncate(size)
	}
	return nil
}

// mapSize returns how many bytes bbolt maps of a file of size bytes.
func mapSize(size int64) int64 {
	const least, step = 32 << 10, 1 << 30
	if size > step {
		return (size + step - 1) / step * step
	}
	mapped := int64(least)
	for mapped < size {
		mapped *= 2
	}
	return mapped
}

// Outgrown returns the error of a commit that has failed with err on the given database.
// If the file could not be mapped, it says so and matches ENOMEM.
func (db *DB) Outgrown(b *bolt.DB, err error) error {
	unmapped := db.View(func(*bolt.Tx) error { return nil }) // maps the file again if it is not mapped
	if db.bolt.Load() == b && !errors.Is(unmapped, errUnmapped) {
		return err
	}
	return fmt.Errorf("the file has outgrown the address space that the process may have (ulimit -v): %w: %w", syscall.ENOMEM, err)
}

// Sync makes the file durable.
func (db *DB) Sync() error { return db.bolt.Load().Sync() }

// Close waits for the transactions and closes the file, which gives up the lock. It may be
// called more than once.
func (db *DB) Close() error {
	if db.stuck.Load() {
		err := errors.Join(unlock(db.file.OS), db.file.OS.Close())
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		return err
	}
	err := Protect(db.bolt.Load().Close)
	if closeErr := db.file.OS.Close(); !errors.Is(closeErr, os.ErrClosed) { // it was mapped again
		err = errors.Join(err, closeErr)
	}
	return err
}
