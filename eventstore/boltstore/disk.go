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
type disk struct {
	db       *bolt.DB
	file     *logfile.File
	readOnly bool
	logger   *slog.Logger
	commitTx func(*bolt.Tx) error // bbolt's Commit; tests make it fail

	seed record.Seed  // of the checksums in the file
	end  logfile.Head // of the log, after the last transaction that is on disk; used with the pen

	durableTx atomic.Int64  // id of the last transaction that is on disk
	failed    atomic.Bool   // an outcome was unknown: no more changes
	failure   chan struct{} // closed when failed is set
	closing   chan struct{} // closed when Close is called

	warnings []string // what Open found; not changed later
}

func openDisk(path string, opts Options) (*disk, error) {
	db, file, err := logfile.Open(path, logfile.OpenOptions{ReadOnly: opts.ReadOnly, LockTimeout: opts.LockTimeout})
	if err != nil {
		return nil, err
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
	switch {
	case d.readOnly:
		return eventstore.ErrReadOnly
	case d.failed.Load():
		return eventstore.ErrFailed
	}
	return nil
}

// readTx runs fn in a read transaction. Only the engine's own, short code runs in it
// (I7).
func (d *disk) readTx(fn func(*bolt.Tx) error) error {
	err := logfile.Protect(func() error { return d.db.View(fn) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return eventstore.ErrClosed
	}
	return err
}

// transact runs fn in a write transaction and makes it durable. fn advances end, the head of
// the log, if it appends records. On an error nothing of it is in the file, apart from
// ErrUnknownOutcome, after which the store takes no changes any more. Only the holder of the
// writer's pen may call it, or the only user of the file: Open, Close when the writer has
// ended, and Import.
func (d *disk) transact(fn func(tx *bolt.Tx, end *logfile.Head) error) error {
	if d.failed.Load() {
		return eventstore.ErrFailed
	}
	if err := d.file.InPlace(); err != nil {
		return fmt.Errorf("%w; its events can still be read: back them up (Store.Backup) before the store is closed", err)
	}
	tx, err := d.db.Begin(true)
	if err != nil {
		return err
	}
	end := d.end
	fill := func() error {
		if err := fn(tx, &end); err != nil {
			return err
		}
		return logfile.PutHead(tx, d.seed, end)
	}
	if err := logfile.Protect(fill); err != nil { // nothing was written yet
		if rollbackErr := logfile.Protect(tx.Rollback); rollbackErr != nil {
			return d.fail(errors.Join(err, rollbackErr))
		}
		return err
	}
	id := tx.ID()
	if err := logfile.Protect(func() error { return d.commitTx(tx) }); err != nil {
		if errors.Is(err, logfile.ErrBadPage) { // bbolt has not ended it
			if rollbackErr := logfile.Protect(tx.Rollback); rollbackErr != nil {
				return d.fail(errors.Join(err, rollbackErr))
			}
		}
		if d.mayBeNewest(id) {
			return d.fail(err)
		}
		return err
	}
	d.durableTx.Store(int64(id))
	d.end = end
	return nil
}

// mayBeNewest reports whether a transaction whose commit failed may be found by the
// next one that begins: its meta page is in the page cache, and may or may not reach
// the disk.
func (d *disk) mayBeNewest(id int) bool {
	newest := id
	err := d.readTx(func(tx *bolt.Tx) error {
		newest = tx.ID()
		return nil
	})
	return err != nil || newest >= id
}

// fail stops the store from taking changes, because the outcome of a transaction is
// unknown.
func (d *disk) fail(cause error) error {
	if d.failed.CompareAndSwap(false, true) {
		close(d.failure)
		if err := d.file.Doubt(); err != nil {
			cause = errors.Join(cause, err)
		}
	}
	return fmt.Errorf("%w: close and reopen the store, and send the commit again: %w", eventstore.ErrUnknownOutcome, cause)
}
