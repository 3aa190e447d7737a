package storetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

func scanMutants() []mutant {
	return slices.Concat(scanBoundMutants(), scanPageMutants(), scanLoopMutants())
}

// scanBoundMutants take the bounds of a scan for others.
func scanBoundMutants() []mutant {
	return []mutant{
		scanningFor("From is exclusive", func(scan *eventstore.RowScan) {
			if len(scan.From) > 0 {
				scan.From = append(bytes.Clone(scan.From), 0)
			}
		}),
		scanningFor("To is inclusive", func(scan *eventstore.RowScan) {
			if len(scan.To) > 0 {
				scan.To = append(bytes.Clone(scan.To), 0)
			}
		}),
		scanningFor("To is ignored", func(scan *eventstore.RowScan) { scan.To = nil }),
		scanningFor("backward, To is inclusive", func(scan *eventstore.RowScan) {
			if scan.Backward && len(scan.To) > 0 {
				scan.To = append(bytes.Clone(scan.To), 0)
			}
		}),
		scanningFor("backward, the table's last key is left out", func(scan *eventstore.RowScan) {
			if scan.Backward && len(scan.To) == 0 {
				scan.To = []byte("\xff\xff")
			}
		}),
		scanningFor("bounds in the wrong order are swapped", func(scan *eventstore.RowScan) {
			if len(scan.To) > 0 && bytes.Compare(scan.To, scan.From) < 0 {
				scan.From, scan.To = scan.To, scan.From
			}
		}),
		scanningFor("bounds are cut to the length of a key", func(scan *eventstore.RowScan) {
			most := eventstore.StandardLimits().RowKeyBytes
			scan.From, scan.To = scan.From[:min(len(scan.From), most)], scan.To[:min(len(scan.To), most)]
		}),
		scanningFor("no end is before 0xff", func(scan *eventstore.RowScan) {
			if len(scan.To) == 0 {
				scan.To = []byte{0xff}
			}
		}),
	}
}

// scanPageMutants yield other rows or pages than the scan asks for.
func scanPageMutants() []mutant {
	return []mutant{
		scanning("scans", "keys are ordered by their length first", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
			return changedPages(s.ScanRows(ctx, view, scan), func(page *eventstore.RowSet) {
				slices.SortStableFunc(page.Rows, func(a, b eventstore.Row) int { return cmp.Compare(len(a.Key), len(b.Key)) })
			})
		}),
		scanningFor("Limit is one too many", func(scan *eventstore.RowScan) {
			if scan.Limit > 0 {
				scan.Limit++
			}
		}),
		scanningFor("Limit is for one page", func(scan *eventstore.RowScan) {
			if scan.Limit > 256 {
				scan.Limit = 0
			}
		}),
		scanningFor("a negative Limit is none", func(scan *eventstore.RowScan) { scan.Limit = max(0, scan.Limit) }),
		scanning("scans", "a page without rows is not shown", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
			return func(yield func(eventstore.RowSet, error) bool) {
				for page, err := range s.ScanRows(ctx, view, scan) {
					if (err != nil || len(page.Rows) > 0) && !yield(page, err) {
						return
					}
				}
			}
		}),
		scanning("scans", "the last row of a page is lost", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
			return changedPages(s.ScanRows(ctx, view, scan), func(page *eventstore.RowSet) {
				page.Rows = page.Rows[:min(len(page.Rows), 255)]
			})
		}),
		scanning("scans", "the next key after a page is passed over", nextKeyPassedOver),
		scanning("scans", "a scan is one page", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
			return func(yield func(eventstore.RowSet, error) bool) {
				pages, err := snapshotOf(s, ctx, view, scan)
				if err != nil {
					yield(eventstore.RowSet{}, err)
					return
				}
				for _, page := range pages[1:] {
					pages[0].Rows = append(pages[0].Rows, page.Rows...)
				}
				yield(pages[0], nil)
			}
		}),
	}
}

// nextKeyPassedOver goes on after a page with the key and two NULs.
func nextKeyPassedOver(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
	var last []byte
	return changedPages(s.ScanRows(ctx, view, scan), func(page *eventstore.RowSet) {
		if len(page.Rows) > 0 && last != nil && bytes.Equal(page.Rows[0].Key, append(last, 0)) {
			page.Rows = page.Rows[1:]
		}
		if len(page.Rows) > 0 {
			last = bytes.Clone(page.Rows[len(page.Rows)-1].Key)
		}
	})
}

// scanLoopMutants see the wrong commits while a scan is ranged over, or keep others
// out.
func scanLoopMutants() []mutant {
	return []mutant{
		scanning("scans", "a scan is a snapshot", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
			return func(yield func(eventstore.RowSet, error) bool) {
				pages, err := snapshotOf(s, ctx, view, scan)
				for _, page := range pages {
					if !yield(page, nil) {
						return
					}
				}
				if err != nil {
					yield(eventstore.RowSet{}, err)
				}
			}
		}),
		scanning("scans", "pages are found by counting", pagesByCount),
		scanning("scans", "a sequence is used up", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
			used := false
			seq := s.ScanRows(ctx, view, scan)
			return func(yield func(eventstore.RowSet, error) bool) {
				if used {
					yield(eventstore.RowSet{}, errors.New("used up"))
					return
				}
				used = true
				seq(yield)
			}
		}),
		{"scans", "a lock is held in the loop", func(f *faults) { lockedScans(f, false) }},
		{"scans", "break leaves a lock", func(f *faults) { lockedScans(f, true) }},
	}
}

func snapshotOf(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) (pages []eventstore.RowSet, err error) {
	for page, err := range s.ScanRows(ctx, view, scan) {
		if err != nil {
			return pages, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// pagesByCount begins a page after the number of rows that it has yielded.
func pagesByCount(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
	const size = 200
	return func(yield func(eventstore.RowSet, error) bool) {
		for shown := 0; ; shown += size {
			pages, err := snapshotOf(s, ctx, view, scan)
			if err != nil {
				yield(eventstore.RowSet{}, err)
				return
			}
			var rows []eventstore.Row
			for _, page := range pages {
				rows = append(rows, page.Rows...)
			}
			rest := rows[min(shown, len(rows)):]
			page := eventstore.RowSet{Rows: rest[:min(size, len(rest))], Checkpoint: pages[0].Checkpoint}
			if shown > 0 && len(page.Rows) == 0 || !yield(page, nil) {
				return
			}
		}
	}
}

// lockedScans blocks writers while a scan is ranged over. If left is true it blocks
// them only, and for ever, after a scan that was left early.
func lockedScans(f *faults, left bool) {
	var mu sync.RWMutex
	f.scanRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
		return func(yield func(eventstore.RowSet, error) bool) {
			unlock := func() {}
			for page, err := range s.ScanRows(ctx, view, scan) {
				if !left {
					mu.RLock()
					unlock = mu.RUnlock
				}
				more := yield(page, err)
				unlock()
				if !more {
					if left {
						mu.RLock()
					}
					return
				}
			}
		}
	}
	f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
		mu.Lock()
		defer mu.Unlock()
		return s.CommitRows(ctx, c)
	}
}
