package boltstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/internal/record"
)

// large returns n events with records of about 300 bytes. About 25 of them fill a pack.
func large(n int) []eventstore.NewEvent {
	list := events(n)
	for i := range list {
		list[i].Data = bytes.Repeat([]byte{byte(i)}, 250)
	}
	return list
}

// largeLog makes a log of n large events, of one commit.
func largeLog(tb testing.TB, n int) (path string) {
	tb.Helper()
	path = logPath(tb)
	s, err := boltstore.Open(path, nil)
	require.NoError(tb, err)
	_, err = s.Append(tb.Context(), eventstore.Commit{Events: large(n)})
	require.NoError(tb, err)
	require.NoError(tb, s.Close())
	return path
}

// packsOf returns the positions of the last records of a log's packs.
func packsOf(tb testing.TB, path string) (lasts []eventstore.Position) {
	tb.Helper()
	for p, v := range valuesOf(tb, path) {
		if v.records > 1 {
			lasts = append(lasts, p)
		}
	}
	slices.Sort(lasts)
	return lasts
}

// packed describes a value of the log's bucket.
type packed struct {
	records int
	size    int
	offset  int64 // in the file
}

// valuesOf returns the values of a log by the position of their last record.
func valuesOf(tb testing.TB, path string) map[eventstore.Position]packed {
	tb.Helper()
	values := make(map[eventstore.Position]packed)
	inFile(tb, path, func(tx *bolt.Tx) {
		require.NoError(tb, tx.Bucket([]byte("log")).ForEach(func(key, b []byte) error {
			last, ok := record.ParseKey(key)
			require.True(tb, ok)
			v, err := record.ParseValue(last, b)
			require.NoError(tb, err)
			offset := int64(uintptr(unsafe.Pointer(unsafe.SliceData(b))) - tx.DB().Info().Data)
			values[last] = packed{int(v.Last - v.First + 1), len(b), offset}
			return nil
		}))
	})
	return values
}

func TestLog_PacksWhatOneTransactionBrings(t *testing.T) {
	path := logPath(t)
	s := open(t, path, nil)
	appendEvents(t, s, "few", 20)
	_, err := s.Append(t.Context(), eventstore.Commit{Events: large(200)})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	values := valuesOf(t, path)
	first := values
	var packs, records int
	for last, v := range values {
		records += v.records
		if v.records == 1 {
			continue
		}
		packs++
		require.LessOrEqual(t, v.size, 8160)
		require.Greater(t, v.size, 8160-400, "another record would have fit in")
		require.LessOrEqual(t, last, eventstore.Position(220-4), "the last records are single values")
	}
	require.Equal(t, 220, records)
	require.Equal(t, 7, packs)
	for p := eventstore.Position(1); p <= 20; p++ {
		require.Equal(t, 1, values[p].records)
	}

	s = open(t, path, nil)
	for range 100 {
		appendEvents(t, s, "few", 1)
	}
	require.NoError(t, s.Close())
	values = valuesOf(t, path)
	for last, v := range first {
		if v.records > 1 {
			require.Equal(t, v, values[last], "a pack was written again")
		}
	}
}

// TestLog_AnyMixture appends commits of all sizes, some with records that fit into no pack, and
// compares what is read with the oracle.
func TestLog_AnyMixture(t *testing.T) {
	path := logPath(t)
	s, oracle := open(t, path, nil), memstore.New(nil)
	sizes := []int{0, 30, 8000, 300, 300, 300, 8160, 20, 5000, 2500, 100_000, 1}
	for i, n := range []int{1, 300, 3, 70, 40, 1, 1, 700, 26, 27, 28, 29, 30} {
		c := eventstore.Commit{Events: events(n)}
		for j := range min(n, 5) {
			c.Expect = append(c.Expect, eventstore.Expect{Stream: eventstore.StreamID(fmt.Sprint("s-", j)), At: eventstore.Any})
		}
		for j := range c.Events {
			c.Events[j].Stream = eventstore.StreamID(fmt.Sprint("s-", j%5))
			c.Events[j].Data = bytes.Repeat([]byte{byte(j)}, sizes[(i*7+j)%len(sizes)]*min(1, (i+j)%3))
		}
		_, err := s.Append(t.Context(), c)
		require.NoError(t, err)
		_, err = oracle.Append(t.Context(), c)
		require.NoError(t, err)
	}
	check := func(t *testing.T, s eventstore.Store) {
		head, err := s.Head(t.Context())
		require.NoError(t, err)
		for _, q := range []eventstore.Query{eventstore.All(), eventstore.Stream("s-3"), eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"n:4"}})} {
			for _, backward := range []bool{false, true} {
				for from := eventstore.Position(1); from <= head; from += 7 {
					opts := eventstore.ReadOptions{From: from, To: from + 60, Backward: backward, Limit: 40}
					require.Equal(t, read(t, oracle, q, opts), read(t, s, q, opts), "%v %+v", q, opts)
				}
			}
		}
	}
	check(t, s)
	require.NoError(t, s.Close())
	require.Greater(t, len(valuesOf(t, path)), 50)
	again := open(t, path, nil)
	check(t, again)
	require.NoError(t, again.Close())
	writeIndex(t, path)
	check(t, open(t, path, nil))
}

