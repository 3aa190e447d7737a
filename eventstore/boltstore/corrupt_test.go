package boltstore_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// damaged makes a log of ten events of stream "s-1", except position 5, which is of "s-2";
// damages the file; and opens it. With indexed, the index is in the file; otherwise Open
// makes it from what is left.
func damaged(t *testing.T, indexed bool, damage func(tx *bolt.Tx) error) *boltstore.Store {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s-1", 4)
	appendEvents(t, s, "s-2", 1)
	appendEvents(t, s, "s-1", 5)
	require.NoError(t, s.Close())
	if indexed {
		writeIndex(t, path)
	}
	edit(t, path, damage)
	return openUnverified(t, path, nil)
}

// readUntilCorrupt returns the positions read before a CorruptError, and the position of that
// error, 0 if there was none.
func readUntilCorrupt(t *testing.T, s *boltstore.Store, q eventstore.Query, opts eventstore.ReadOptions) (read []eventstore.Position, at eventstore.Position) {
	for e, err := range s.Read(t.Context(), q, opts) {
		if err == nil {
			read = append(read, e.Position)
			continue
		}
		var corrupt *eventstore.CorruptError
		require.ErrorAs(t, err, &corrupt)
		require.ErrorIs(t, err, eventstore.ErrCorrupt)
		at = corrupt.Position
	}
	return read, at
}

func TestRead_ADamagedRecordIsReportedAndTheRestIsReadable(t *testing.T) {
	key := logKey(7)
	tests := map[string]func(log *bolt.Bucket) error{
		"a changed byte": func(log *bolt.Bucket) error {
			value := append([]byte{}, log.Get(key)...)
			value[len(value)-6]++
			return log.Put(key, value)
		},
		"another's record": func(log *bolt.Bucket) error { return copyValue(log, key, log, logKey(8)) },
		"no record":        func(log *bolt.Bucket) error { return log.Delete(key) },
		"too short":        func(log *bolt.Bucket) error { return log.Put(key, []byte{1, 2, 3}) },
	}
	for name, damage := range tests {
		for _, indexed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, indexed %v", name, indexed), func(t *testing.T) {
				s := damaged(t, indexed, func(tx *bolt.Tx) error { return damage(tx.Bucket([]byte("log"))) })
				requireReadableBesideSeven(t, s, indexed || name == "a changed byte")
				requireFollowedToSix(t, s)
				appendEvents(t, s, "s-1", 1) // versions and appends do not depend on it
			})
		}
	}
}

// requireReadableBesideSeven reads the log of damaged, whose record at position 7
// cannot be read. known says whether its stream is.
func requireReadableBesideSeven(t *testing.T, s *boltstore.Store, known bool) {
	t.Helper()
	read, at := readUntilCorrupt(t, s, eventstore.Stream("s-1"), eventstore.ReadOptions{})
	require.Equal(t, []eventstore.Position{1, 2, 3, 4, 6}, read)
	require.EqualValues(t, 7, at)
	for _, q := range []eventstore.Query{eventstore.All(), eventstore.Category("s")} {
		read, at := readUntilCorrupt(t, s, q, eventstore.ReadOptions{})
		require.Equal(t, []eventstore.Position{1, 2, 3, 4, 5, 6}, read)
		require.EqualValues(t, 7, at)
		read, at = readUntilCorrupt(t, s, q, eventstore.ReadOptions{Backward: true})
		require.Equal(t, []eventstore.Position{10, 9, 8}, read)
		require.EqualValues(t, 7, at)
		read, at = readUntilCorrupt(t, s, q, eventstore.ReadOptions{From: 8})
		require.Equal(t, []eventstore.Position{8, 9, 10}, read)
		require.Zero(t, at)
	}
	read, at = readUntilCorrupt(t, s, eventstore.Stream("s-2"), eventstore.ReadOptions{})
	require.Equal(t, []eventstore.Position{5}, read)
	if known {
		require.Zero(t, at)
	} else {
		require.EqualValues(t, 7, at, "the record may be of the stream")
	}
}

// requireFollowedToSix follows the log of damaged until the error.
func requireFollowedToSix(t *testing.T, s *boltstore.Store) {
	t.Helper()
	var followed []eventstore.Position
	for batch, err := range s.Follow(t.Context(), eventstore.All(), 0) {
		if err != nil {
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			break
		}
		for _, e := range batch.Events {
			followed = append(followed, e.Position)
		}
		require.LessOrEqual(t, batch.Through, eventstore.Position(6), "a follower was led past a damaged record")
	}
	require.Equal(t, []eventstore.Position{1, 2, 3, 4, 5, 6}, followed)
}

