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

// SalvageOptions say how to salvage. Nil and zero values mean the defaults.
type SalvageOptions struct {
	// LockTimeout is how long Salvage waits for another opener to let go of
	// the damaged file before it returns ErrLocked; zero and less is 1 second.
	LockTimeout time.Duration
	// FileMode is that of the new file; the default is 0o600.
	FileMode fs.FileMode
	// Progress, if not nil, is called from time to time, on the goroutine of the caller
	// and with no transaction open.
	Progress func(eventstore.Progress)
}

// SalvageReport is what Salvage has saved, and what it has not.
type SalvageReport struct {
	// Events is how many events are in the new log, and Head the last position.
	Events int
	Head   eventstore.Position
	// Unlinked is how many of them the damaged file did not lead to any more:
	// they were found by looking at every page.
	Unlinked int
	// Through is the head that the damaged file had, if that can be told, else 0.
	Through eventstore.Position
	// Missing are the positions of which nothing was found: up to Through, or
	// else up to the end of the last commit of which something was.
	// MissingEvents is how many. They are ascending, and at most 10,000 ranges.
	Missing       []PositionRange
	MissingEvents uint64
	// Ambiguous are positions for which the file holds several records that are
	// whole, of which at most one can be the right one, and does not tell which.
	// The one that fits its neighbours was taken. At most 10,000.
	Ambiguous []eventstore.Position
	// Refused is how many records are whole but contradict their neighbours:
	// remains of transactions that failed, as a rule.
	Refused int
	// Leftover is how many records are whole but beyond Through: remains of
	// transactions that were never completed. They were not taken. They are
	// counted only if something was missing, so that every page was looked at.
	Leftover int
	// StoreID and Epoch are those of the new log. SameStore says that the id is
	// that of the damaged one, which could be read. The epoch is a higher one.
	StoreID   uuid.UUID
	Epoch     uint64
	SameStore bool
}

// PositionRange is the positions from First to Last, both included.
type PositionRange struct{ First, Last eventstore.Position }

// Salvage copies all events of a damaged log that are whole into a new one, and
// says what is missing. The damaged file is only read. The new one appears when
// it is complete, and must not be there before.
//
// Events are sought in two ways: by following the file's own tree of pages, as
// far as it leads; and, for the positions that this leaves open, by looking at
// every page, also when the pages that describe the file are gone or it was cut
// short. Each event has a checksum that covers its position too, so that what is
// found is what was written. A record beyond the head is not taken, for it was
// never acknowledged. Where the head is, the newer page that describes the file
// says. If one of these two pages is damaged, it may have been the newer one, and
// what follows the head of the other without a gap is taken, too. If the end of
// the log cannot be reached, all that is whole is.
//
// In the new log, reading comes to a [*eventstore.CorruptError] at a position
// that is missing; reads that do not come by it, and appends, work. Where the
// last events are missing, their positions are given to the next that are
// appended; the new epoch tells those who have seen the old ones. Read models are
// not copied, they are built anew.
//
// Salvage holds the lock of the damaged file where that can be opened at all. Its
// memory is bounded, but for the list of the ranges that are missing and a bit for
// each page. Errors a caller can match: fs.ErrNotExist, fs.ErrExist (there is a
// file at into), ErrLocked, ErrCorrupt (not one event was found), the context's
// and those of the file system.
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
