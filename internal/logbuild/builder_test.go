package logbuild_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logbuild"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
	"github.com/yore-es/yore/internal/viewfile"
)

var (
	recorded = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	storeID  = uuid.MustParse("01956f1e-7c00-7abc-8def-0123456789ab")
	seed     = record.SeedOf(storeID)
	options  = logbuild.Options{Identity: logfile.Identity{StoreID: storeID, Epoch: 3}}
)

// event is an event of a log to be built: version v of stream "s".
type event struct {
	v     eventstore.Version
	place record.Place
	key   string
}

func (e event) record(p eventstore.Position) []byte {
	b, _ := e.recordAfter(0, p)
	return b
}

// recordAfter returns the record with the running checksum before it, and the one up to it.
func (e event) recordAfter(chain record.Chain, p eventstore.Position) ([]byte, record.Chain) {
	b := record.Append(nil, &eventstore.NewEvent{Stream: "s", ID: uuid.UUID{1}, Type: "t", Data: fmt.Append(nil, p)}, e.place, record.Mark{Key: e.key})
	return b, record.Seal(b, seed, chain, p, e.v, recorded)
}

// alone is version v, in a commit of its own.
func alone(v eventstore.Version) event { return event{v, record.Place{I: 0, N: 1}, ""} }

// logPath returns the path of a file in a new directory.
func logPath(t *testing.T) string { return filepath.Join(t.TempDir(), "log.yore") }

// begin begins a log and adds events.
func begin(t *testing.T, path string, o logbuild.Options, events ...event) *logbuild.Builder {
	t.Helper()
	b, err := logbuild.New(path, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Abandon()) })
	var chain record.Chain
	for i, e := range events {
		p := eventstore.Position(i + 1)
		var rec []byte
		rec, chain = e.recordAfter(chain, p)
		require.NoError(t, b.Add(p, rec))
	}
	return b
}

// several returns n events of one stream.
func several(n int) (events []event) {
	for v := range n {
		events = append(events, alone(eventstore.Version(v+1)))
	}
	return events
}

func names(t *testing.T, path string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// requireLog requires a log with n events and an index of all of them.
func requireLog(t *testing.T, path string, n int) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		identity, err := logfile.LoadIdentity(pages.View(tx))
		require.NoError(t, err)
		require.Equal(t, logfile.Identity{StoreID: storeID, Epoch: 3}, identity)
		end, err := logfile.LoadHead(pages.View(tx), seed)
		require.NoError(t, err)
		require.Empty(t, end.Warning)
		require.EqualValues(t, n, end.Position)
		through, err := index.Through(pages.View(tx), seed)
		require.NoError(t, err)
		require.EqualValues(t, n, through)
		r := logfile.NewReader(pages.View(tx).Bucket(logfile.LogBucket))
		var chain record.Chain
		for p := eventstore.Position(1); p <= end.Position; p++ {
			got, err := r.At(p)
			require.NoError(t, err)
			var want []byte
			want, chain = alone(eventstore.Version(p)).recordAfter(chain, p)
			require.Equal(t, want, got)
		}
		return nil
	}))
	require.NoError(t, db.Close())
}

func TestBuilder_Finish(t *testing.T) {
	for _, n := range []int{0, 1, 40_000} { // the last of more than one slice
		path := logPath(t)
		b := begin(t, path, options, several(n)...)
		require.NoFileExists(t, path, "before it is finished")
		require.Len(t, names(t, path), 1)
		require.NoError(t, b.Finish(false))
		require.NoError(t, b.Abandon(), "afterwards it does nothing")
		require.Equal(t, []string{"log.yore"}, names(t, path))
		requireLog(t, path, n)
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode())
	}
}

func TestBuilder_FinishReplacesOnlyWhenAsked(t *testing.T) {
	path := logPath(t)
	require.NoError(t, os.WriteFile(path, []byte("there"), 0o600))
	o := options
	o.Mode = 0o640
	require.ErrorIs(t, begin(t, path, o, several(3)...).Finish(false), fs.ErrExist)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "there", string(content))
	require.Equal(t, []string{"log.yore"}, names(t, path))

	require.NoError(t, begin(t, path, o, several(3)...).Finish(true))
	requireLog(t, path, 3)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), info.Mode())
}

