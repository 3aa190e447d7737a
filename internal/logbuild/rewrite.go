package logbuild

import (
	"context"
	"errors"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/viewfile"
)

// Source is an open, locked log file from which a new one is made.
type Source struct {
	db       *logfile.DB
	file     *logfile.File
	Identity logfile.Identity
}

// OpenSource opens the file with an exclusive lock. With readable, a file that is too
// damaged to be written, but can be read, is opened with a shared lock: other readers can
// then open it too. Errors are those of [logfile.Open] and [logfile.LoadIdentity]. A lockTimeout
// of zero or less means 1 second.
func OpenSource(path string, lockTimeout time.Duration, readable bool) (*Source, error) {
	opts := logfile.OpenOptions{LockTimeout: lockTimeout}
	db, f, err := logfile.Open(path, opts)
	if readable && errors.Is(err, eventstore.ErrCorrupt) {
		opts.ReadOnly = true
		db, f, err = logfile.Open(path, opts)
	}
	if err != nil {
		return nil, err
	}
	s := &Source{db: db, file: f}
	err = s.readTx(func(tx *pages.Tx) (err error) {
		s.Identity, err = logfile.LoadIdentity(tx)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close closes the file and gives up the lock. It may be called more than once.
func (s *Source) Close() error { return s.db.Close() }

// access returns the access to the file's records.
func (s *Source) access() logfile.Access {
	return logfile.Access{Usable: context.Context.Err, ReadTx: s.readTx}
}

// readTx runs fn in a read transaction.
func (s *Source) readTx(fn func(*pages.Tx) error) error {
	return s.db.View(func(tx *bolt.Tx) error { return fn(pages.View(tx)) })
}

// RewriteOptions are the options of Rewrite.
type RewriteOptions struct {
	LockTimeout time.Duration // zero or negative means 1 second
	Views       bool          // copy the views too
	Readable    bool          // see OpenSource
	// Progress, if not nil, is called after each page of records with the position of its
	// last record and the head, with no transaction open.
	Progress func(done, total eventstore.Position)
}

// RewriteResult is the result of Rewrite.
type RewriteResult struct {
	Head          eventstore.Position // of the last record
	Views, Rows   int                 // copied
	Before, After int64               // sizes of the files, in bytes
}

// Rewrite replaces the file at path by a new one with the same log. Everything in the new
// file is checked while it is copied, and the index is made from the records. Damage that
// keeps it from being copied matches ErrCorrupt; a damaged record is a
// [*eventstore.CorruptError]. After an error the old file is unchanged, with the exception
// that [Builder.Finish] names.
func Rewrite(ctx context.Context, path string, o RewriteOptions) (result RewriteResult, err error) {
	if path, err = logfile.Resolve(path); err != nil { // replace the file, not a link to it
		return RewriteResult{}, err
	}
	src, err := OpenSource(path, o.LockTimeout, o.Readable)
	if err != nil {
		return RewriteResult{}, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	b, err := New(path, Options{Identity: src.Identity, Mode: src.file.Info.Mode().Perm(), ExactMode: true, Replaces: src})
	if err != nil {
		return RewriteResult{}, err
	}
	defer func() { err = errors.Join(err, b.Abandon()) }()
	if result.Head, err = copyLog(ctx, src, b, o.Progress); err != nil {
		return RewriteResult{}, err
	}
	if o.Views {
		if result.Views, result.Rows, err = copyViews(ctx, src, b); err != nil {
			return RewriteResult{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return RewriteResult{}, err
	}
	if err := b.Finish(true); err != nil {
		return RewriteResult{}, err
	}
	result.Before = src.file.Info.Size()
	now, err := os.Stat(path)
	if err != nil {
		return RewriteResult{}, err
	}
	result.After = now.Size()
	return result, nil
}

// copyLog adds all records of the source, and returns its head.
func copyLog(ctx context.Context, src *Source, b *Builder, progress func(done, total eventstore.Position)) (head eventstore.Position, err error) {
	err = src.readTx(func(tx *pages.Tx) error {
		end, err := logfile.LoadHead(tx, src.Identity.Seed())
		head = end.Position
		return err
	})
	if err != nil {
		return 0, err
	}
	return head, logfile.CopyRecords(ctx, src.access(), 1, head, func(page *logfile.Page) error {
		for p, rec := range page.All() {
			if err := b.Add(p, rec); err != nil {
				return err
			}
		}
		if progress != nil {
			progress(page.Last(), head)
		}
		return nil
	})
}

// copyViews adds the views of the source that have a checkpoint. Rows without one remain
// of a view that was being dropped, and are left out.
func copyViews(ctx context.Context, src *Source, b *Builder) (views, rows int, err error) {
	checkpoints := make(map[eventstore.ViewID]eventstore.Checkpoint)
	err = src.readTx(func(tx *pages.Tx) error {
		return viewfile.ForEachCheckpoint(tx, src.Identity.Seed(), func(view eventstore.ViewID, c eventstore.Checkpoint, err error) error {
			checkpoints[view] = c
			return err
		})
	})
	if err != nil {
		return 0, 0, err
	}
	for view, checkpoint := range checkpoints {
		if err := b.addCheckpoint(view, checkpoint); err != nil {
			return 0, 0, err
		}
		n, err := copyRows(ctx, src, b, view)
		if err != nil {
			return 0, 0, err
		}
		rows += n
	}
	return len(checkpoints), rows, nil
}

// copyRows adds the rows of a view in pages, and returns how many. It compares them with
// the view's tally, if there is one.
func copyRows(ctx context.Context, src *Source, b *Builder, view eventstore.ViewID) (rows int, err error) {
	source := viewfile.NewCopier(viewfile.Of(src.Identity.Seed(), view))
	for !source.Done() {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		var page []viewfile.SealedRow
		err := src.readTx(func(tx *pages.Tx) (err error) {
			page, err = source.Next(tx)
			return err
		})
		if err != nil {
			return 0, err
		}
		if err := b.addRows(page); err != nil {
			return 0, err
		}
		rows += len(page)
	}
	return rows, source.Check()
}