// read returns the positions and payloads that a read yields.
func read(tb testing.TB, s eventstore.Store, q eventstore.Query, opts eventstore.ReadOptions) (list []string) {
	tb.Helper()
	for e, err := range s.Read(tb.Context(), q, opts) {
		require.NoError(tb, err)
		list = append(list, fmt.Sprintf("%d %s %d %d %x", e.Position, e.Stream, e.Version, len(e.Data), e.Data[:min(1, len(e.Data))]))
	}
	return list
}

// TestBackup_FromTheMiddleOfAPack begins after a position inside a pack.
func TestBackup_FromTheMiddleOfAPack(t *testing.T) {
	s := open(t, logPath(t), nil)
	_, err := s.Append(t.Context(), eventstore.Commit{Events: large(100)})
	require.NoError(t, err)
	var whole, rest bytes.Buffer
	_, err = s.Backup(t.Context(), &whole, nil)
	require.NoError(t, err)
	m, err := s.Backup(t.Context(), &rest, &boltstore.BackupOptions{After: 33})
	require.NoError(t, err)
	require.Equal(t, 67, m.Events)
	_, err = boltstore.VerifyBackup(t.Context(), &rest)
	require.NoError(t, err)
}

// packDamages change a pack of n records, whose table of ends begins at byte 2 and is
// followed by the records. lost are the indexes of the first and last record that
// cannot be read then.
func packDamages(n int) map[string]packDamage {
	table := 2 + 2*n
	return map[string]packDamage{
		"a byte of a record":    {func(b []byte) []byte { b[table+500]++; return b }, 1, 1},
		"where a record ends":   {func(b []byte) []byte { b[2+2*7+1]++; return b }, 7, 8},
		"where the last ends":   {func(b []byte) []byte { b[table-1]++; return b }, n - 1, n - 1},
		"one record more":       {func(b []byte) []byte { b[1]++; return b }, 0, n - 1},
		"one record less":       {func(b []byte) []byte { b[1]--; return b }, 0, n - 1},
		"of no records":         {func(b []byte) []byte { b[1] = 0; return b }, 0, n - 1},
		"the format of a value": {func(b []byte) []byte { b[0] = 7; return b }, 0, n - 1},
		"that of a record":      {func(b []byte) []byte { b[0] = 1; return b }, 0, n - 1},
		"cut short":             {func(b []byte) []byte { return b[:len(b)-1] }, n - 1, n - 1},
		"the last record alone": {func(b []byte) []byte { return b[len(b)-300:] }, 0, n - 1},
		"one byte of it":        {func(b []byte) []byte { return b[:1] }, 0, n - 1},
		"nothing of it":         {func([]byte) []byte { return nil }, 0, n - 1},
	}
}

type packDamage struct {
	damage      func(value []byte) []byte
	first, last int
}

