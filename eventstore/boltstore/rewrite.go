package boltstore

import (
	"context"
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logbuild"
	"github.com/yore-es/yore/internal/progress"
)

// CompactOptions say how to compact. Nil and zero values mean the defaults.
type CompactOptions struct {
	// LockTimeout is how long to wait for another opener to let go of the file;
	// zero and less is 1 second.
	LockTimeout time.Duration
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// CompactReport is the outcome of Compact.
type CompactReport struct {
	// Head is the position of the last event.
	Head eventstore.Position
	// Views and Rows are how many were copied.
	Views, Rows int
	// Before and After are the sizes of the file, in bytes.
	Before, After int64
}

// Compact makes the file of a log that nobody has open as small as it can be. Rows
// that were changed and views that were dropped leave pages behind, which the
// file keeps for later; here all that is in use is copied into a new file, which
// then takes the place of the old one in one step. So there is room needed for
// both.
//
// Everything is checked on the way: all records and what may follow what, all
// rows and checkpoints. The index is not copied but made from the records. A log
// of which anything is damaged is not compacted, and stays as it is: a damaged
// record is a [*eventstore.CorruptError], rows match ErrCorrupt too. [Reindex]
// helps where it is rows, [Salvage] where it is records.
//
// Store id and epoch stay; so does the file's mode, not its owner: do it as the
// user whose file it is.
//
// After an error the old file is there as it was, with one exception, which says
// so. Other errors a caller can match: ErrLocked, ErrFormat, the context's, and
// those of the file system.
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

// ReindexOptions say how to reindex. Nil and zero values mean the defaults.
type ReindexOptions struct {
	// KeepViews copies rows and checkpoints, and checks them, instead of leaving
	// them out.
	KeepViews bool
	// LockTimeout is how long to wait for another opener to let go of the file;
	// zero and less is 1 second.
	LockTimeout time.Duration
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// ReindexReport is the outcome of Reindex.
type ReindexReport struct {
	// Head is the position of the last event.
	Head eventstore.Position
	// Views and Rows are how many were kept.
	Views, Rows int
}

// Reindex makes anew all that is derived from the log, in the file of a log that
// nobody has open: it copies the records into a new file, makes the index from
// them, leaves the views out, and puts the new file in the place of the old one in
// one step. There is room needed for both. Views are built again from the first
// event when they are next run or attached.
//
// It needs nothing of the old file but the log and what the file says of itself.
// So it is the remedy for whatever else is damaged: index, rows, checkpoints, the
// list of free pages. Where a record is damaged, it changes nothing and returns a
// [*eventstore.CorruptError]; there [Restore] helps, or [Salvage].
//
// Store id and epoch stay; so does the file's mode, not its owner: do it as the
// user whose file it is.
//
// After an error the old file is there as it was, with one exception, which says
// so. Other errors a caller can match: ErrLocked, ErrFormat, ErrCorrupt (also,
// with KeepViews, for rows), the context's, and those of the file system.
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
