package boltstore_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// rewriter is Compact or Reindex, which are one mechanism.
type rewriter func(ctx context.Context, path string, timeout time.Duration, progress func(eventstore.Progress)) error

var rewriters = map[string]rewriter{
	"compact": func(ctx context.Context, path string, timeout time.Duration, progress func(eventstore.Progress)) error {
		_, err := boltstore.Compact(ctx, path, &boltstore.CompactOptions{LockTimeout: timeout, Progress: progress})
		return err
	},
	"reindex": func(ctx context.Context, path string, timeout time.Duration, progress func(eventstore.Progress)) error {
		_, err := boltstore.Reindex(ctx, path, &boltstore.ReindexOptions{LockTimeout: timeout, Progress: progress})
		return err
	},
	"reindex with views": func(ctx context.Context, path string, timeout time.Duration, progress func(eventstore.Progress)) error {
		_, err := boltstore.Reindex(ctx, path, &boltstore.ReindexOptions{LockTimeout: timeout, Progress: progress, KeepViews: true})
		return err
	},
}

// at returns a checkpoint that differs for each i; the zero one for 0.
func at(i int) eventstore.Checkpoint {
	if i == 0 {
		return eventstore.Checkpoint{}
	}
	return eventstore.Checkpoint{Position: 1, Data: fmt.Append(nil, i)}
}

// writeRows writes rows of a new view in small commits. rows is a multiple of 50.
func writeRows(t *testing.T, s *boltstore.Store, view eventstore.ViewID, rows int) {
	t.Helper()
	for i := range rows / 50 {
		commit := eventstore.RowCommit{View: view, Expected: at(i), Checkpoint: at(i + 1)}
		for j := range 50 {
			commit.Rows = append(commit.Rows, eventstore.Row{
				RowKey: eventstore.RowKey{Table: fmt.Sprint("table-", j%3), Key: fmt.Appendf(nil, "%04d", 50*i+j)},
				Value:  bytes.Repeat([]byte{byte(i)}, 100+i),
			})
		}
		require.NoError(t, s.CommitRows(t.Context(), commit))
	}
}

// viewContent returns the checkpoint and the rows of a view.
func viewContent(t *testing.T, s *boltstore.Store, view eventstore.ViewID) (content []string) {
	t.Helper()
	checkpoints, err := s.Checkpoints(t.Context())
	require.NoError(t, err)
	content = append(content, checkpoints[view].String(), string(checkpoints[view].Data))
	for i := range 3 {
		for page, err := range s.ScanRows(t.Context(), view, eventstore.RowScan{Table: fmt.Sprint("table-", i)}) {
			require.NoError(t, err)
			for _, row := range page.Rows {
				content = append(content, fmt.Sprintf("%s %s %x", row.Table, row.Key, row.Value))
			}
		}
	}
	return content
}

// logWithViews makes a log with a view of 1,000 rows, a view with a fault and no rows, and one
// that is being dropped.
func logWithViews(t *testing.T, commits int) string {
	t.Helper()
	path := logPath(t)
	withLog(t, path, func(s *boltstore.Store) {
		fill(t, s, commits)
		writeRows(t, s, "sales", 1000)
		require.NoError(t, s.CommitRows(t.Context(), eventstore.RowCommit{
			View:       "faulted",
			Checkpoint: eventstore.Checkpoint{Position: 2, Fault: &eventstore.Fault{Position: 3, Type: "t", Reason: "it did not fit"}},
		}))
		writeRows(t, s, "dropped", 100)
		more, err := s.DropRows(t.Context(), "dropped", 30)
		require.NoError(t, err)
		require.True(t, more)
	})
	return path
}

// changeALargeRow leaves free pages behind: it writes a row of a megabyte again and
// again.
func changeALargeRow(t *testing.T, s *boltstore.Store) {
	t.Helper()
	for i := range 30 {
		require.NoError(t, s.CommitRows(t.Context(), eventstore.RowCommit{View: "large", Expected: at(i), Checkpoint: at(i + 1), Rows: []eventstore.Row{
			{RowKey: eventstore.RowKey{Table: "table-1", Key: []byte("k")}, Value: bytes.Repeat([]byte{byte(i)}, 1<<20+i<<16)},
		}}))
	}
}

