package boltstore

import (
	"context"
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logbuild"
	"github.com/yore-es/yore/internal/progress"
)

// CompactOptions are the options of Compact. Nil and zero values mean the defaults.
type CompactOptions struct {
	// LockTimeout is how long to wait for another opener to close the file before
	// ErrLocked. Zero or negative means 1 second.
	LockTimeout time.Duration
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// CompactReport is the result of Compact.
type CompactReport struct {
	// Head is the position of the last event.
	Head eventstore.Position
	// Views and Rows are the numbers of views and rows copied.
	Views, Rows int
	// Before and After are the sizes of the old and the new file, in bytes.
	Before, After int64
}

// Compact rewrites the file of a log without the free pages that changed rows and dropped
// views have left: it copies what is in use into a new file, which replaces the old one
// in one step. No other opener may have the file open. The disk must have room for both
// files.
//
// Everything is checked while it is copied: each record and its place after the one before,
// each row and checkpoint. The index is made from the records. A log with any damage is not
// compacted and stays unchanged: a damaged record is a [*eventstore.CorruptError], and rows
// match ErrCorrupt too. [Reindex] repairs rows, [Salvage] records.
//
// Store id, epoch and the file's mode stay. The new file belongs to the calling user.
//
// After an error the old file is unchanged, with one exception, which the error says: the
// directory could not be synced. Other errors a caller can match: ErrLocked, ErrFormat, the
// context's, and those of the file system.
func Compact(ctx context.Context, path string, o *CompactOptions) (CompactReport, error) {
	var opts CompactOptions
	if o != nil {
		opts = *o
	}
	result, err := logbuild.Rewrite(ctx, path, logbuild.RewriteOptions{LockTimeout: opts.LockTimeout, Views: true, Progress: progress.Reporter(0, opts.Progress)})
	if err != nil {
		return CompactReport{}, fmt.Errorf("compact %s: %w", path, err)
	}
	return CompactReport{
		Head: result.Head, Views: result.Views, Rows: result.Rows,
		Before: result.Before, After: result.After,
	}, nil
}

// ReindexOptions are the options of Reindex. Nil and zero values mean the defaults.
type ReindexOptions struct {
	// KeepViews copies and checks the rows and checkpoints of views. Without it they are
	// left out.
	KeepViews bool
	// LockTimeout is how long to wait for another opener to close the file before
	// ErrLocked. Zero or negative means 1 second.
	LockTimeout time.Duration
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// ReindexReport is the result of Reindex.
type ReindexReport struct {
	// Head is the position of the last event.
	Head eventstore.Position
	// Views and Rows are the numbers of views and rows kept; 0 without KeepViews.
	Views, Rows int
}

// Reindex rebuilds the derived data in a log's file: it copies the records into a new file,
// makes the index from them, leaves out the views, and replaces the old file in one step. No
// other opener may have the file open. The disk must have room
// for both files. Views are rebuilt from the first event when they are next run or attached.
//
// It reads nothing of the old file but the log and the file's description. So it repairs
// damage anywhere else: in the index, in rows and checkpoints, in the list of free pages. A
// damaged record is a [*eventstore.CorruptError], and nothing is changed; [Restore] or
// [Salvage] help then.
//
// Store id, epoch and the file's mode stay. The new file belongs to the calling user.
//
// After an error the old file is unchanged, with one exception, which the error says: the
// directory could not be synced. Other errors a caller can match: ErrLocked, ErrFormat,
// ErrCorrupt (with KeepViews, also for rows), the context's, and those of the file system.
func Reindex(ctx context.Context, path string, o *ReindexOptions) (ReindexReport, error) {
	var opts ReindexOptions
	if o != nil {
		opts = *o
	}
	result, err := logbuild.Rewrite(ctx, path, logbuild.RewriteOptions{
		LockTimeout: opts.LockTimeout, Views: opts.KeepViews, Readable: true, Progress: progress.Reporter(0, opts.Progress),
	})
	if err != nil {
		return ReindexReport{}, fmt.Errorf("reindex %s: %w", path, err)
	}
	return ReindexReport{Head: result.Head, Views: result.Views, Rows: result.Rows}, nil
}