// TestFollow_ADamagedRecordBesideTheEndOfABatch has a record that the index does not know
// beside the last event of a batch. A follower of its stream stops before it; a follower of
// another stream goes on.
func TestFollow_ADamagedRecordBesideTheEndOfABatch(t *testing.T) {
	const all = 300
	for position := eventstore.Position(255); position <= 258; position++ {
		for _, stream := range []eventstore.StreamID{"s-1", "s-2"} {
			t.Run(fmt.Sprint("position ", position, " of ", stream), func(t *testing.T) {
				path := logPath(t)
				s, err := boltstore.Open(path, nil)
				require.NoError(t, err)
				for p := eventstore.Position(1); p <= all; p++ {
					of := eventstore.StreamID("s-1")
					if p == position {
						of = stream
					}
					appendEvents(t, s, of, 1)
				}
				require.NoError(t, s.Close())
				edit(t, path, damageRecord(position))
				s = openUnverified(t, path, nil)
				var followed []eventstore.Position
				for batch, err := range s.Follow(t.Context(), eventstore.Stream("s-1"), 0) {
					if err != nil {
						require.ErrorIs(t, err, eventstore.ErrCorrupt)
						break
					}
					for _, e := range batch.Events {
						followed = append(followed, e.Position)
					}
					if batch.Through >= position {
						require.Equal(t, eventstore.StreamID("s-2"), stream, "a follower was led past a damaged record")
					}
					if batch.Live {
						break
					}
				}
				require.Len(t, followed, map[eventstore.StreamID]int{"s-1": int(position) - 1, "s-2": all - 1}[stream])
			})
		}
	}
}

// Pages of the file that are overwritten lead to errors, in Open or later, and
// never to a panic.
func TestStore_OverwrittenPagesAreErrors(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	for i := range 20 {
		appendEvents(t, s, eventstore.StreamID(fmt.Sprint("s-", i)), 100)
	}
	require.NoError(t, s.Close())
	writeIndex(t, path)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	page, found := os.Getpagesize(), 0
	for offset := 0; offset < min(len(content), 100*page); offset += page {
		garbage := append([]byte{}, content...)
		for i := range page {
			garbage[offset+i] = byte(i*7 + offset)
		}
		require.NoError(t, os.WriteFile(path, garbage, 0o600))
		if err := readAll(t, path); err != nil {
			found++
		}
	}
	require.Positive(t, found)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	require.NoError(t, readAll(t, path))
}

func readAll(t *testing.T, path string) error {
	s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, q := range []eventstore.Query{eventstore.All(), eventstore.Stream("s-3"), eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"n:3"}})} {
		for _, err := range s.Read(t.Context(), q, eventstore.ReadOptions{}) {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// rowKey is the key of a row of the views of twoViews.
func rowKey(k string) eventstore.RowKey { return eventstore.RowKey{Table: "t", Key: []byte(k)} }

// twoViews makes a log of one event and the views "v" and "w", each with the rows "a"
// and "b".
func twoViews(t *testing.T) (path string) {
	path = logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s-1", 1)
	for _, view := range []eventstore.ViewID{"v", "w"} {
		require.NoError(t, s.CommitRows(t.Context(), eventstore.RowCommit{
			View: view, Checkpoint: eventstore.Checkpoint{Position: 1},
			Rows: []eventstore.Row{{RowKey: rowKey("a"), Value: []byte("1")}, {RowKey: rowKey("b"), Value: []byte("2")}},
		}))
	}
	require.NoError(t, s.Close())
	return path
}

func TestGetRows_ADamagedRowIsReported(t *testing.T) {
	path := twoViews(t)
	edit(t, path, func(tx *bolt.Tx) error { // the row of another key
		rows := tx.Bucket([]byte("rows")).Bucket([]byte("v"))
		return copyValue(rows, []byte("t\x00a"), rows, []byte("t\x00b"))
	})
	s := openUnverified(t, path, nil)
	_, err := s.GetRows(t.Context(), "v", rowKey("a"))
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.ErrorContains(t, err, `view "v", table "t", key "a"`)
	for _, err = range s.ScanRows(t.Context(), "v", eventstore.RowScan{Table: "t"}) {
	}
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	set, err := s.GetRows(t.Context(), "v", rowKey("b"))
	require.NoError(t, err)
	require.Equal(t, "2", string(set.Rows[0].Value))
	_, err = s.GetRows(t.Context(), "w", rowKey("a"), rowKey("b"))
	require.NoError(t, err)
	appendEvents(t, s, "s-1", 1)
}

func TestGetRows_ADamagedCheckpointIsReported(t *testing.T) {
	path := twoViews(t)
	edit(t, path, func(tx *bolt.Tx) error {
		rows, b := tx.Bucket([]byte("rows")).Bucket([]byte("v")), tx.Bucket([]byte("checkpoints"))
		return errors.Join( // a damaged row as well, which must not keep the view from being dropped
			copyValue(rows, []byte("t\x00a"), rows, []byte("t\x00b")),
			copyValue(b, []byte("v"), b, []byte("w")))
	})
	s := open(t, path, nil) // views are derived: the log can be used all the same
	appendEvents(t, s, "s-1", 1)
	_, err := s.GetRows(t.Context(), "v", rowKey("b"))
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	_, err = s.Checkpoints(t.Context())
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	commit := eventstore.RowCommit{View: "v", Checkpoint: eventstore.Checkpoint{Position: 1}}
	require.ErrorIs(t, s.CommitRows(t.Context(), commit), eventstore.ErrCorrupt)
	for more := true; more; {
		more, err = s.DropRows(t.Context(), "v", 1)
		require.NoError(t, err)
	}
	require.NoError(t, s.CommitRows(t.Context(), commit))
	_, err = s.GetRows(t.Context(), "w", rowKey("a"))
	require.NoError(t, err)
}