func TestCompact_KeepsAllButTheSpace(t *testing.T) {
	path := logWithViews(t, 60)
	require.NoError(t, os.Chmod(path, 0o640))
	var before []eventstore.Event
	var rows, faulted []string
	var info eventstore.Info
	withLog(t, path, func(s *boltstore.Store) {
		_, err := eventstore.AppendTo(t.Context(), s, "large", eventstore.Any, eventstore.NewEvent{Type: "t", Data: make([]byte, 3<<20)})
		require.NoError(t, err)
		changeALargeRow(t, s)
		before, rows, faulted, info = all(t, s), viewContent(t, s, "sales"), viewContent(t, s, "faulted"), s.Info()
	})
	sizeBefore, err := os.Stat(path)
	require.NoError(t, err)

	c, err := boltstore.Compact(t.Context(), path, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"log.yore"}, files(t, filepath.Dir(path)))
	sizeAfter, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, boltstore.CompactReport{Head: 181, Views: 3, Rows: 1001, Before: sizeBefore.Size(), After: sizeAfter.Size()}, c)
	require.Less(t, c.After, c.Before)
	require.Equal(t, fs.FileMode(0o640), sizeAfter.Mode())

	s := open(t, path, nil)
	require.Equal(t, before, all(t, s))
	require.Equal(t, rows, viewContent(t, s, "sales"))
	require.Equal(t, faulted, viewContent(t, s, "faulted"))
	require.Equal(t, info, s.Info(), "id or epoch changed")
	receipt, found, err := s.Lookup(t.Context(), key(58))
	require.NoError(t, err)
	require.True(t, found)
	require.EqualValues(t, 175, receipt.First)
	appendEvents(t, s, "cart-1", 3)
	writeRows(t, s, "dropped", 100) // the rows that were left are gone
	require.NoError(t, s.CommitRows(t.Context(), eventstore.RowCommit{View: "sales", Expected: at(20), Checkpoint: at(21), Rows: []eventstore.Row{
		{RowKey: eventstore.RowKey{Table: "table-1", Key: []byte("0001")}},
	}}))
	require.NoError(t, s.Close())
	c, err = boltstore.Compact(t.Context(), path, nil)
	require.NoError(t, err)
	require.Equal(t, 1100, c.Rows)
	edit(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("rows")).Bucket([]byte("sales")).Delete([]byte("table-0\x000000"))
	})
	_, err = boltstore.Compact(t.Context(), path, nil)
	require.ErrorIs(t, err, eventstore.ErrCorrupt, "the new file has no tally of its rows")
}

func TestReindex_LeavesTheViewsOut(t *testing.T) {
	path := logWithViews(t, 20)
	var before []eventstore.Event
	withLog(t, path, func(s *boltstore.Store) { before = all(t, s) })

	r, err := boltstore.Reindex(t.Context(), path, &boltstore.ReindexOptions{KeepViews: true})
	require.NoError(t, err)
	require.Equal(t, boltstore.ReindexReport{Head: 60, Views: 2, Rows: 1000}, r)
	withLog(t, path, func(s *boltstore.Store) { require.Len(t, viewContent(t, s, "sales"), 1002) })

	r, err = boltstore.Reindex(t.Context(), path, nil)
	require.NoError(t, err)
	require.Equal(t, boltstore.ReindexReport{Head: 60}, r)
	s := open(t, path, nil)
	require.Equal(t, before, all(t, s))
	checkpoints, err := s.Checkpoints(t.Context())
	require.NoError(t, err)
	require.Empty(t, checkpoints)
	writeRows(t, s, "sales", 100)
}

func TestRewrite_OfAnEmptyLog(t *testing.T) {
	for name, rewrite := range rewriters {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			create(t, path)
			require.NoError(t, rewrite(t.Context(), path, 0, nil))
			appendEvents(t, open(t, path, nil), "s", 3)
		})
	}
}

