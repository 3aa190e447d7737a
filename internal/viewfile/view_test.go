package viewfile_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/viewfile"
)

var (
	identity = logfile.Identity{StoreID: uuid.MustParse("8c0f6d1e-7a54-4a0c-9b0e-6f3d2a1b4c5d"), Epoch: 1}
	view     = of("v")
)

func of(id eventstore.ViewID) viewfile.View { return viewfile.Of(identity.Seed(), id) }

// load returns the state of a view; it must be sound.
func load(t *testing.T, tx *bolt.Tx, view viewfile.View) viewfile.State {
	t.Helper()
	state, err := viewfile.Load(pages.View(tx), view)
	require.NoError(t, err)
	return state
}

// newFile makes an empty log with the buckets of views, with bbolt alone.
func newFile(t *testing.T) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "log.yore"), 0o600, &bolt.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	update(t, db, func(tx *bolt.Tx) error {
		changes := pages.Write(tx)
		return errors.Join(logfile.Create(changes, identity), viewfile.CreateBuckets(changes))
	})
	return db
}

func update(t *testing.T, db *bolt.DB, fn func(*bolt.Tx) error) {
	t.Helper()
	require.NoError(t, db.Update(fn))
}

func row(table, key, value string) eventstore.Row {
	return eventstore.Row{RowKey: eventstore.RowKey{Table: table, Key: []byte(key)}, Value: []byte(value)}
}

// numbered returns rows "0000" and so on of table "t", from one number up to another.
func numbered(from, to int, value string) (rows []eventstore.Row) {
	for i := from; i < to; i++ {
		rows = append(rows, row("t", fmt.Sprintf("%04d", i), value))
	}
	return rows
}

func change(t *testing.T, db *bolt.DB, rows ...eventstore.Row) {
	t.Helper()
	update(t, db, func(tx *bolt.Tx) error {
		return viewfile.Change(pages.Write(tx), view, rows, eventstore.Checkpoint{Position: 1})
	})
}

// get returns the value of a row of table "t"; ok is false if there is no row.
func get(db *bolt.DB, key string) (value string, ok bool, err error) {
	err = db.View(func(tx *bolt.Tx) error {
		state, err := viewfile.Load(pages.View(tx), view)
		if err != nil {
			return err
		}
		rows, err := state.Get([]eventstore.RowKey{row("t", key, "").RowKey})
		if err == nil {
			value, ok = string(rows[0].Value), rows[0].Value != nil
		}
		return err
	})
	return value, ok, err
}

// scan returns "key=value" of the rows of a scan, and how many pages they took.
func scan(t *testing.T, db *bolt.DB, s eventstore.RowScan) (list []string, pages int) {
	t.Helper()
	for p := viewfile.NewScan(s); !p.Done; pages++ {
		require.NoError(t, db.View(func(tx *bolt.Tx) error {
			state := load(t, tx, view)
			rows, err := p.Next(&state)
			for _, row := range rows {
				require.Equal(t, s.Table, row.Table)
				list = append(list, string(row.Key)+"="+string(row.Value))
			}
			return err
		}))
	}
	return list, pages
}

func TestChange_PutsAndDeletes(t *testing.T) {
	db := newFile(t)
	change(t, db, row("t", "a", "1"), row("t", "b", ""), row("t", "c", "3"))
	change(t, db, row("t", "a", "2"), eventstore.Row{RowKey: eventstore.RowKey{Table: "t", Key: []byte("c")}})
	for key, want := range map[string]struct {
		value string
		ok    bool
	}{"a": {"2", true}, "b": {"", true}, "c": {}, "none": {}} {
		value, ok, err := get(db, key)
		require.NoError(t, err)
		require.Equal(t, want.ok, ok, key)
		require.Equal(t, want.value, value)
	}
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		state := load(t, tx, of("other"))
		require.False(t, state.HasRows)
		rows, err := state.Get([]eventstore.RowKey{row("t", "a", "").RowKey})
		require.Nil(t, rows[0].Value, "another view has no rows")
		return err
	}))
}

func TestScan_StaysInItsTableAndRange(t *testing.T) {
	db := newFile(t)
	change(t, db, row("a", "z", "0"), row("t", "a", "1"), row("t", "b", "2"), row("t", "b\x00", "3"), row("t", "\xff", "4"), row("tt", "a", "5"))
	for _, tt := range []struct {
		scan eventstore.RowScan
		want []string
	}{
		{eventstore.RowScan{Table: "t"}, []string{"a=1", "b=2", "b\x00=3", "\xff=4"}},
		{eventstore.RowScan{Table: "t", Backward: true}, []string{"\xff=4", "b\x00=3", "b=2", "a=1"}},
		{eventstore.RowScan{Table: "t", From: []byte("b")}, []string{"b=2", "b\x00=3", "\xff=4"}},
		{eventstore.RowScan{Table: "t", To: []byte("b")}, []string{"a=1"}},
		{eventstore.RowScan{Table: "t", From: []byte("b"), To: []byte("c"), Limit: 1}, []string{"b=2"}},
		{eventstore.RowScan{Table: "t", To: []byte("c"), Limit: 2, Backward: true}, []string{"b\x00=3", "b=2"}},
		{eventstore.RowScan{Table: "tt"}, []string{"a=5"}},
		{eventstore.RowScan{Table: "none"}, nil},
	} {
		got, pages := scan(t, db, tt.scan)
		require.Equal(t, tt.want, got, "%+v", tt.scan)
		require.Equal(t, 1, pages)
	}
}

