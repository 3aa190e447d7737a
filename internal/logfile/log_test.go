package logfile_test

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

var (
	recorded = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	storeID  = uuid.MustParse("01956f1e-7c00-7abc-8def-0123456789ab")
	seed     = record.SeedOf(storeID)
)

// newLog makes an empty log of epoch 7, with bbolt alone, and returns its path.
func newLog(tb testing.TB) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "log.yore")
	update(tb, path, func(tx *bolt.Tx) error {
		return logfile.Create(pages.Write(tx), logfile.Identity{StoreID: storeID, Epoch: 7})
	})
	return path
}

// update changes a closed file.
func update(tb testing.TB, path string, fn func(*bolt.Tx) error) {
	tb.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(tb, err)
	require.NoError(tb, db.Update(fn))
	require.NoError(tb, db.Close())
}

// view looks into a closed file.
func view(tb testing.TB, path string, fn func(*bolt.Tx)) {
	tb.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	require.NoError(tb, err)
	require.NoError(tb, db.View(func(tx *bolt.Tx) error {
		fn(tx)
		return nil
	}))
	require.NoError(tb, db.Close())
}

// rec returns the record of an event with a payload of size bytes, alone in its commit.
func rec(p eventstore.Position, size int) []byte {
	return recAt(p, size, record.Place{I: 0, N: 1}, recorded)
}

func recAt(p eventstore.Position, size int, place record.Place, at time.Time) []byte {
	b, _ := recAfter(0, p, size, place, at)
	return b
}

// recAfter returns the record of an event with the running checksum before it, and the one
// up to it.
func recAfter(chain record.Chain, p eventstore.Position, size int, place record.Place, at time.Time) ([]byte, record.Chain) {
	b := record.Append(nil, &eventstore.NewEvent{ID: uuid.UUID{1}, Type: "t", Data: bytes.Repeat([]byte{byte(p)}, size)}, place, record.Mark{})
	return b, record.Seal(b, seed, chain, p, 0, at)
}

// write puts the records from first through last, each with a payload of size bytes,
// into a closed log in one transaction.
func write(tb testing.TB, path string, first, last eventstore.Position, size int) {
	tb.Helper()
	var w logfile.Writer
	update(tb, path, func(tx *bolt.Tx) error {
		head, _, _ := logfile.ReadHead(pages.View(tx), seed) // the head is that of the transaction before
		w.Begin(pages.Write(tx))
		for p := first; p <= last; p++ {
			var b []byte
			b, head.Chain = recAfter(head.Chain, p, size, record.Place{I: 0, N: 1}, recorded)
			if err := w.Put(p, b); err != nil {
				return err
			}
		}
		if err := w.End(); err != nil {
			return err
		}
		return logfile.PutHead(pages.Write(tx), seed, logfile.Head{Position: last, Chain: head.Chain})
	})
}

// valuesOf returns copies of the values of a log by the position of their last record.
func valuesOf(tb testing.TB, path string) map[eventstore.Position][]byte {
	tb.Helper()
	values := make(map[eventstore.Position][]byte)
	view(tb, path, func(tx *bolt.Tx) {
		require.NoError(tb, tx.Bucket(logfile.LogBucket).ForEach(func(key, value []byte) error {
			p, ok := record.ParseKey(key)
			require.True(tb, ok)
			values[p] = bytes.Clone(value)
			return nil
		}))
	})
	return values
}

// records returns how many records a value of the log holds.
func records(tb testing.TB, last eventstore.Position, value []byte) int {
	tb.Helper()
	key := record.Key(last)
	v, err := logfile.ParseValue(key[:], value)
	require.NoError(tb, err)
	for p, rec := range v.All() {
		_, err := record.Decode(seed, p, rec)
		require.NoError(tb, err)
	}
	return int(v.Last - v.First + 1)
}