// A rewrite that fails leaves the file as it was, and nothing beside it.
func TestRewrite_LeavesAllAsItWas(t *testing.T) {
	p := record.Key(7)
	log := []byte("log")
	damageRecord := func(tx *bolt.Tx) error {
		value := bytes.Clone(tx.Bucket(log).Get(p[:]))
		value[len(value)-6]++
		return tx.Bucket(log).Put(p[:], value)
	}
	tests := map[string]struct {
		damage func(tx *bolt.Tx) error
		cancel bool
		says   string
	}{
		"a record is damaged":          {damage: damageRecord, says: "position 7: the payload or the metadata fail their checksum"},
		"a record is missing":          {damage: func(tx *bolt.Tx) error { return tx.Bucket(log).Delete(p[:]) }, says: "position 7: the record is missing"},
		"something else is in the log": {damage: func(tx *bolt.Tx) error { return tx.Bucket(log).Put([]byte("\xff"), []byte("x")) }, says: "the log has the key ff"},
		"it does not know its id":      {damage: func(tx *bolt.Tx) error { return tx.Bucket([]byte("yore")).Delete([]byte("id")) }, says: "description of itself"},
		"it is cancelled half-way":     {cancel: true, says: "canceled"},
	}
	whole, err := os.ReadFile(logWithViews(t, 200))
	require.NoError(t, err)
	for name, rewrite := range rewriters {
		for damage, tt := range tests {
			t.Run(name+" when "+damage, func(t *testing.T) {
				path := logPath(t)
				require.NoError(t, os.WriteFile(path, whole, 0o600))
				if tt.damage != nil {
					edit(t, path, tt.damage)
				}
				before, err := os.ReadFile(path)
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err = rewrite(ctx, path, 0, func(p eventstore.Progress) {
					require.EqualValues(t, 600, p.Total)
					if tt.cancel && p.Done > 300 {
						cancel()
					}
				})
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, err, path)
				require.Equal(t, []string{"log.yore"}, files(t, filepath.Dir(path)))
				after, err := os.ReadFile(path)
				require.NoError(t, err)
				require.True(t, bytes.Equal(before, after), "the file was changed")
				edit(t, path, func(*bolt.Tx) error { return nil }) // it is not locked
			})
		}
	}
}

func TestRewrite_RefusesWhatItCannotHave(t *testing.T) {
	for name, rewrite := range rewriters {
		t.Run(name, func(t *testing.T) {
			path := logWithViews(t, 5)
			for _, readOnly := range []bool{false, true} {
				s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: readOnly})
				require.NoError(t, err)
				require.ErrorIs(t, rewrite(t.Context(), path, time.Millisecond, nil), eventstore.ErrLocked)
				require.NoError(t, s.Close())
			}
			require.Equal(t, []string{"log.yore"}, files(t, filepath.Dir(path)))
			require.ErrorIs(t, rewrite(t.Context(), filepath.Join(t.TempDir(), "none"), 0, nil), fs.ErrNotExist)
			require.ErrorIs(t, rewrite(t.Context(), t.TempDir(), 0, nil), eventstore.ErrFormat)
			empty := logPath(t)
			require.NoError(t, os.WriteFile(empty, nil, 0o600))
			require.ErrorIs(t, rewrite(t.Context(), empty, 0, nil), eventstore.ErrFormat)
		})
	}
}

// A file that replaces the one that is being copied is not replaced in turn, since its content
// was not copied.
func TestRewrite_DoesNotReplaceAnotherFile(t *testing.T) {
	for name, rewrite := range rewriters {
		t.Run(name, func(t *testing.T) {
			path := logWithViews(t, 5)
			other := filepath.Join(t.TempDir(), "other.yore")
			withLog(t, other, func(s *boltstore.Store) { appendEvents(t, s, "other", 1) })
			err := rewrite(t.Context(), path, 0, func(eventstore.Progress) { require.NoError(t, os.Rename(other, path)) })
			require.ErrorIs(t, err, eventstore.ErrFailed)
			require.Equal(t, []string{"log.yore"}, files(t, filepath.Dir(path)))
			require.Len(t, all(t, open(t, path, nil)), 1)
		})
	}
}

func TestRewrite_FollowsALink(t *testing.T) {
	for name, rewrite := range rewriters {
		t.Run(name, func(t *testing.T) {
			path := logWithViews(t, 5)
			link := filepath.Join(t.TempDir(), "link.yore")
			require.NoError(t, os.Symlink(path, link))
			before, err := os.Stat(path)
			require.NoError(t, err)
			require.NoError(t, rewrite(t.Context(), link, 0, nil))
			info, err := os.Lstat(link)
			require.NoError(t, err)
			require.Equal(t, fs.ModeSymlink, info.Mode().Type())
			after, err := os.Stat(path)
			require.NoError(t, err)
			require.False(t, os.SameFile(before, after), "the file was not replaced")
		})
	}
}

