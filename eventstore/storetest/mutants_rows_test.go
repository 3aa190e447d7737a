package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
)

func rowMutants() []mutant {
	return slices.Concat(rowReadMutants(), rowCommitMutants(), rowStoreMutants())
}

// rowReadMutants return other rows, or another checkpoint with them.
func rowReadMutants() []mutant {
	return []mutant{
		getting("rows", "rows come in the order of the store", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error) {
			set, err := s.GetRows(ctx, view, keys...)
			slices.SortFunc(set.Rows, func(a, b eventstore.Row) int { return bytes.Compare(a.Key, b.Key) })
			return set, err
		}),
		getting("rows", "a row that is not there is left out", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error) {
			set, err := s.GetRows(ctx, view, keys...)
			set.Rows = slices.DeleteFunc(set.Rows, func(r eventstore.Row) bool { return r.Value == nil })
			return set, err
		}),
		getting("rows", "the checkpoint is read before the rows", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error) {
			before := now(s, view)
			time.Sleep(time.Millisecond)
			set, err := s.GetRows(ctx, view, keys...)
			if err == nil && len(keys) > 10 {
				set.Checkpoint = before
			}
			return set, err
		}),
		showing("rows", "a view that is not there is at position 0", func(_ eventstore.ViewID, set *eventstore.RowSet) {
			if set.Checkpoint.IsZero() {
				set.Checkpoint.Data = []byte("none")
			}
		}),
		scanning("rows", "pages have the checkpoint of the scan's start", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
			was := now(s, view)
			time.Sleep(time.Millisecond)
			return changedPages(s.ScanRows(ctx, view, scan), func(page *eventstore.RowSet) { page.Checkpoint = was })
		}),
		scanning("rows", "the bounds of a scan are kept", func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
			return func(yield func(eventstore.RowSet, error) bool) { s.ScanRows(ctx, view, scan)(yield) }
		}),
		{"rows", "rows that are returned are the store's own", rowsCached},
	}
}

// rowCommitMutants commit other rows than they were given.
func rowCommitMutants() []mutant {
	return []mutant{
		committing("rows", "a row that is there is kept", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			c.Rows = slices.DeleteFunc(slices.Clone(c.Rows), func(r eventstore.Row) bool {
				set, err := s.GetRows(ctx, c.View, r.RowKey)
				return err == nil && r.Value != nil && set.Rows[0].Value != nil
			})
			return s.CommitRows(ctx, c)
		}),
		committingRows("rows", "a nil value is put as an empty one", func(rows []eventstore.Row) []eventstore.Row {
			for i := range rows {
				rows[i].Value = append([]byte{}, rows[i].Value...)
			}
			return rows
		}),
		committingRows("rows", "an empty value deletes", func(rows []eventstore.Row) []eventstore.Row {
			for i := range rows {
				rows[i].Value = append([]byte(nil), rows[i].Value...)
			}
			return rows
		}),
		committingRows("rows", "values are text", func(rows []eventstore.Row) []eventstore.Row {
			for i := range rows {
				if rows[i].Value != nil {
					rows[i].Value = append([]byte{}, bytes.ToValidUTF8(rows[i].Value, []byte("?"))...)
				}
			}
			return rows
		}),
		committingRows("rows", "of two rows with the same key the first counts", func(rows []eventstore.Row) []eventstore.Row {
			slices.Reverse(rows)
			return rows
		}),
		{"rows", "rows that are passed in are kept", rowsKept},
		committing("rows", "a commit of rows is an event", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			err := s.CommitRows(ctx, c)
			if err == nil {
				_, err = s.Append(ctx, unconditional(event("", "rows")))
			}
			return err
		}),
		committing("rows", "an invalid commit is ignored", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			return unless(s.CommitRows(ctx, c), eventstore.ErrInvalid)
		}),
	}
}

// rowStoreMutants take one table, view, key or state of the store for another.
func rowStoreMutants() []mutant {
	return []mutant{
		{"rows", "tables ignore case", tablesIgnoreCase},
		{"rows", "views ignore case", viewsIgnoreCase},
		{"rows", "table and key are run together", tableAndKeyTogether},
		{"rows", "contexts are ignored", contextsIgnored},
		{"rows", "a closed store answers", rowsAfterClose},
		reopeningRows("rows", "reopening loses the checkpoints", func(f *faults) {
			f.set = func(_ eventstore.ViewID, set *eventstore.RowSet) { set.Checkpoint = eventstore.Checkpoint{} }
		}),
		readOnlyWrites("rows"),
	}
}

func rowLimitMutants() []mutant {
	return []mutant{
		committingRows("row limits", "a commit keeps 10,000 rows", func(rows []eventstore.Row) []eventstore.Row { return rows[:min(len(rows), 10_000)] }),
		committing("row limits", "a commit that is too large is ignored", func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
			return unless(s.CommitRows(ctx, c), eventstore.ErrTooLarge)
		}),
		{"row limits", "keys may be longer than the standard", func(f *faults) {
			f.info = func(s eventstore.Store) eventstore.Info {
				info := s.Info()
				info.Limits.RowKeyBytes *= 2
				return info
			}
		}},
	}
}