func TestWriter_PacksTheRecordsOfATransaction(t *testing.T) {
	path := newLog(t)
	write(t, path, 1, 20, 10) // too few bytes for a pack
	values := valuesOf(t, path)
	require.Len(t, values, 20)

	write(t, path, 21, 220, 250)
	packs, all := 0, 0
	values = valuesOf(t, path)
	for last, value := range values {
		n := records(t, last, value)
		if all += n; n == 1 {
			continue
		}
		packs++
		require.LessOrEqual(t, len(value), 8160)
		require.Greater(t, len(value), 8160-400, "another record would have fit")
		require.LessOrEqual(t, last, eventstore.Position(220-4), "the last records are single values")
	}
	require.Equal(t, 220, all)
	require.Equal(t, 7, packs)

	write(t, path, 221, 300, 250)
	now := valuesOf(t, path)
	for last, value := range values {
		require.Equal(t, value, now[last], "a later transaction changed a value")
	}
}

// TestWriter_KeepsToBoundsOfPacks has records that fit into no pack, and more small ones
// than a pack can hold.
func TestWriter_KeepsToBoundsOfPacks(t *testing.T) {
	path := newLog(t)
	sizes := []int{9000, 3000, 5000, 4000, 20, 9000, 7, 8100, 30}
	update(t, path, func(tx *bolt.Tx) error {
		var w logfile.Writer
		w.Begin(pages.Write(tx))
		for p := eventstore.Position(1); p <= 3000; p++ {
			size := 0
			if p < 200 {
				size = sizes[int(p)%len(sizes)]
			}
			if err := w.Put(p, rec(p, size)); err != nil {
				return err
			}
		}
		return w.End()
	})
	next := eventstore.Position(1)
	view(t, path, func(tx *bolt.Tx) {
		require.NoError(t, tx.Bucket(logfile.LogBucket).ForEach(func(key, value []byte) error {
			v, err := logfile.ParseValue(key, value)
			require.NoError(t, err)
			require.Equal(t, next, v.First)
			for p, got := range v.All() {
				_, err := record.Decode(seed, p, got)
				require.NoError(t, err)
			}
			require.LessOrEqual(t, int(v.Last-v.First+1), record.MaxPacked)
			next = v.Last + 1
			return nil
		}))
	})
	require.EqualValues(t, 3001, next)
}

// TestReader_FindsRecords reads a log with packs and a hole, in every order.
func TestReader_FindsRecords(t *testing.T) {
	path := newLog(t)
	update(t, path, func(tx *bolt.Tx) error {
		var w logfile.Writer
		w.Begin(pages.Write(tx))
		for p := eventstore.Position(1); p <= 300; p++ {
			if p > 100 && p < 110 {
				continue
			}
			if err := w.Put(p, rec(p, 250)); err != nil {
				return err
			}
		}
		return w.End()
	})
	there := func(p eventstore.Position) bool { return p <= 100 || p >= 110 }
	orders := map[string][]int{"forward": nil, "backward": nil, "random": rand.Perm(300)}
	for i := range 300 {
		orders["forward"] = append(orders["forward"], i)
		orders["backward"] = append(orders["backward"], 299-i)
	}
	view(t, path, func(tx *bolt.Tx) {
		for name, order := range orders {
			r := logfile.NewReader(pages.View(tx).Bucket(logfile.LogBucket))
			for _, i := range order {
				p := eventstore.Position(i + 1)
				got, err := r.At(p)
				if there(p) {
					require.NoError(t, err, "position %d, %s", p, name)
					require.Equal(t, rec(p, 250), got)
					continue
				}
				var corrupt *eventstore.CorruptError
				require.ErrorAs(t, err, &corrupt)
				require.Equal(t, p, corrupt.Position)
			}
		}
	})
}

func TestParseValue_RefusesKeysThatAreNoPosition(t *testing.T) {
	zero := record.Key(0)
	for _, key := range [][]byte{nil, {1}, zero[:], bytes.Repeat([]byte{1}, 9)} {
		_, err := logfile.ParseValue(key, rec(1, 10))
		require.ErrorIs(t, err, eventstore.ErrCorrupt)
	}
}
