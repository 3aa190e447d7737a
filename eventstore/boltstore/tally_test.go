package boltstore_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// commitRandomRows commits changes of up to 50 rows of the view "v".
func commitRandomRows(t *testing.T, s *boltstore.Store, random *rand.Rand) (at eventstore.Checkpoint) {
	for i := range 100 {
		next := eventstore.Checkpoint{Position: eventstore.Position(i + 1)}
		changes := make([]eventstore.Row, 1+random.IntN(10))
		for j := range changes {
			changes[j] = eventstore.Row{RowKey: eventstore.RowKey{Table: "t", Key: fmt.Append(nil, random.IntN(50))}}
			if random.IntN(3) > 0 {
				changes[j].Value = make([]byte, random.IntN(20))
			}
		}
		require.NoError(t, s.CommitRows(t.Context(), eventstore.RowCommit{View: "v", Expected: at, Checkpoint: next, Rows: changes}))
		at = next
	}
	return at
}

// countRows counts the rows of the view "v" in all layers, and adds up their checksums.
func countRows(t *testing.T, tx *bolt.Tx) (count, sum uint64) {
	layers := []*bolt.Bucket{bucketIn(tx, "rows", "v"), bucketIn(tx, "changes", "v")}
	for _, layer := range layers {
		if layer == nil { // all changes have been folded
			continue
		}
		require.NoError(t, layer.ForEach(func(key, value []byte) error {
			if len(key) > 1 {
				count++
				sum += uint64(binary.BigEndian.Uint32(value[len(value)-4:]))
			}
			return nil
		}))
	}
	return count, sum
}

// TestCommitRows_KeepsATally compares the tally with the rows after random changes.
func TestCommitRows_KeepsATally(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s", 100)
	at := commitRandomRows(t, s, rand.New(rand.NewPCG(seed, 0)))
	require.NoError(t, s.Close())
	inFile(t, path, func(tx *bolt.Tx) {
		count, sum := countRows(t, tx)
		require.Greater(t, count, uint64(10))
		tally := bucketIn(tx, "rows", "v").Get([]byte{0})
		require.Len(t, tally, 40)
		require.Equal(t, count, binary.BigEndian.Uint64(tally))
		require.Equal(t, sum, binary.BigEndian.Uint64(tally[8:]))
	})

	s = open(t, path, nil)
	for more := true; more; {
		more, err = s.DropRows(t.Context(), "v", 7)
		require.NoError(t, err)
	}
	require.NoError(t, s.CommitRows(t.Context(), eventstore.RowCommit{View: "v", Checkpoint: at, Rows: []eventstore.Row{
		{RowKey: eventstore.RowKey{Table: "t", Key: []byte("k")}, Value: []byte("v")},
	}}))
	require.NoError(t, s.Close())
	inFile(t, path, func(tx *bolt.Tx) {
		require.EqualValues(t, 1, binary.BigEndian.Uint64(bucketIn(tx, "rows", "v").Get([]byte{0})))
	})
}