// Damage of derived data does not prevent a rebuild.
func TestReindex_NeedsNothingButTheLog(t *testing.T) {
	root := func(path string, find func(tx *bolt.Tx) *bolt.Bucket) (page uint64) {
		edit(t, path, func(tx *bolt.Tx) error {
			page = uint64(find(tx).Root())
			return nil
		})
		require.NotZero(t, page, "the bucket has no page of its own")
		return page
	}
	sales := func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket([]byte("rows")).Bucket([]byte("sales")) }
	index := func(tx *bolt.Tx) *bolt.Bucket { return tx.Bucket([]byte("index")) }
	tests := map[string]struct {
		page  func(path string) uint64 // to be overwritten
		views bool                     // they are damaged too
	}{
		"the index":              {page: func(path string) uint64 { return root(path, index) }},
		"the rows":               {page: func(path string) uint64 { return root(path, sales) }, views: true},
		"the list of free pages": {page: func(path string) uint64 { return newestMeta(t, path).Freelist }},
		"the older meta page":    {page: func(path string) uint64 { return (newestMeta(t, path).TxID + 1) % 2 }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := logWithViews(t, 100)
			var before []eventstore.Event
			withLog(t, path, func(s *boltstore.Store) { before = all(t, s) })
			writeIndex(t, path)
			overwritePage(t, path, tt.page(path))

			if tt.views {
				_, err := boltstore.Compact(t.Context(), path, nil)
				require.ErrorIs(t, err, eventstore.ErrCorrupt)
				_, err = boltstore.Reindex(t.Context(), path, &boltstore.ReindexOptions{KeepViews: true})
				require.ErrorIs(t, err, eventstore.ErrCorrupt)
			}
			_, err := boltstore.Reindex(t.Context(), path, nil)
			require.NoError(t, err)
			require.Equal(t, []string{"log.yore"}, files(t, filepath.Dir(path)))
			s := open(t, path, nil)
			require.Empty(t, s.Info().Warnings)
			require.Equal(t, before, all(t, s))
			appendEvents(t, s, "cart-1", 3)
		})
	}
}

func newestMeta(t *testing.T, path string) pages.Meta {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	state, err := pages.Inspect(f, info.Size())
	require.NoError(t, err)
	return state.Meta
}

// overwritePage damages a page of the file.
func overwritePage(t *testing.T, path string, page uint64) {
	t.Helper()
	size := newestMeta(t, path).PageSize
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(size)), int64(page)*int64(size))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// Compact of a damaged view is an error that names the view.
func TestCompact_OfADamagedViewIsAnError(t *testing.T) {
	row := []byte("table-0\x000000")
	tests := map[string]struct {
		damage func(sales, checkpoints *bolt.Bucket) error
		says   string
	}{
		"a row that was changed": {func(sales, _ *bolt.Bucket) error {
			value := bytes.Clone(sales.Get(row))
			value[5]++
			return sales.Put(row, value)
		}, `view "sales", table "table-0", key "0000": checksum`},
		"a row that is not there": {func(sales, _ *bolt.Bucket) error {
			return sales.Delete(row)
		}, `view "sales": rows are missing`},
		"all rows": {func(sales, _ *bolt.Bucket) error {
			tally := bytes.Clone(sales.Get([]byte{0}))
			for key, _ := sales.Cursor().First(); key != nil; key, _ = sales.Cursor().First() {
				if err := sales.Delete(bytes.Clone(key)); err != nil {
					return err
				}
			}
			return sales.Put([]byte{0}, tally)
		}, `view "sales": rows are missing`},
		"a tally": {func(sales, _ *bolt.Bucket) error {
			return sales.Put([]byte{0}, []byte("something else"))
		}, `view "sales": the tally`},
		"a checkpoint": {func(_, checkpoints *bolt.Bucket) error {
			return checkpoints.Put([]byte("sales"), []byte("something else"))
		}, `view "sales"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := logWithViews(t, 5)
			edit(t, path, func(tx *bolt.Tx) error {
				return tt.damage(tx.Bucket([]byte("rows")).Bucket([]byte("sales")), tx.Bucket([]byte("checkpoints")))
			})
			_, err := boltstore.Compact(t.Context(), path, nil)
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			require.ErrorContains(t, err, tt.says)
			require.Equal(t, []string{"log.yore"}, files(t, filepath.Dir(path)))
			_, err = boltstore.Reindex(t.Context(), path, nil)
			require.NoError(t, err)
			_, err = boltstore.Compact(t.Context(), path, nil)
			require.NoError(t, err)
		})
	}
}

// A log that has lost its end is not compacted.
func TestCompact_OfALogThatHasLostItsEndIsAnError(t *testing.T) {
	path := logPath(t)
	withLog(t, path, func(s *boltstore.Store) {
		fill(t, s, 5)
		require.NoError(t, s.CommitRows(t.Context(), eventstore.RowCommit{View: "v", Checkpoint: eventstore.Checkpoint{Position: 15}}))
	})
	edit(t, path, func(tx *bolt.Tx) error {
		for p := eventstore.Position(13); p <= 15; p++ {
			key := record.Key(p)
			if err := tx.Bucket([]byte("log")).Delete(key[:]); err != nil {
				return err
			}
		}
		return nil
	})
	_, err := boltstore.Compact(t.Context(), path, nil)
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.ErrorContains(t, err, "the log ends at position 12, and should end at 15")
}
