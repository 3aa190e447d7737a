package boltstore

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/progress"
	"github.com/yore-es/yore/internal/salvage"
)

// SalvageOptions are the options of Salvage. Nil and zero values mean the defaults.
type SalvageOptions struct {
	// LockTimeout is how long to wait for another opener to close the damaged file before
	// ErrLocked. Zero or negative means 1 second.
	LockTimeout time.Duration
	// FileMode is the permissions of the new file, before the umask. Zero means 0o600.
	FileMode fs.FileMode
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// SalvageReport is the result of Salvage: the events that were saved, and those that are
// missing.
type SalvageReport struct {
	// Events is the number of events in the new log, and Head its last position.
	Events int
	Head   eventstore.Position
	// Unlinked is the number of these events that the tree of pages did not lead to. They
	// were found by looking at every page.
	Unlinked int
	// Through is the head of the damaged file, 0 if it is not known.
	Through eventstore.Position
	// Missing are the ranges of positions without an event up to Through, or if Through is
	// 0 up to the end of the last commit that has an event left. They ascend, and are at
	// most 10,000. MissingEvents is the number of all missing positions.
	Missing       []PositionRange
	MissingEvents uint64
	// Ambiguous are positions for which the file holds several different whole records. At
	// most one is the right one; the one that fits its neighbours was taken. They are at
	// most 10,000.
	Ambiguous []eventstore.Position
	// Refused is the number of whole records that contradict their neighbours. They are
	// usually left by transactions that failed.
	Refused int
	// Leftover is the number of whole records beyond Through, which are left by
	// transactions that were never completed. They were not taken, and are counted only if
	// every page was looked at.
	Leftover int
	// StoreID and Epoch are those of the new log. SameStore reports whether the damaged
	// file's store id could be read, so that StoreID is the same. The epoch is a new one.
	StoreID   uuid.UUID
	Epoch     uint64
	SameStore bool
}

// PositionRange is the positions from First to Last, both included.
type PositionRange struct{ First, Last eventstore.Position }

// Salvage copies all whole events of a damaged log into a new log at into, and reports what
// is missing. It only reads the damaged file. The new file appears when it is complete; a
// file at into is an error.
//
// Salvage looks for events in two ways. It follows the tree of pages as far as that leads.
// For the positions that remain, it looks at every page, even if the pages that describe the
// file are gone or the file was cut short. The checksum of each event covers its position,
// so an event that is found is an event that was written. A record beyond the head is left
// out, since it was never acknowledged. The newer of two pages says where the head is; if
// one of the two is damaged it may have been the newer one, and the records that follow the
// other's head without a gap are taken too. If the end of the log cannot be reached, all
// whole records are taken.
//
// In the new log, a read that reaches a missing position ends with a
// [*eventstore.CorruptError]; other reads, and appends, work. If the last events are
// missing, later appends get their positions; the new epoch reveals that to consumers that
// have seen the old events. Read models are not copied; they are rebuilt.
//
// Salvage locks the damaged file if it can be opened. Its memory is bounded, apart from the
// list of missing ranges and a bit for each page. Errors a caller can match: fs.ErrNotExist,
// fs.ErrExist (a file is at into), ErrLocked, ErrFormat (the file is of an older format),
// ErrCorrupt (no event was found), the context's and those of the file system.
func Salvage(ctx context.Context, damaged, into string, o *SalvageOptions) (SalvageReport, error) {
	var opts salvage.Options
	if o != nil {
		opts = salvage.Options{LockTimeout: o.LockTimeout, FileMode: o.FileMode, Progress: progress.Reporter(0, o.Progress)}
	}
	result, err := salvage.Run(ctx, damaged, into, opts)
	if err != nil {
		return SalvageReport{}, fmt.Errorf("salvage %s: %w", damaged, err)
	}
	return salvageReportOf(result), nil
}

// salvageReportOf returns a result as a caller knows it.
func salvageReportOf(r salvage.Result) SalvageReport {
	s := SalvageReport{
		Events: r.Events, Head: r.Head, Unlinked: r.Unlinked, Through: r.Through,
		MissingEvents: r.MissingEvents, Ambiguous: r.Ambiguous, Refused: r.Refused, Leftover: r.Leftover,
		StoreID: r.StoreID, Epoch: r.Epoch, SameStore: r.SameStore,
	}
	for _, missing := range r.Missing {
		s.Missing = append(s.Missing, PositionRange(missing))
	}
	return s
}