// TestLog_DamagedPacks damages a pack in each of its parts.
func TestLog_DamagedPacks(t *testing.T) {
	healthy := logPath(t)
	s, err := boltstore.Open(healthy, nil)
	require.NoError(t, err)
	appendEvents(t, s, "before", 5)
	_, err = eventstore.AppendTo(t.Context(), s, "packed", eventstore.NoStream, large(100)...)
	require.NoError(t, err)
	appendEvents(t, s, "behind", 5)
	logged := all(t, s)
	require.NoError(t, s.Close())
	values, last := valuesOf(t, healthy), packsOf(t, healthy)[1]
	n := values[last].records
	first := last - eventstore.Position(n) + 1

	for name, tt := range packDamages(n) {
		t.Run(name, func(t *testing.T) {
			path := copyFile(t, healthy)
			edit(t, path, func(tx *bolt.Tx) error {
				log := tx.Bucket([]byte("log"))
				return log.Put(logKey(last), tt.damage(bytes.Clone(log.Get(logKey(last)))))
			})
			lost := span(first+eventstore.Position(tt.first), first+eventstore.Position(tt.last))
			for _, readOnly := range []bool{true, false} {
				s := openUnverified(t, path, &boltstore.Options{ReadOnly: readOnly})
				requireLost(t, s, logged, lost)
				require.NoError(t, s.Close())
			}
			into := filepath.Join(t.TempDir(), "salvaged")
			result, err := boltstore.Salvage(t.Context(), path, into, nil)
			require.NoError(t, err)
			requireSalvaged(t, into, logged, result)
			require.LessOrEqual(t, int(result.MissingEvents), len(lost))
		})
	}
}

// requireLost requires that the lost positions, and no others, are errors.
func requireLost(t *testing.T, s *boltstore.Store, logged []eventstore.Event, lost []eventstore.Position) {
	t.Helper()
	for _, e := range logged {
		got, err := readOne(t, s, e.Position)
		if !slices.Contains(lost, e.Position) {
			require.NoError(t, err)
			require.Equal(t, e, got)
			continue
		}
		var corrupt *eventstore.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.Equal(t, e.Position, corrupt.Position)
	}
	_, at := readUntilCorrupt(t, s, eventstore.All(), eventstore.ReadOptions{})
	require.Equal(t, lost[0], at)
	_, at = readUntilCorrupt(t, s, eventstore.All(), eventstore.ReadOptions{Backward: true})
	require.Equal(t, lost[len(lost)-1], at)
	v, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, len(logged)-len(lost), v.Events)
	require.False(t, v.OK())
}

// unreadablePacks damage the pack whose last record is at a position, or what leads to
// it.
var unreadablePacks = map[string]func(t *testing.T, path string, last eventstore.Position){
	"its key is a lower one": func(t *testing.T, path string, last eventstore.Position) {
		overwrite(t, path, valuesOf(t, path)[last].offset-8, logKey(0))
	},
	"its key is a higher one": func(t *testing.T, path string, last eventstore.Position) {
		overwrite(t, path, valuesOf(t, path)[last].offset-8, logKey(last+1<<40))
	},
	"its key is too long": func(t *testing.T, path string, last eventstore.Position) {
		edit(t, path, func(tx *bolt.Tx) error {
			log := tx.Bucket([]byte("log"))
			return errors.Join(copyValue(log, append(logKey(last), 0), log, logKey(last)), log.Delete(logKey(last)))
		})
	},
	"a key that is no position leads astray": func(t *testing.T, path string, last eventstore.Position) {
		edit(t, path, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("log")).Put(append(logKey(last-1), 0), []byte("stray"))
		})
	},
	"its records": func(t *testing.T, path string, last eventstore.Position) {
		v := valuesOf(t, path)[last]
		overwrite(t, path, v.offset+100, make([]byte, v.size-100))
	},
	"its beginning": func(t *testing.T, path string, last eventstore.Position) {
		overwrite(t, path, valuesOf(t, path)[last].offset, []byte{1})
	},
	"how many it has": func(t *testing.T, path string, last eventstore.Position) {
		v := valuesOf(t, path)[last]
		overwrite(t, path, v.offset+1, []byte{byte(v.records - 3)})
	},
}

