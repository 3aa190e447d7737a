package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// account makes a log of three deposits and a withdrawal at position 5, the last event of
// stream "account-1". Another stream has events around it.
func account(t *testing.T) (path string) {
	path = logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	add := func(stream eventstore.StreamID, kind, data string) {
		_, err := eventstore.AppendTo(t.Context(), s, stream, eventstore.Any,
			eventstore.NewEvent{Type: kind, Codec: "json", Data: []byte(data), Tags: []eventstore.Tag{eventstore.Tag("of:" + stream)}})
		require.NoError(t, err)
	}
	add("account-1", "deposited", `{"amount":100}`)
	add("account-1", "deposited", `{"amount":100}`)
	add("account-2", "deposited", `{"amount":7}`)
	add("account-1", "deposited", `{"amount":100}`)
	add("account-1", "withdrawn", `{"amount":299}`)
	add("account-2", "deposited", `{"amount":8}`)
	require.NoError(t, s.Close())
	return path
}

// conditions are the conditions of an append that decides after the third deposit. The
// withdrawal breaks each of them.
func conditions() map[string]eventstore.Commit {
	event := []eventstore.NewEvent{{Stream: "account-1", Type: "withdrawn", Data: []byte(`{"amount":300}`)}}
	expect := func(at eventstore.Expectation) []eventstore.Expect {
		return []eventstore.Expect{{Stream: "account-1", At: at}}
	}
	guard := func(q eventstore.Query, after eventstore.Position) eventstore.Commit {
		return eventstore.Commit{Events: event, Expect: expect(eventstore.Any), Guards: []eventstore.Guard{{Query: q, After: after}}}
	}
	return map[string]eventstore.Commit{
		"a version":         {Events: event, Expect: expect(eventstore.At(3))},
		"a stream's guard":  guard(eventstore.Stream("account-1"), 4),
		"a guard of a type": guard(eventstore.Match(eventstore.Item{Types: []string{"withdrawn"}}), 0),
		"a guard of a tag":  guard(byTag("of:account-1"), 4),
		"a category":        guard(eventstore.Match(eventstore.Item{Categories: []string{"account"}, Types: []string{"withdrawn"}}), 0),
		"everything":        guard(eventstore.All(), 4),
	}
}

// TestStore_AnEventWithADamagedPayload: the event is not read, but it counts. Streams,
// versions and conditions are judged by its identity, which is whole.
func TestStore_AnEventWithADamagedPayload(t *testing.T) {
	for _, indexed := range []bool{false, true} {
		for _, readOnly := range []bool{false, true} {
			path := account(t)
			if indexed {
				writeIndex(t, path)
			}
			edit(t, path, func(tx *bolt.Tx) error {
				value := bytes.Clone(tx.Bucket([]byte("log")).Get(logKey(5)))
				value[bytes.Index(value, []byte("299"))] ^= 1
				return tx.Bucket([]byte("log")).Put(logKey(5), value)
			})
			s := openUnverified(t, path, &boltstore.Options{ReadOnly: readOnly})
			for range 2 {
				read, at := readUntilCorrupt(t, s, eventstore.Stream("account-1"), eventstore.ReadOptions{})
				require.Equal(t, []eventstore.Position{1, 2, 4}, read)
				require.EqualValues(t, 5, at)
				_, err := eventstore.VersionOf(t.Context(), s, "account-1")
				require.ErrorIs(t, err, eventstore.ErrCorrupt)
				require.Equal(t, []eventstore.Position{3, 6}, positions(t, s, eventstore.Stream("account-2")), "another stream is read")
				require.Equal(t, []eventstore.Position{3, 6}, positions(t, s, byTag("of:account-2")))
				require.Equal(t, []eventstore.Position{1, 2, 3, 4, 6}, positions(t, s, byType("deposited")))
				if readOnly {
					continue
				}
				for name, c := range conditions() {
					_, err := s.Append(t.Context(), c)
					require.ErrorIs(t, err, eventstore.ErrConflict, name)
				}
			}
			if !readOnly {
				_, err := eventstore.AppendTo(t.Context(), s, "account-1", eventstore.At(4), eventstore.NewEvent{Type: "closed"})
				require.NoError(t, err, "its version is known")
			}
			report, err := s.Verify(t.Context(), nil)
			require.NoError(t, err)
			require.Len(t, report.Findings, 1)
			require.Equal(t, boltstore.DamagedRecord, report.Findings[0].Kind)
		}
	}
}