func TestBuilder_Abandon(t *testing.T) {
	path := logPath(t)
	b := begin(t, path, options, several(20_000)...)
	for range 2 {
		require.NoError(t, b.Abandon())
		require.Empty(t, names(t, path))
	}
	_, err := logbuild.New(filepath.Join(filepath.Dir(path), "none", "log.yore"), options)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestBuilder_AddRefuses: a record that is refused has not been added, so the right one
// can be.
func TestBuilder_AddRefuses(t *testing.T) {
	path := logPath(t)
	b := begin(t, path, options, several(2)...)
	_, chain := alone(1).recordAfter(0, 1)
	_, chain = alone(2).recordAfter(chain, 2)
	right, _ := alone(3).recordAfter(chain, 3)
	damaged := bytes.Clone(right)
	damaged[40]++
	for name, refused := range map[string]struct {
		p   eventstore.Position
		rec []byte
	}{
		"damaged":         {3, damaged},
		"one left out":    {4, alone(3).record(4)},
		"there already":   {2, alone(2).record(2)},
		"inside a commit": {3, event{3, record.Place{I: 1, N: 2}, ""}.record(3)},
		"of another log":  {3, alone(3).record(3)},
	} {
		var corrupt *eventstore.CorruptError
		require.ErrorAs(t, b.Add(refused.p, refused.rec), &corrupt, name)
		require.Equal(t, refused.p, corrupt.Position)
	}
	require.NoError(t, b.Add(3, right))
	require.NoError(t, b.Finish(false))
	requireLog(t, path, 3)
}

// TestBuilder_FinishRefuses has logs whose fault shows when all records are there. No
// file gets the name.
func TestBuilder_FinishRefuses(t *testing.T) {
	keyed := func(v eventstore.Version) event { return event{v, record.Place{I: 0, N: 1}, "key"} }
	for name, tt := range map[string]struct {
		events []event
		says   string
		at     eventstore.Position
	}{
		"half a commit":  {[]event{alone(1), {2, record.Place{I: 0, N: 2}, ""}}, "in a commit of 2 events", 3},
		"a version left": {[]event{alone(1), alone(1), alone(3)}, "version 1", 2},
		"a key twice":    {[]event{keyed(1), alone(2), keyed(3)}, "key", 3},
	} {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			err := begin(t, path, options, tt.events...).Finish(false)
			var corrupt *eventstore.CorruptError
			require.ErrorAs(t, err, &corrupt)
			require.Equal(t, tt.at, corrupt.Position)
			require.ErrorContains(t, err, tt.says)
			require.Empty(t, names(t, path))
		})
	}
}

// TestBuilder_Salvaged: positions, versions and parts of commits may be missing, and the
// records may be of another store. They get the checksums of the new log, which lists the
// holes.
func TestBuilder_Salvaged(t *testing.T) {
	path := logPath(t)
	o, newID := options, uuid.MustParse("01956f1e-7c00-7abc-8def-000000000000")
	o.Salvaged, o.Identity.StoreID = &seed, newID
	b := begin(t, path, o, alone(1), event{2, record.Place{I: 0, N: 3}, ""})
	require.NoError(t, b.Add(9, event{7, record.Place{I: 1, N: 2}, ""}.record(9)))
	require.ErrorIs(t, b.Add(9, alone(8).record(9)), eventstore.ErrCorrupt)
	require.NoError(t, b.Finish(false))
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		end, err := logfile.LoadHead(pages.View(tx), o.Identity.Seed())
		require.NoError(t, err)
		require.EqualValues(t, 9, end.Position)
		r := logfile.NewReader(pages.View(tx).Bucket(logfile.LogBucket))
		for p := eventstore.Position(1); p <= 9; p++ {
			hole := p >= 3 && p < 9
			require.Equal(t, hole, logfile.InHole(pages.View(tx), o.Identity.Seed(), p), "position %d", p)
			rec, err := r.At(p)
			if hole {
				require.ErrorIs(t, err, eventstore.ErrCorrupt)
				continue
			}
			require.NoError(t, err)
			_, err = record.Decode(o.Identity.Seed(), p, rec)
			require.NoError(t, err, "position %d", p)
		}
		return nil
	}))
}

