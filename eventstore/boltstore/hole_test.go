package boltstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
)

// holed makes a log of nine events: positions 1 to 3 are of stream "holed", 4 to 6 one
// commit with the key "key", and 7 to 9 of stream "whole". Its index is on disk.
func holed(t *testing.T) (path string) {
	path = logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "holed", 3)
	_, err = s.Append(t.Context(), eventstore.Commit{Key: "key", Events: []eventstore.NewEvent{{Type: "t"}, {Type: "t"}, {Type: "t"}}})
	require.NoError(t, err)
	appendEvents(t, s, "whole", 3)
	require.NoError(t, s.Close())
	writeIndex(t, path)
	return path
}

// holeSteps are the changes of the log of holed, one after the other.
var holeSteps = []struct {
	name        string
	damage      func(tx *bolt.Tx) error
	indexMemory int
}{
	{"missing", func(tx *bolt.Tx) error {
		return errors.Join(deleteRecords(tx, 2, 5), logfile.PutHole(pages.Write(tx), seedOf(tx), 2, 2), logfile.PutHole(pages.Write(tx), seedOf(tx), 5, 5))
	}, 0},
	{"and the index dropped", func(tx *bolt.Tx) error { return tx.DeleteBucket(indexBucket) }, 0},
	{"and written from what is left", func(tx *bolt.Tx) error { return tx.DeleteBucket(indexBucket) }, 1},
	{"and read from the file", func(*bolt.Tx) error { return nil }, 1},
}

// TestStore_WithAHoleIsUsed has a log from which records are missing, as Salvage
// leaves it. Reads that need one of them fail, all others work, whether or not the
// index has what was in the hole.
func TestStore_WithAHoleIsUsed(t *testing.T) {
	path := holed(t)
	for _, step := range holeSteps {
		t.Run(step.name, func(t *testing.T) {
			edit(t, path, step.damage)
			s := openUnverified(t, path, &boltstore.Options{IndexMemory: step.indexMemory})
			for i := range 2 {
				read, at := readUntilCorrupt(t, s, eventstore.Stream("holed"), eventstore.ReadOptions{})
				require.Equal(t, []eventstore.Position{1}, read)
				require.EqualValues(t, 2, at)
				read, at = readUntilCorrupt(t, s, eventstore.Stream("holed"), eventstore.ReadOptions{FromVersion: 2})
				require.Empty(t, read)
				require.EqualValues(t, 2, at)
				read, at = readUntilCorrupt(t, s, eventstore.Stream("holed"), eventstore.ReadOptions{ToVersion: 2})
				require.Subset(t, []eventstore.Position{1}, read)
				require.EqualValues(t, 2, at)
				read, _ = readUntilCorrupt(t, s, eventstore.Stream("holed"), eventstore.ReadOptions{ToVersion: 1})
				require.Equal(t, []eventstore.Position{1}, read)
				var behind []eventstore.Position
				for e, err := range s.Read(t.Context(), eventstore.Stream("holed"), eventstore.ReadOptions{FromVersion: 3}) {
					require.NoError(t, err)
					behind = append(behind, e.Position)
				}
				require.Equal(t, []eventstore.Position{3}, behind)
				read, at = readUntilCorrupt(t, s, eventstore.Match(eventstore.Item{Types: []string{"t"}}), eventstore.ReadOptions{From: 3})
				require.Equal(t, []eventstore.Position{3, 4}, read[:2])
				if step.name == "missing" {
					require.EqualValues(t, 5, at, "the index knows of it")
				} else {
					require.Equal(t, []eventstore.Position{6, 7, 8, 9}, read[2:6])
					require.Zero(t, at)
				}
				require.NotEmpty(t, positions(t, s, eventstore.Stream("whole")))
				_, _, err := s.Lookup(t.Context(), "key")
				require.ErrorIs(t, err, eventstore.ErrCorrupt)
				_, err = eventstore.AppendTo(t.Context(), s, "whole", eventstore.Exists, eventstore.NewEvent{Type: "t"})
				require.NoError(t, err)
				_, err = eventstore.AppendTo(t.Context(), s, eventstore.StreamID(fmt.Sprint("new-", step.name, i)), eventstore.NoStream, eventstore.NewEvent{Type: "t"})
				require.NoError(t, err)
				read, at = readUntilCorrupt(t, s, eventstore.All(), eventstore.ReadOptions{From: 3, AsOf: time.Now()})
				require.Equal(t, []eventstore.Position{3, 4}, read)
				require.EqualValues(t, 5, at)
			}
			require.NoError(t, s.Close())
			if step.indexMemory > 0 {
				require.GreaterOrEqual(t, through(t, path), eventstore.Position(9))
			}
		})
	}
}