// A stream whose last event may be in a pack that cannot be read, or that a damaged key
// hides, takes no append that expects a version; nor is a key that the pack may have
// used again.
func TestLog_AnAppendBehindADamagedPack(t *testing.T) {
	for name, damage := range unreadablePacks {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			s, err := boltstore.Open(path, nil)
			require.NoError(t, err)
			appendEvents(t, s, "a", 1)
			_, err = s.Append(t.Context(), eventstore.Commit{Key: "key", Events: large(40)})
			require.NoError(t, err)
			appendEvents(t, s, "c", 1)
			require.NoError(t, s.Close())
			edit(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(indexBucket) })
			damage(t, path, packsOf(t, path)[0])
			s = openUnverified(t, path, nil)
			_, err = eventstore.AppendTo(t.Context(), s, "a", eventstore.At(1), eventstore.NewEvent{Type: "t"})
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			_, err = s.Append(t.Context(), eventstore.Commit{Key: "key", Events: large(1)})
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			_, err = eventstore.AppendTo(t.Context(), s, "c", eventstore.At(1), eventstore.NewEvent{Type: "t"})
			require.NoError(t, err)
			v, err := s.Verify(t.Context(), nil)
			require.NoError(t, err)
			require.False(t, v.OK())
		})
	}
}

// The head of a log whose last values are all damaged is where they end.
func TestOpen_ADamagedEndWithPacks(t *testing.T) {
	for name, tt := range map[string]struct {
		damage func(pack []byte)
		whole  func(packs []eventstore.Position) eventstore.Position
	}{
		"the last record of a pack": {func(b []byte) { b[len(b)-1]++ }, func(packs []eventstore.Position) eventstore.Position { return packs[1] - 1 }},
		"a pack":                    {func(b []byte) { b[1] = 0 }, func(packs []eventstore.Position) eventstore.Position { return packs[0] }},
	} {
		t.Run(name, func(t *testing.T) {
			path := largeLog(t, 60)
			packs := packsOf(t, path)
			require.Len(t, packs, 2)
			whole := tt.whole(packs)
			edit(t, path, func(tx *bolt.Tx) error {
				log, key := tx.Bucket([]byte("log")), record.Key(packs[1])
				pack := bytes.Clone(log.Get(key[:]))
				tt.damage(pack)
				err := log.Put(key[:], pack)
				for p := packs[1] + 1; p <= 60; p++ {
					key := record.Key(p)
					err = errors.Join(err, log.Put(key[:], []byte("damaged")))
				}
				return err
			})
			_, err := boltstore.Open(path, nil)
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			damaged := openUnverified(t, path, &boltstore.Options{ReadOnly: true})
			head, err := damaged.Head(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 60, head)
			read, at := readUntilCorrupt(t, damaged, eventstore.All(), eventstore.ReadOptions{})
			require.Equal(t, span(1, whole), read)
			require.Equal(t, whole+1, at)
			v, err := damaged.Verify(t.Context(), nil)
			require.NoError(t, err)
			require.EqualValues(t, whole, v.Events)
		})
	}
}

// A finding about a pack that cannot be read names all positions that it may have.
func TestVerify_APackThatCannotBeRead(t *testing.T) {
	path := largeLog(t, 100)
	packs := packsOf(t, path)
	first, last := packs[0]+1, packs[1]
	overwrite(t, path, valuesOf(t, path)[last].offset+1, []byte{0})
	v, err := openUnverified(t, path, &boltstore.Options{ReadOnly: true}).Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 100-int(last-first+1), v.Events)
	require.Equal(t, boltstore.DamagedRecord, v.Findings[0].Kind)
	require.Equal(t, first, v.Findings[0].Position)
	require.Contains(t, v.Findings[0].Problem, fmt.Sprintf("positions %d to %d are in a damaged pack", first, last))
}

// The writer does not keep a large commit in memory when it is written.
func TestLog_MemoryOfALargeCommit(t *testing.T) {
	inUse := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	s := open(t, logPath(t), nil)
	before := inUse()
	list := events(30_000)
	for i := range list {
		list[i].Data = make([]byte, 900)
	}
	_, err := s.Append(t.Context(), eventstore.Commit{Events: list})
	require.NoError(t, err)
	require.Less(t, inUse()-before, 80<<20, "the tail has some 30 MiB of them")
}

func copyFile(tb testing.TB, path string) string {
	tb.Helper()
	content, err := os.ReadFile(path)
	require.NoError(tb, err)
	to := logPath(tb)
	require.NoError(tb, os.WriteFile(to, content, 0o600))
	return to
}

func span(first, last eventstore.Position) (list []eventstore.Position) {
	for p := first; p <= last; p++ {
		list = append(list, p)
	}
	return list
}
