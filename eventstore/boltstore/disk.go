package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// disk is the open file: short read transactions, and durable write transactions. It
// is the lowest part of the engine; every other part has it.
//
// # Failed transactions
//
// Problem. A commit that fails may or may not survive: if its meta page was written and
// not synced, the operating system decides.
//
// Invariant. The outcome that a caller is told does not change later.
//
// Steps. After a failed commit, disk looks whether the transaction is the newest in the
// file. If it cannot be, the file is as before, and only this transaction has failed. If it
// may be, the outcome is unknown: the store has failed and takes no changes until it is
// opened again, which makes the newest transaction durable.
//
// # A file that others write to
//
// Problem. Another program may truncate or overwrite the open file: a shell's `>`, a log
// rotation, a backup copied over it. bbolt reads the file through a map and keeps the list
// of free pages in memory. So reads fault, or answer from another state, and a write
// continues a state that is not in the file.
//
// Invariant. A transaction is that of the last durable one, or, for a reader, of the one
// under way. Otherwise nothing is read or written.
//
// Steps. Each transaction compares its id. A write looks at the path, the size and the
// store's id too, and a read looks once more when it has ended. When a page cannot be used,
// disk looks for such a reason. If it finds one, the file is lost: the store takes no
// changes, and reads end with that error at once.
type disk struct {
	db       *logfile.DB
	file     *logfile.File
	identity logfile.Identity // of the log; set before the first write
	readOnly bool
	logger   *slog.Logger
	commitTx func(*bolt.Tx) error // bbolt's Commit; tests make it fail

	seed record.Seed  // of the checksums in the file
	end  logfile.Head // of the log, after the last transaction that is on disk; used with the pen

	durableTx atomic.Int64          // id of the last transaction that is on disk; 0: not known yet
	begunTx   atomic.Int64          // id of the last transaction whose commit has begun
	failed    atomic.Bool           // no more changes
	lost      atomic.Pointer[error] // why the file is lost; nil: it is not
	failure   chan struct{}         // closed when failed is set
	doubted   atomic.Bool           // a note was left beside the file
	closing   chan struct{}         // closed when Close is called

	warnings []string // what Open found; not changed later
	badRows  error    // not nil if the rows of views cannot be used; not changed later
}

func openDisk(path string, opts Options) (*disk, error) {
	db, file, err := logfile.Open(path, logfile.OpenOptions{ReadOnly: opts.ReadOnly, LockTimeout: opts.LockTimeout})
	if err != nil {
		return nil, err
	}
	for _, name := range file.Leftovers {
		opts.Logger.Info("removed an incomplete file that a killed process has left", "file", file.Path, "removed", name)
	}
	return &disk{
		db: db, file: file, readOnly: opts.ReadOnly, logger: opts.Logger, commitTx: (*bolt.Tx).Commit,
		failure: make(chan struct{}), closing: make(chan struct{}),
	}, nil
}

// access returns what the packages below read the file through.
func (d *disk) access() logfile.Access { return logfile.Access{Usable: d.usable, ReadTx: d.readTx} }

// warn notes something that Open found.
func (d *disk) warn(text string) {
	d.warnings = append(d.warnings, text)
	d.logger.Warn(text, "file", d.file.Path)
}

func (d *disk) isClosing() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

// usable returns the error of every call on a closed store or with an ended context.
func (d *disk) usable(ctx context.Context) error {
	if d.isClosing() {
		return eventstore.ErrClosed
	}
	return ctx.Err()
}

// takesChanges returns the error of every call that changes something on a store that
// takes no changes.
func (d *disk) takesChanges() error {
	switch lost := d.lost.Load(); {
	case d.readOnly:
		return eventstore.ErrReadOnly
	case lost != nil:
		return *lost
	case d.failed.Load():
		return eventstore.ErrFailed
	}
	return nil
}

// readTx runs use in a read transaction. Only the engine's own, short code runs in it
// (I7).
func (d *disk) readTx(use func(*pages.Tx) error) error {
	fn := func(tx *bolt.Tx) error { return use(pages.View(tx)) }
	if lost := d.lost.Load(); lost != nil {
		return *lost
	}
	durable := d.durableTx.Load()
	err := d.db.View(func(tx *bolt.Tx) error {
		if durable == 0 { // Open reads it
			return fn(tx)
		}
		seen, err := d.file.See(tx, durable, d.begunTx.Load(), d.identity)
		if err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		return seen.Still(d.begunTx.Load)
	})
	if err == nil {
		return nil
	}
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return eventstore.ErrClosed
	}
	return d.explain(err)
}

