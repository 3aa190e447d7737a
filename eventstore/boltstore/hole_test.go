package boltstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

// TestStore_WithAHoleIsUsed has a log from which records are missing, as Salvage
// leaves it. Whoever needs them is told; nobody else is hindered.
func TestStore_WithAHoleIsUsed(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "holed", 3)
	_, err = s.Append(t.Context(), eventstore.Commit{Key: "key", Events: []eventstore.NewEvent{{Type: "t"}, {Type: "t"}, {Type: "t"}}})
	require.NoError(t, err)
	appendEvents(t, s, "whole", 3)
	require.NoError(t, s.Close())
	for _, step := range []struct {
		name   string
		damage func(tx *bolt.Tx) error
	}{
		{"missing", func(tx *bolt.Tx) error {
			for _, p := range []eventstore.Position{2, 5} {
				key := record.Key(p)
				if err := tx.Bucket([]byte("log")).Delete(key[:]); err != nil {
					return err
				}
			}
			return nil
		}},
		{"and the index dropped", func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("index")) }},
	} {
		t.Run(step.name, func(t *testing.T) {
			edit(t, path, step.damage)
			s := openUnverified(t, path, nil)
			for range 2 {
				read, at := readUntilCorrupt(t, s, eventstore.Stream("holed"), eventstore.ReadOptions{})
				require.Equal(t, []eventstore.Position{1}, read)
				require.EqualValues(t, 2, at)
				require.NotEmpty(t, positions(t, s, eventstore.Stream("whole")))
				_, _, err := s.Lookup(t.Context(), "key")
				require.ErrorIs(t, err, eventstore.ErrCorrupt)
				_, err = eventstore.AppendTo(t.Context(), s, "whole", eventstore.Exists, eventstore.NewEvent{Type: "t"})
				require.NoError(t, err)
				_, err = eventstore.AppendTo(t.Context(), s, eventstore.StreamID("new-"+step.name+time.Now().String()), eventstore.NoStream, eventstore.NewEvent{Type: "t"})
				require.NoError(t, err)
				read, at = readUntilCorrupt(t, s, eventstore.All(), eventstore.ReadOptions{From: 3, AsOf: time.Now()})
				require.Equal(t, []eventstore.Position{3, 4}, read)
				require.EqualValues(t, 5, at)
			}
			require.NoError(t, s.Close())
		})
	}
}
