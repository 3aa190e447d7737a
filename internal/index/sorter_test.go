package index_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
)

// randomEntries returns the entries of a log of n events.
func randomEntries(n int, seed uint64) []index.Entry {
	random := rand.New(rand.NewPCG(seed, 1))
	versions := make(map[eventstore.StreamID]eventstore.Version)
	entries := make([]index.Entry, n)
	for i := range entries {
		e := index.Entry{Position: eventstore.Position(i + 1), Type: fmt.Sprint("type-", random.IntN(3))}
		if random.IntN(5) > 0 {
			e.Stream = eventstore.StreamID(fmt.Sprintf("c%d-%d", random.IntN(2), random.IntN(20)))
			versions[e.Stream]++
			e.Version = versions[e.Stream]
		}
		for _, tag := range random.Perm(4)[:random.IntN(3)] {
			e.Tags = append(e.Tags, eventstore.Tag(fmt.Sprint("tag:", tag)))
		}
		if random.IntN(2) == 0 {
			e.Key = fmt.Sprint("key-", i)
		}
		entries[i] = e
	}
	return entries
}

// content returns all that the bucket of the index holds.
func content(t *testing.T, db *bolt.DB) (all []string) {
	t.Helper()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(index.Bucket)).ForEach(func(key, value []byte) error {
			all = append(all, fmt.Sprintf("%q %x", key, value))
			return nil
		})
	}))
	return all
}

// A Sorter makes the same index as Add, byte for byte, however little it may
// keep in memory.
func TestSorter_MakesWhatAddMakes(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	for _, n := range []int{0, 1, 10, 1000} {
		entries := randomEntries(n, seed)
		added := open(t)
		if n > 0 {
			require.NoError(t, added.Update(func(tx *bolt.Tx) error { return index.Add(tx, entries) }))
		}
		for _, memory := range []int{0, 1000, 20_000, 1 << 30} {
			dir := t.TempDir()
			sorter := index.NewSorter(filepath.Join(dir, "scratch"), memory)
			for _, e := range entries {
				require.NoError(t, sorter.Add(e))
			}
			sorted := open(t)
			require.NoError(t, sorter.Load(sorted.Update))
			require.Equal(t, content(t, added), content(t, sorted), "%d entries, %d bytes of memory", n, memory)
			require.NoError(t, sorter.Close())
			require.NoError(t, sorter.Close())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		}
	}
}

func TestSorter_RefusesWhatNoLogHolds(t *testing.T) {
	of := func(p eventstore.Position, stream eventstore.StreamID, v eventstore.Version, key string) index.Entry {
		return index.Entry{Position: p, Stream: stream, Version: v, Type: "t", Key: key}
	}
	tests := map[string]struct {
		entries []index.Entry
		gaps    bool
		at      eventstore.Position // 0: no error
		says    string
	}{
		"a version left out":            {[]index.Entry{of(1, "a", 1, ""), of(2, "b", 1, ""), of(3, "a", 3, "")}, false, 3, `version 3 of stream "a", where version 2 comes next`},
		"a stream's first is another":   {[]index.Entry{of(1, "a", 2, "")}, false, 1, "version 2"},
		"a version twice":               {[]index.Entry{of(1, "a", 1, ""), of(2, "a", 1, "")}, true, 2, "version 1"},
		"a key twice":                   {[]index.Entry{of(1, "a", 1, "k"), of(2, "a", 2, "l"), of(3, "a", 3, "k")}, false, 3, `key "k" is that of the commit at position 1 too`},
		"a version left out, as it may": {[]index.Entry{of(1, "a", 1, ""), of(3, "a", 3, "")}, true, 0, ""},
	}
	for name, tt := range tests {
		for _, memory := range []int{0, 1 << 20} {
			t.Run(fmt.Sprint(name, ", memory ", memory), func(t *testing.T) {
				sorter := index.NewSorter(filepath.Join(t.TempDir(), "scratch"), memory)
				sorter.Gaps = tt.gaps
				defer func() { require.NoError(t, sorter.Close()) }()
				for _, e := range tt.entries {
					require.NoError(t, sorter.Add(e))
				}
				err := sorter.Load(open(t).Update)
				if tt.at == 0 {
					require.NoError(t, err)
					return
				}
				var corrupt *eventstore.CorruptError
				require.ErrorAs(t, err, &corrupt)
				require.Equal(t, tt.at, corrupt.Position)
				require.ErrorContains(t, err, tt.says)
			})
		}
	}
}

// Whatever becomes of the scratch file, no index is made from it that is wrong.
func TestSorter_ADamagedScratchFileIsFound(t *testing.T) {
	entries := randomEntries(30, 1)
	spill := func() *index.Sorter {
		sorter := index.NewSorter(filepath.Join(t.TempDir(), "scratch"), 1000)
		for _, e := range entries {
			require.NoError(t, sorter.Add(e))
		}
		return sorter
	}
	whole := spill()
	info, err := whole.Scratch().Stat()
	require.NoError(t, err)
	require.NoError(t, whole.Close())
	require.NotZero(t, info.Size())
	for offset := range info.Size() {
		sorter := spill()
		damaged := make([]byte, 1)
		_, err := sorter.Scratch().ReadAt(damaged, offset)
		require.NoError(t, err)
		damaged[0] ^= 1 << (offset % 8)
		_, err = sorter.Scratch().WriteAt(damaged, offset)
		require.NoError(t, err)
		require.Error(t, sorter.Load(func(fn func(*bolt.Tx) error) error { return discard(t, fn) }), "byte %d", offset)
		require.NoError(t, sorter.Close())
	}
	sorter := spill()
	require.NoError(t, sorter.Scratch().Truncate(info.Size()/2))
	require.ErrorContains(t, sorter.Load(func(fn func(*bolt.Tx) error) error { return discard(t, fn) }), "scratch file is damaged")
	require.NoError(t, sorter.Close())
}

// discard runs fn in a transaction on an empty index and forgets what it did.
func discard(t *testing.T, fn func(*bolt.Tx) error) error { return open(t).Update(fn) }

func TestSorter_WithoutRoomForItsScratchFile(t *testing.T) {
	sorter := index.NewSorter(filepath.Join(t.TempDir(), "none", "scratch"), 0)
	require.ErrorIs(t, sorter.Add(index.Entry{Position: 1, Type: "t"}), os.ErrNotExist)
	require.NoError(t, sorter.Close())
}

func BenchmarkSorter(b *testing.B) {
	entries := randomEntries(100_000, 1)
	for b.Loop() {
		db, err := bolt.Open(filepath.Join(b.TempDir(), "db"), 0o600, &bolt.Options{NoSync: true})
		require.NoError(b, err)
		require.NoError(b, db.Update(index.Create))
		sorter := index.NewSorter(filepath.Join(b.TempDir(), "scratch"), 4<<20)
		for _, e := range entries {
			require.NoError(b, sorter.Add(e))
		}
		require.NoError(b, sorter.Load(db.Update))
		require.NoError(b, sorter.Close())
		require.NoError(b, db.Close())
	}
	b.ReportMetric(float64(b.N*len(entries))/b.Elapsed().Seconds(), "events/s")
}