// explain returns the error of a transaction that has failed with err: if the file is
// lost, the reason for that.
func (d *disk) explain(err error) error {
	var lost *logfile.LostError
	switch {
	case errors.As(err, &lost):
		return d.lose(lost)
	case d.durableTx.Load() > 0: // bbolt has errors of its own for what a damaged file makes it do
		if overwritten := d.file.Overwritten(d.durableTx.Load()); overwritten != nil {
			return d.lose(overwritten)
		}
	}
	return err
}

// lose notes that the file is lost, and returns why.
func (d *disk) lose(why error) error {
	if d.lost.CompareAndSwap(nil, &why) {
		d.logger.Error("the file is lost", "error", why)
	}
	d.stop()
	return *d.lost.Load()
}

// stop makes the store take no more changes.
func (d *disk) stop() {
	if d.failed.CompareAndSwap(false, true) {
		close(d.failure)
	}
}

// transact runs fn in a write transaction and makes it durable. fn advances end, the head of
// the log, if it appends records. On an error nothing of it is in the file, apart from
// ErrUnknownOutcome, after which the store takes no changes any more. Only the holder of the
// writer's pen may call it, or the only user of the file: Open, Close when the writer has
// ended, and Import.
func (d *disk) transact(fn func(tx *pages.WriteTx, end *logfile.Head) error) error {
	tx, err := d.begin()
	if err != nil {
		return err
	}
	end := d.end
	fill := func() error {
		changes := pages.Write(tx)
		if err := d.file.EndsWith(changes.Before, d.seed, d.end); err != nil {
			return err
		}
		if err := fn(changes, &end); err != nil {
			return err
		}
		if err := logfile.PutHead(changes, d.seed, end); err != nil {
			return err
		}
		changes.CheckAgain()
		return nil
	}
	if err := logfile.Protect(fill); err != nil { // nothing was written yet
		return d.rollback(tx, err)
	}
	id, b := tx.ID(), tx.DB()
	d.begunTx.Store(int64(id))
	if err := logfile.Protect(func() error { return d.commitTx(tx) }); err != nil {
		if errors.Is(err, logfile.ErrBadPage) { // bbolt has not ended it
			if rollbackErr := d.db.Rollback(tx); rollbackErr != nil {
				return d.fail(errors.Join(err, rollbackErr))
			}
		}
		if d.mayBeNewest(id) {
			return d.fail(d.explain(err))
		}
		return d.explain(d.db.Outgrown(b, err))
	}
	if err := d.file.Kept(int64(id) - 1); err != nil { // the events went into a file that is lost
		return d.fail(d.lose(err))
	}
	d.durableTx.Store(int64(id))
	d.end = end
	return nil
}

// begin begins a write transaction that follows the last durable one.
func (d *disk) begin() (*bolt.Tx, error) {
	if err := d.takesChanges(); err != nil {
		return nil, err
	}
	if err := d.file.InPlace(); errors.As(err, new(*logfile.LostError)) {
		return nil, d.lose(err)
	} else if err != nil {
		return nil, fmt.Errorf("%w; its events can still be read: back them up (Store.Backup) before the store is closed", err)
	}
	tx, err := d.db.Begin()
	if err != nil {
		return nil, d.explain(err)
	}
	if err := logfile.Protect(func() error { return d.file.Follows(tx, d.durableTx.Load(), d.identity) }); err != nil {
		return nil, d.rollback(tx, err)
	}
	return tx, nil
}

// rollback ends a transaction that has written nothing, and returns its error.
func (d *disk) rollback(tx *bolt.Tx, err error) error {
	if rollbackErr := d.db.Rollback(tx); rollbackErr != nil {
		return d.fail(errors.Join(err, rollbackErr))
	}
	return d.explain(err)
}

// mayBeNewest reports whether a transaction whose commit failed may be found by the
// next one that begins: its meta page is in the page cache, and may or may not reach
// the disk.
func (d *disk) mayBeNewest(id int) bool {
	state, err := logfile.Inspect(d.file.OS)
	newest := int(state.TxID)
	if err != nil { // the map may still have what cannot be read
		err = d.readTx(func(tx *pages.Tx) error {
			newest = tx.ID()
			return nil
		})
	}
	return err != nil || newest >= id
}

// fail stops the store from taking changes, because the outcome of a transaction is
// unknown.
func (d *disk) fail(cause error) error {
	d.stop()
	if d.doubted.CompareAndSwap(false, true) {
		if err := d.file.Doubt(); err != nil {
			cause = errors.Join(cause, err)
		}
	}
	return fmt.Errorf("%w: close and reopen the store, and send the commit again: %w", eventstore.ErrUnknownOutcome, cause)
}