// unless returns err, or nil if it matches ignored.
func unless(err, ignored error) error {
	if errors.Is(err, ignored) {
		return nil
	}
	return err
}

func tablesIgnoreCase(f *faults) {
	f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
		c.Rows = slices.Clone(c.Rows)
		for i := range c.Rows {
			c.Rows[i].Table = strings.ToLower(c.Rows[i].Table)
		}
		return s.CommitRows(ctx, c)
	}
	f.scanRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
		scan.Table = strings.ToLower(scan.Table)
		return s.ScanRows(ctx, view, scan)
	}
}

func viewsIgnoreCase(f *faults) {
	lower := func(view eventstore.ViewID) eventstore.ViewID {
		return eventstore.ViewID(strings.ToLower(string(view)))
	}
	f.getRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error) {
		return s.GetRows(ctx, lower(view), keys...)
	}
	f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
		c.View = lower(c.View)
		return s.CommitRows(ctx, c)
	}
}

// tableAndKeyTogether keeps all rows in one table under table and key.
func tableAndKeyTogether(f *faults) {
	join := func(key eventstore.RowKey) eventstore.RowKey {
		return rowKey("all", key.Table+string(key.Key))
	}
	f.getRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error) {
		joined := make([]eventstore.RowKey, len(keys))
		for i, key := range keys {
			joined[i] = join(key)
		}
		set, err := s.GetRows(ctx, view, joined...)
		for i := range set.Rows {
			set.Rows[i].RowKey = keys[i]
		}
		return set, err
	}
	f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
		c.Rows = slices.Clone(c.Rows)
		for i := range c.Rows {
			c.Rows[i].RowKey = join(c.Rows[i].RowKey)
		}
		return s.CommitRows(ctx, c)
	}
	f.scanRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
		return changedPages(s.ScanRows(ctx, view, eventstore.PrefixScan("all", []byte(scan.Table))), func(page *eventstore.RowSet) {
			for i := range page.Rows {
				page.Rows[i].RowKey = rowKey(scan.Table, string(page.Rows[i].Key[len(scan.Table):]))
			}
		})
	}
}

// rowsCached returns what GetRows returned before, until the next commit.
func rowsCached(f *faults) {
	var mu sync.Mutex
	cache := make(map[string]eventstore.RowSet)
	f.getRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error) {
		mu.Lock()
		defer mu.Unlock()
		name := fmt.Sprint(view, keys)
		if set, ok := cache[name]; ok {
			return set, nil
		}
		set, err := s.GetRows(ctx, view, keys...)
		if err == nil {
			cache[name] = set
		}
		return set, err
	}
	f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
		mu.Lock()
		defer mu.Unlock()
		err := s.CommitRows(ctx, c)
		if err == nil {
			clear(cache)
		}
		return err
	}
}

// rowsKept commits the caller's rows of the last commit again at each scan.
func rowsKept(f *faults) {
	var kept atomic.Pointer[eventstore.RowCommit]
	f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
		kept.Store(&c)
		return s.CommitRows(ctx, c)
	}
	f.scanRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
		if last := kept.Load(); last != nil && last.View == view {
			is := now(s, view)
			_ = s.CommitRows(ctx, eventstore.RowCommit{View: view, Expected: is, Checkpoint: is, Rows: last.Rows})
		}
		return s.ScanRows(ctx, view, scan)
	}
}

func contextsIgnored(f *faults) {
	none := context.Background()
	f.getRows = func(s eventstore.RowStore, _ context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error) {
		return s.GetRows(none, view, keys...)
	}
	f.scanRows = func(s eventstore.RowStore, _ context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
		return s.ScanRows(none, view, scan)
	}
}

// rowsAfterClose ignores that the store is closed.
func rowsAfterClose(f *faults) {
	f.getRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, keys []eventstore.RowKey) (eventstore.RowSet, error) {
		return s.(*memory).log.GetRows(ctx, view, keys...)
	}
	f.scanRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error] {
		return s.(*memory).log.ScanRows(ctx, view, scan)
	}
	f.commitRows = func(s eventstore.RowStore, ctx context.Context, c eventstore.RowCommit) error {
		return s.(*memory).log.CommitRows(ctx, c)
	}
	f.checkpoints = func(s eventstore.RowStore, ctx context.Context) (map[eventstore.ViewID]eventstore.Checkpoint, error) {
		return s.(*memory).log.Checkpoints(ctx)
	}
	f.dropRows = func(s eventstore.RowStore, ctx context.Context, view eventstore.ViewID, limit int) (bool, error) {
		return s.(*memory).log.DropRows(ctx, view, limit)
	}
	f.attach = func(s eventstore.RowStore, ctx context.Context, v eventstore.InlineView) error {
		return s.(*memory).log.Attach(ctx, v)
	}
}