// withView gives a log a view of 100 rows, ten of them in a layer, and one that has rows
// and no checkpoint.
func withView(t *testing.T, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	rows := func(from, to int, value string) (list []eventstore.Row) {
		for i := from; i < to; i++ {
			list = append(list, eventstore.Row{RowKey: eventstore.RowKey{Table: "t", Key: fmt.Append(nil, i)}, Value: []byte(value)})
		}
		return list
	}
	at := eventstore.Checkpoint{Position: 2}
	v, dropped := viewfile.Of(seed, "v"), viewfile.Of(seed, "dropped")
	for _, change := range []func(tx *pages.WriteTx) error{
		viewfile.CreateBuckets,
		func(tx *pages.WriteTx) error { return viewfile.Change(tx, v, rows(0, 100, "first"), at) },
		func(tx *pages.WriteTx) error { return viewfile.Change(tx, v, rows(0, 10, "second"), at) },
		func(tx *pages.WriteTx) error { return viewfile.Change(tx, dropped, rows(0, 5, "left"), at) },
		func(tx *pages.WriteTx) error { _, err := viewfile.Drop(tx, dropped, nil); return err },
	} {
		require.NoError(t, db.Update(func(tx *bolt.Tx) error {
			changes := pages.Write(tx)
			head, _, _ := logfile.ReadHead(changes.Before, seed)
			return errors.Join(change(changes), logfile.PutHead(changes, seed, head))
		}))
	}
	require.NoError(t, db.Close())
}

func TestRewrite(t *testing.T) {
	for _, views := range []bool{false, true} {
		t.Run(fmt.Sprint("views ", views), func(t *testing.T) {
			path := logPath(t)
			require.NoError(t, begin(t, path, options, several(300)...).Finish(false))
			withView(t, path)
			var told []eventstore.Position
			result, err := logbuild.Rewrite(t.Context(), path, logbuild.RewriteOptions{Views: views, Progress: func(done, of eventstore.Position) {
				require.EqualValues(t, 300, of)
				told = append(told, done)
			}})
			require.NoError(t, err)
			require.Equal(t, []eventstore.Position{256, 300}, told)
			require.EqualValues(t, 300, result.Head)
			require.Less(t, result.After, result.Before)
			require.Equal(t, []string{"log.yore"}, names(t, path))
			requireLog(t, path, 300)
			db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
			require.NoError(t, err)
			defer db.Close()
			v := viewfile.Of(seed, "v")
			require.NoError(t, db.View(func(tx *bolt.Tx) error {
				require.Nil(t, viewfile.Rows(pages.View(tx), viewfile.Of(seed, "dropped")))
				require.Nil(t, viewfile.ChangesBucket(pages.View(tx), v))
				if !views {
					require.Nil(t, viewfile.Rows(pages.View(tx), v))
					return nil
				}
				require.Equal(t, 1, result.Views)
				require.Equal(t, 100, result.Rows)
				state, err := viewfile.Load(pages.View(tx), v)
				require.NoError(t, err)
				got, err := state.Get([]eventstore.RowKey{{Table: "t", Key: []byte("5")}, {Table: "t", Key: []byte("50")}})
				require.NoError(t, err)
				require.Equal(t, "second", string(got[0].Value))
				require.Equal(t, "first", string(got[1].Value))
				require.EqualValues(t, 2, state.Checkpoint.Position)
				return nil
			}))
		})
	}
}

// TestOpenSource_LocksTheFile: the file cannot be opened again until the source is closed.
func TestOpenSource_LocksTheFile(t *testing.T) {
	path := logPath(t)
	require.NoError(t, begin(t, path, options, several(3)...).Finish(false))
	src, err := logbuild.OpenSource(path, 0, false)
	require.NoError(t, err)
	require.Equal(t, storeID, src.Identity.StoreID)
	_, err = logbuild.OpenSource(path, time.Millisecond, false)
	require.ErrorIs(t, err, eventstore.ErrLocked)
	_, err = logbuild.Rewrite(t.Context(), path, logbuild.RewriteOptions{LockTimeout: time.Millisecond})
	require.ErrorIs(t, err, eventstore.ErrLocked)
	for range 2 {
		require.NoError(t, src.Close())
	}
	src, err = logbuild.OpenSource(path, time.Millisecond, false)
	require.NoError(t, err)
	require.NoError(t, src.Close())
}