// TestStore_AnEventWithADamagedIdentity: nothing that the event may be, or may match, is
// answered as if it were not there.
func TestStore_AnEventWithADamagedIdentity(t *testing.T) {
	for name, text := range map[string]string{"stream": "account-1", "type": "withdrawn", "tag": "of:account-1"} {
		for _, indexed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				path := account(t)
				if indexed {
					writeIndex(t, path)
				}
				edit(t, path, func(tx *bolt.Tx) error {
					value := bytes.Clone(tx.Bucket([]byte("log")).Get(logKey(5)))
					value[bytes.Index(value, []byte(text))] ^= 1
					return tx.Bucket([]byte("log")).Put(logKey(5), value)
				})
				s := openUnverified(t, path, nil)
				if !indexed {
					require.NotEmpty(t, s.Info().Warnings)
				}
				for range 2 {
					for _, backward := range []bool{false, true} {
						read, at := readUntilCorrupt(t, s, eventstore.Stream("account-1"), eventstore.ReadOptions{Backward: backward})
						require.Subset(t, []eventstore.Position{1, 2, 4}, read)
						require.EqualValues(t, 5, at)
					}
					_, err := eventstore.VersionOf(t.Context(), s, "account-1")
					require.ErrorIs(t, err, eventstore.ErrCorrupt)
					require.Equal(t, []eventstore.Position{3, 6}, positions(t, s, eventstore.Stream("account-2")), "its versions prove it whole")
					for name, c := range conditions() {
						_, err := s.Append(t.Context(), c)
						require.Error(t, err, name)
					}
				}
			})
		}
	}
}

// TestRead_RecordsOfAnotherStore has the page of another store in the place of a log's own:
// the same positions and streams, other events.
func TestRead_RecordsOfAnotherStore(t *testing.T) {
	path, other := account(t), account(t)
	values := make(map[string][]byte)
	inFile(t, other, func(tx *bolt.Tx) {
		require.NoError(t, tx.Bucket([]byte("log")).ForEach(func(key, value []byte) error {
			values[string(key)] = bytes.Clone(value)
			return nil
		}))
	})
	edit(t, path, func(tx *bolt.Tx) error {
		for key, value := range values {
			if err := tx.Bucket([]byte("log")).Put([]byte(key), value); err != nil {
				return err
			}
		}
		return nil
	})
	_, err := boltstore.Open(path, nil)
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	s := openUnverified(t, path, &boltstore.Options{ReadOnly: true})
	read, at := readUntilCorrupt(t, s, eventstore.All(), eventstore.ReadOptions{})
	require.Empty(t, read)
	require.EqualValues(t, 1, at)
}

// TestOpen_OlderContent puts the pages of an earlier moment back: the whole file but its meta
// pages, and the page of the log's end alone.
func TestOpen_OlderContent(t *testing.T) {
	path := account(t)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	s := openUnverified(t, path, nil)
	appendEvents(t, s, "more", 1)
	require.NoError(t, s.Close())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	size, refused := os.Getpagesize(), 0
	for page := 2 * size; page < len(before); page += size {
		if bytes.Equal(before[page:][:size], after[page:][:size]) {
			continue
		}
		damaged := bytes.Clone(after)
		copy(damaged[page:], before[page:][:size])
		if err := openBytes(t, damaged); err != nil {
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			refused++
		}
	}
	require.Positive(t, refused)

	edited := bytes.Clone(after)
	edit(t, path, func(tx *bolt.Tx) error { return deleteRecords(tx, 7) })
	_, err = boltstore.Open(path, nil)
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.ErrorContains(t, err, "the log ends at position 6, and should end at 7")
	s = openUnverified(t, path, &boltstore.Options{ReadOnly: true})
	read, at := readUntilCorrupt(t, s, eventstore.All(), eventstore.ReadOptions{})
	require.Len(t, read, 6)
	require.EqualValues(t, 7, at)
	require.NoError(t, openBytes(t, edited))
}

// openBytes opens a file with some content, and reads it.
func openBytes(t *testing.T, content []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.yore")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	s, err := boltstore.Open(path, nil)
	if err != nil {
		return err
	}
	defer func() { require.NoError(t, s.Close()) }()
	for _, err := range s.Read(t.Context(), eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestSalvage_WithoutTheStoresID: the seed of the records is found from the records, and they
// are sealed anew under a new id. Records of another store in the same file are left out.
func TestSalvage_WithoutTheStoresID(t *testing.T) {
	path, other := account(t), account(t)
	var id []byte
	inFile(t, path, func(tx *bolt.Tx) { id = bytes.Clone(tx.Bucket([]byte("yore")).Get([]byte("id"))) })
	var want []eventstore.Event
	s := open(t, path, nil)
	want = all(t, s)
	require.NoError(t, s.Close())
	var foreign []byte
	inFile(t, other, func(tx *bolt.Tx) { foreign = bytes.Clone(tx.Bucket([]byte("log")).Get(logKey(2))) })
	edit(t, path, func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("stale"))
		if err != nil {
			return err
		}
		return b.Put(logKey(2), foreign)
	})
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	content = bytes.ReplaceAll(content, id, make([]byte, len(id)))
	require.NoError(t, os.WriteFile(path, content, 0o600))

	into := logPath(t)
	report, err := boltstore.Salvage(t.Context(), path, into, nil)
	require.NoError(t, err)
	require.False(t, report.SameStore)
	require.NotEqual(t, uuid.UUID(id), report.StoreID)
	require.Equal(t, len(want), report.Events)
	salvaged := open(t, into, nil)
	require.Equal(t, want, all(t, salvaged))
	require.Equal(t, report.StoreID, salvaged.Info().StoreID)
	require.NoError(t, salvaged.Close())
	inFile(t, into, func(tx *bolt.Tx) {
		value := tx.Bucket([]byte("yore")).Get([]byte("head"))
		require.EqualValues(t, len(want), binary.BigEndian.Uint64(value))
	})
}