// layersOf returns how many layers lie over the view's own rows.
func layersOf(t *testing.T, db *bolt.DB) (n int) {
	t.Helper()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		state := load(t, tx, view)
		n = len(state.Layers()) - 1
		return nil
	}))
	return n
}

func TestChange_AddsLayersAndFoldsThem(t *testing.T) {
	db := newFile(t)
	change(t, db, numbered(0, 1000, "own")...)
	require.Zero(t, layersOf(t, db), "a view of its first rows")
	change(t, db, numbered(0, 7, "few")...)
	require.Zero(t, layersOf(t, db), "too few rows for a first layer")
	for n := 1; n <= 8; n++ {
		change(t, db, numbered(10*n, 10*n+10, fmt.Sprint("layer ", n))...)
		require.Equal(t, n, layersOf(t, db))
	}
	change(t, db, numbered(5, 15, "folds")...)
	require.Zero(t, layersOf(t, db), "there may be eight")
	change(t, db, numbered(0, 300, "many")...)
	require.Zero(t, layersOf(t, db), "a third of the view is no layer")
	change(t, db, numbered(20, 28, "layer")...)
	change(t, db, numbered(20, 21, "one")...)
	require.Equal(t, 2, layersOf(t, db), "over a layer, one row is worth another")
	change(t, db, append(numbered(30, 40, "large"), row("t", "large", string(make([]byte, 300<<10))))...)
	require.Zero(t, layersOf(t, db), "a layer is bounded in bytes")
	list, pages := scan(t, db, eventstore.RowScan{Table: "t"})
	require.Len(t, list, 1001)
	require.Greater(t, pages, 3)
	require.Equal(t, []string{"0019=many", "0020=one", "0021=layer"}, list[19:22])
}

// TestChange_Model compares a view that is changed at random with a map.
func TestChange_Model(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	db, model := newFile(t), make(map[string]string)
	depths := make(map[int]int)
	for i := range 300 {
		var rows []eventstore.Row
		for range 1 + random.IntN(30) {
			r := row("t", fmt.Sprintf("%04d", random.IntN(400)), fmt.Sprint(i))
			if i > 10 && random.IntN(3) == 0 {
				r.Value = nil
			}
			rows = append(rows, r)
			if model[string(r.Key)] = string(r.Value); r.Value == nil {
				delete(model, string(r.Key))
			}
		}
		change(t, db, rows...)
		depths[layersOf(t, db)]++
		want := []string(nil)
		for _, key := range slices.Sorted(maps.Keys(model)) {
			want = append(want, key+"="+model[key])
		}
		got, _ := scan(t, db, eventstore.RowScan{Table: "t"})
		require.Equal(t, want, got)
		slices.Reverse(want)
		got, _ = scan(t, db, eventstore.RowScan{Table: "t", Backward: true})
		require.Equal(t, want, got)
		key := fmt.Sprintf("%04d", random.IntN(400))
		value, ok, err := get(db, key)
		require.NoError(t, err)
		expected, there := model[key]
		require.Equal(t, there, ok)
		require.Equal(t, expected, value)
		requireTally(t, db, len(model))
	}
	require.Greater(t, len(depths), 5, "layers were few: %v", depths)
}

// requireTally compares the tally with the entries of all layers. n is the number of
// rows that can be read.
func requireTally(t *testing.T, db *bolt.DB, n int) {
	t.Helper()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		state := load(t, tx, view)
		said := state.Tally()
		var counted viewfile.Tally
		rows := 0
		cursor := viewfile.Cursor{From: viewfile.FirstRow, Passed: func(e viewfile.Entry) { counted.Add(e.Sealed) }}
		require.NoError(t, cursor.Start(state.Layers()))
		for {
			e, err := cursor.Next()
			if err != nil || e.Key == nil {
				require.True(t, said.Counts(counted), "%+v and %+v", said, counted)
				require.Equal(t, n, rows)
				return err
			}
			if e.Value != nil {
				rows++
			}
		}
	}))
}

// TestDrop has a view with layers, whose rows are dropped in slices.
func TestDrop(t *testing.T) {
	db := newFile(t)
	change(t, db, numbered(0, 100, "own")...)
	change(t, db, numbered(90, 110, "layer")...)
	require.Equal(t, 1, layersOf(t, db))
	dropped, gone := 0, false
	for slices := 0; !gone; slices++ {
		require.Less(t, slices, 5)
		update(t, db, func(tx *bolt.Tx) (err error) {
			keys := viewfile.FirstKeys(pages.View(tx), view, 40)
			dropped += len(keys)
			gone, err = viewfile.Drop(pages.Write(tx), view, keys)
			require.Nil(t, tx.Bucket(logfile.ChangesBucket).Bucket([]byte(view.ID)), "layers are folded first")
			return err
		})
	}
	require.Equal(t, 110, dropped)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		require.Nil(t, viewfile.Rows(pages.View(tx), view))
		require.Empty(t, viewfile.FirstKeys(pages.View(tx), view, 10))
		return nil
	}))
	change(t, db, numbered(0, 10, "again")...)
	requireTally(t, db, 10)
}
