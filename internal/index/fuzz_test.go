package index_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
)

// FuzzReader puts any value under any key of an index, or takes postings away.
// Walks and look-ups end, and find nothing that they should not without saying
// that the index is not usable; what Check and Scan do not object to is as it was.
func FuzzReader(f *testing.F) {
	log := make([]index.Entry, 120)
	for i := range log {
		log[i] = index.Entry{
			Position: eventstore.Position(i + 1), Stream: eventstore.StreamID(fmt.Sprint("s-", i%3)), Version: eventstore.Version(i/3 + 1),
			Type: fmt.Sprint("t-", i%2), Tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint("n:", i%7))}, Key: fmt.Sprint("k-", i),
		}
	}
	db, err := bolt.Open(filepath.Join(f.TempDir(), "index.db"), 0o600, &bolt.Options{NoSync: true})
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, db.Close()) })
	require.NoError(f, db.Update(func(tx *bolt.Tx) error {
		if err := index.Create(tx); err != nil {
			return err
		}
		return index.Add(tx, log)
	}))
	f.Add([]byte("ss-1\x00\x00\x00\x00\x00\x00\x00\x00\x02"), []byte("12345678abcd"), uint16(9), uint16(0))
	f.Add([]byte{0}, []byte{}, uint16(500), uint16(3))
	f.Add([]byte("kk-3\x00\x00\x00\x00\x00\x00\x00\x00\x04"), []byte{1, 2, 3, 4}, uint16(0), uint16(2))
	f.Fuzz(func(t *testing.T, key, value []byte, lost, damaged uint16) {
		tx, err := db.Begin(true)
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback()) }()
		mutate(t, tx.Bucket([]byte(index.Bucket)), key, value, lost, damaged)
		whole := checkAll(t, tx, log)
		reader, err := index.NewReader(tx, log[len(log)-1].Position)
		if err != nil {
			require.ErrorIs(t, err, index.ErrUnusable)
			require.False(t, whole, "Check and Scan object to nothing in an index that cannot be read")
			return
		}
		requireAgreement(t, reader, log, whole)
	})
}

// mutate puts a value under a key, takes away the posting with number lost, and
// changes a byte of the value of the one with number damaged, unless they are 0.
func mutate(t *testing.T, b *bolt.Bucket, key, value []byte, lost, damaged uint16) {
	var keys, values [][]byte
	require.NoError(t, b.ForEach(func(k, v []byte) error {
		keys, values = append(keys, bytes.Clone(k)), append(values, bytes.Clone(v))
		return nil
	}))
	if len(key) > 0 && len(key) <= bolt.MaxKeySize {
		require.NoError(t, b.Put(key, value))
	}
	if lost > 0 {
		require.NoError(t, b.Delete(keys[int(lost)%len(keys)]))
	}
	if damaged > 0 {
		i := int(damaged) % len(keys)
		values[i][int(damaged)%len(values[i])]++
		require.NoError(t, b.Put(keys[i], values[i]))
	}
}

// checkAll reports whether Check and Scan find the index whole.
func checkAll(t *testing.T, tx *bolt.Tx, log []index.Entry) bool {
	whole := true
	object := func(eventstore.Position, string) { whole = false }
	found, err := index.Check(tx, log, object)
	require.NoError(t, err)
	through, err := index.Through(tx)
	if err != nil || through < eventstore.Position(len(log)) {
		whole = false
	}
	counted := 0
	for from, more := []byte(nil), true; more; more = from != nil {
		var n int
		n, from, err = index.Scan(tx, from, 50, eventstore.Position(len(log)), object)
		require.NoError(t, err)
		counted += n
	}
	return whole && counted == found
}

// requireAgreement compares what the reader answers with the log, unless the
// reader says that the index is not usable. Something may be left out then only
// if the index is not whole.
func requireAgreement(t *testing.T, reader *index.Reader, log []index.Entry, whole bool) {
	queries := []eventstore.Query{
		eventstore.Stream("s-1"), eventstore.Category("s"), eventstore.Match(eventstore.Item{Types: []string{"t-1"}, Tags: []eventstore.Tag{"n:3"}}),
		eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"n:1"}}, eventstore.Item{Streams: []eventstore.StreamID{"s-2", "s-0"}, Types: []string{"t-0"}}),
	}
	for _, q := range queries {
		for _, backward := range []bool{false, true} {
			found := matches(reader, q, 1, eventstore.Position(len(log)), backward)
			if reader.Err() != nil {
				require.ErrorIs(t, reader.Err(), index.ErrUnusable)
				return
			}
			want := 0
			for i := range log {
				if q.Matches(log[i].Stream, log[i].Type, log[i].Tags) {
					want++
				}
			}
			if whole {
				require.Len(t, found, want, "%v, backward %v", q, backward)
			}
		}
	}
	p, v := reader.Head("s-1")
	if whole && reader.Err() == nil {
		require.EqualValues(t, []uint64{119, 40}, []uint64{uint64(p), uint64(v)})
		require.EqualValues(t, 4, reader.Key("k-3"))
	}
	_ = reader.At("s-1", 7)
}
