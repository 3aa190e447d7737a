package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// indexedLog makes a closed log of 610 events, whose index is in the file, as one run of
// several blocks. The first ten events are a commit with key "key" of stream "s-1", type "t"
// and tags "n:1" to "n:10"; each other event has a stream and a tag of its own.
func indexedLog(t *testing.T) []byte {
	t.Helper()
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	batch := make([]eventstore.NewEvent, 10)
	for i := range batch {
		batch[i] = eventstore.NewEvent{Stream: "s-1", Type: "t", Tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint("n:", i+1))}}
	}
	_, err = s.Append(t.Context(), eventstore.Commit{Key: "key", Events: batch, Expect: []eventstore.Expect{{Stream: "s-1", At: eventstore.NoStream}}})
	require.NoError(t, err)
	others := make([]eventstore.NewEvent, 600)
	for i := range others {
		others[i] = eventstore.NewEvent{Stream: eventstore.StreamID(fmt.Sprint("other-", i)), Type: "u", Tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint("other:", i))}}
	}
	var commit eventstore.Commit
	for _, e := range others {
		commit.Events = append(commit.Events, e)
		commit.Expect = append(commit.Expect, eventstore.Expect{Stream: e.Stream, At: eventstore.NoStream})
	}
	_, err = s.Append(t.Context(), commit)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	writeIndex(t, path)
	status := statusOf(t, path)
	require.Len(t, status.runs, 1)
	require.Greater(t, status.runs[0].blocks, uint64(10))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

// fileOf writes the content of a log to a new file.
func fileOf(tb testing.TB, content []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "log.yore")
	require.NoError(tb, os.WriteFile(path, content, 0o600))
	return path
}

// requireIndexed asks an indexedLog for what the index has, and for what it has not.
func requireIndexed(t *testing.T, s *boltstore.Store) {
	t.Helper()
	tag := func(tag eventstore.Tag) eventstore.Query {
		return eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{tag}})
	}
	first := []eventstore.Position{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	require.Equal(t, first, positions(t, s, eventstore.Stream("s-1"))[:10])
	require.Equal(t, first, positions(t, s, eventstore.Category("s"))[:10])
	require.Equal(t, first, positions(t, s, eventstore.Match(eventstore.Item{Types: []string{"t"}}))[:10])
	require.Equal(t, []eventstore.Position{7}, positions(t, s, tag("n:7")))
	require.Equal(t, []eventstore.Position{9}, positions(t, s, tag("n:9")))
	require.Equal(t, []eventstore.Position{311}, positions(t, s, tag("other:300")))
	require.Equal(t, []eventstore.Position{610}, positions(t, s, eventstore.Stream("other-599")))
	require.Empty(t, positions(t, s, tag("nobody's")))
	require.Len(t, positions(t, s, eventstore.Category("other")), 600)
	require.Len(t, positions(t, s, eventstore.Match(eventstore.Item{Types: []string{"u"}})), 600)
	receipt, ok, err := s.Lookup(t.Context(), "key")
	require.NoError(t, err)
	require.True(t, ok)
	require.EqualValues(t, 10, receipt.Last)
	_, ok, err = s.Lookup(t.Context(), "nobody's")
	require.NoError(t, err)
	require.False(t, ok)
}

// TestOpen_RebuildsTheIndex has an index that is missing or that Open cannot use.
func TestOpen_RebuildsTheIndex(t *testing.T) {
	log := indexedLog(t)
	tests := map[string]func(tx *bolt.Tx) error{
		"dropped":           func(tx *bolt.Tx) error { return tx.DeleteBucket(indexBucket) },
		"of another format": changeStatus(func(s *indexStatus) { s.format = 99 }),
		"of a longer log":   changeStatus(func(s *indexStatus) { s.runs[0].through = 0x90909 }),
		"with a run more than the log has": changeStatus(func(s *indexStatus) {
			s.runs = append(s.runs, indexRun{number: 9, from: 611, through: 650, terms: 1, postings: 1, blocks: 1, size: 64})
		}),
		"with a run that does not follow": changeStatus(func(s *indexStatus) { s.runs[0].from = 2 }),
		"with a damaged status":           func(tx *bolt.Tx) error { return tx.Bucket(indexBucket).Put(statusKey, make([]byte, 16)) },
		"with no status":                  func(tx *bolt.Tx) error { return tx.Bucket(indexBucket).Delete(statusKey) },
		"with a key that is none":         func(tx *bolt.Tx) error { return tx.Bucket(indexBucket).Put([]byte{1, 2, 3}, []byte("x")) },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			path := fileOf(t, log)
			edit(t, path, damage)

			readOnly, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
			require.NoError(t, err)
			require.Len(t, readOnly.Info().Warnings, 1)
			requireIndexed(t, readOnly)
			require.NoError(t, readOnly.Close())

			var said bytes.Buffer
			s := open(t, path, &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
			require.Contains(t, said.String(), "rebuilt")
			require.Len(t, s.Info().Warnings, 1)
			verify(t, s)
			requireIndexed(t, s)
			appendEvents(t, s, "s-1", 1)
			require.NoError(t, s.Close())
			s = open(t, path, nil)
			require.Empty(t, s.Info().Warnings)
			requireIndexed(t, s)
		})
	}
}

// TestOpen_ReadsWhatTheIndexLacks has a whole index that ends before the log: as after a
// crash, or after the status has lost its last run.
func TestOpen_ReadsWhatTheIndexLacks(t *testing.T) {
	log := indexedLog(t)
	tests := map[string]func(tx *bolt.Tx) error{
		"a run that the status does not name": changeStatus(func(s *indexStatus) { s.runs = nil }),
		"an index of nothing": func(tx *bolt.Tx) error {
			for _, filter := range []bool{false, true} {
				for _, key := range runKeys(tx, filter) {
					if err := tx.Bucket(indexBucket).Delete(key); err != nil {
						return err
					}
				}
			}
			return changeStatus(func(s *indexStatus) { s.runs = nil })(tx)
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			path := fileOf(t, log)
			edit(t, path, damage)
			require.Zero(t, through(t, path))
			for _, readOnly := range []bool{true, false} {
				s := openUnverified(t, path, &boltstore.Options{ReadOnly: readOnly})
				require.Empty(t, s.Info().Warnings)
				verify(t, s)
				requireIndexed(t, s)
				require.NoError(t, s.Close())
			}
		})
	}
}

// blockKey returns the function from the index of a log to the key of the block that
// has a term at a position.
func blockKey(kind byte, name string, p eventstore.Position) func(*bolt.Tx) []byte {
	return func(tx *bolt.Tx) []byte { return blockOf(tx, kind, name, p) }
}

// nthKey is the i-th key of the first run's blocks, or of its filter's parts, from the
// end if i is negative.
func nthKey(filter bool, i int) func(*bolt.Tx) []byte {
	return func(tx *bolt.Tx) []byte {
		keys := runKeys(tx, filter)
		return keys[(i+len(keys))%len(keys)]
	}
}

func missing(key func(*bolt.Tx) []byte) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error { return tx.Bucket(indexBucket).Delete(key(tx)) }
}

func changed(key func(*bolt.Tx) []byte) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error { return flip(tx.Bucket(indexBucket), key(tx)) }
}

func replaced(key func(*bolt.Tx) []byte, by func(value []byte) []byte) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		b := tx.Bucket(indexBucket)
		return b.Put(key(tx), by(bytes.Clone(b.Get(key(tx)))))
	}
}

// moved puts a value under another key.
func moved(key func(*bolt.Tx) []byte, change func(key []byte)) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		b, from := tx.Bucket(indexBucket), key(tx)
		to := bytes.Clone(from)
		change(to)
		return errors.Join(copyValue(b, to, b, from), b.Delete(from))
	}
}

// indexDamages are ways to damage the index of an indexedLog that Open does not see.
func indexDamages() map[string]func(*bolt.Tx) error {
	stream, tag := blockKey('s', "s-1", 1), blockKey('g', "n:7", 7)
	return map[string]func(*bolt.Tx) error{
		"the block of a stream is missing": missing(stream),
		"the block of a stream is changed": changed(stream),
		"the block of a tag is missing":    missing(tag),
		"the block of a tag is changed":    changed(tag),
		"the block of a type is changed":   changed(blockKey('t', "t", 1)),
		"the block of a key is changed":    changed(blockKey('k', "key", 1)),
		"the first block is missing":       missing(nthKey(false, 0)),
		"the last block is missing":        missing(nthKey(false, -1)),
		"a block is cut short":             replaced(tag, func(value []byte) []byte { return value[:len(value)/2] }),
		"a block is empty":                 replaced(tag, func([]byte) []byte { return nil }),
		"a block has no checksum":          replaced(tag, func(value []byte) []byte { return value[:len(value)-4] }),
		"a block is in another's place": func(tx *bolt.Tx) error {
			b := tx.Bucket(indexBucket)
			return copyValue(b, tag(tx), b, stream(tx))
		},
		"a block is moved to another run":            moved(tag, func(key []byte) { binary.BigEndian.PutUint64(key, 99) }),
		"a block begins elsewhere":                   moved(tag, func(key []byte) { key[len(key)-1]++ }),
		"the filter is changed":                      changed(nthKey(true, 0)),
		"the filter is missing":                      missing(nthKey(true, 0)),
		"the status names a run that is not there":   changeStatus(func(s *indexStatus) { s.runs[0].number = 99 }),
		"the status says less of the filter than is": changeStatus(func(s *indexStatus) { s.runs[0].size -= 64 }),
	}
}

// TestStore_AnswersThoughTheIndexIsDamaged damages the index of a closed log. Every
// answer is still right, and the index is rebuilt.
func TestStore_AnswersThoughTheIndexIsDamaged(t *testing.T) {
	log := indexedLog(t)
	for name, damage := range indexDamages() {
		for _, readOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read only %v", name, readOnly), func(t *testing.T) {
				path := fileOf(t, log)
				edit(t, path, damage)
				s := openUnverified(t, path, &boltstore.Options{ReadOnly: readOnly})
				requireIndexFindings(t, s)
				for range 2 {
					requireIndexed(t, s)
				}
				if readOnly {
					return
				}
				_, err := eventstore.AppendTo(t.Context(), s, "s-1", eventstore.At(9), eventstore.NewEvent{Type: "v"})
				require.ErrorIs(t, err, eventstore.ErrConflict)
				_, err = eventstore.AppendTo(t.Context(), s, "s-1", eventstore.At(10), eventstore.NewEvent{Type: "v"})
				require.NoError(t, err)
				require.NoError(t, s.Close())
				s = openUnverified(t, path, &boltstore.Options{ReadOnly: true})
				require.Empty(t, s.Info().Warnings)
				verify(t, s)
				requireIndexed(t, s)
				require.Len(t, positions(t, s, eventstore.Stream("s-1")), 11)
			})
		}
	}
}

// requireIndexFindings verifies a store whose index is damaged, and nothing else.
func requireIndexFindings(t *testing.T, s *boltstore.Store) {
	t.Helper()
	v, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.NotEmpty(t, v.Findings)
	for _, f := range v.Findings {
		require.Equal(t, boltstore.IndexEntry, f.Kind, "%v", f)
	}
}

// TestStore_AppendsThoughTheIndexIsDamaged has damage that is found when an append is judged.
func TestStore_AppendsThoughTheIndexIsDamaged(t *testing.T) {
	log := indexedLog(t)
	damage := func(kind byte, name string) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error { return flip(tx.Bucket(indexBucket), blockOf(tx, kind, name, 1)) }
	}
	event := eventstore.NewEvent{Stream: "s-1", Type: "v"}
	at := func(v eventstore.Version) []eventstore.Expect {
		return []eventstore.Expect{{Stream: "s-1", At: eventstore.At(v)}}
	}
	guard := eventstore.Guard{Query: eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"n:7"}})}
	tests := map[string]struct {
		damage        func(tx *bolt.Tx) error
		refused, good eventstore.Commit
	}{
		"of an expectation": {
			damage('s', "s-1"),
			eventstore.Commit{Events: []eventstore.NewEvent{event}, Expect: at(9)},
			eventstore.Commit{Events: []eventstore.NewEvent{event}, Expect: at(10)},
		},
		"of a guard": {
			damage('g', "n:7"),
			eventstore.Commit{Events: []eventstore.NewEvent{event}, Expect: at(10), Guards: []eventstore.Guard{guard}},
			eventstore.Commit{Events: []eventstore.NewEvent{event}, Expect: at(10), Guards: []eventstore.Guard{{Query: guard.Query, After: 7}}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := fileOf(t, log)
			edit(t, path, tt.damage)
			s := open(t, path, nil)
			_, err := s.Append(t.Context(), tt.refused)
			require.ErrorIs(t, err, eventstore.ErrConflict)
			receipt, err := s.Append(t.Context(), tt.good)
			require.NoError(t, err)
			require.EqualValues(t, 11, receipt.Heads[0].Version)
		})
	}
	t.Run("of a key", func(t *testing.T) {
		path := fileOf(t, log)
		edit(t, path, damage('k', "key"))
		s := open(t, path, nil)
		receipt, err := s.Append(t.Context(), eventstore.Commit{Key: "key", Events: []eventstore.NewEvent{{Type: "v"}}})
		require.NoError(t, err)
		require.True(t, receipt.Repeated)
		require.EqualValues(t, 1, receipt.First)
		appendEvents(t, s, "s-1", 1) // the writer rebuilds the index before
	})
}

// TestStore_AnswersThoughTheIndexIsAnothers has the index of another log of the same length.
// The index is whole, so only the events can show that it is wrong.
func TestStore_AnswersThoughTheIndexIsAnothers(t *testing.T) {
	log := indexedLog(t)
	other := logPath(t)
	s, err := boltstore.Open(other, nil)
	require.NoError(t, err)
	list := events(610)
	for i := range list { // what the other log has of "s-1" has gaps
		list[i].Stream = eventstore.StreamID(fmt.Sprintf("s-%d", i%5))
	}
	commit := eventstore.Commit{Events: list}
	for i := range 5 {
		commit.Expect = append(commit.Expect, eventstore.Expect{Stream: list[i].Stream, At: eventstore.NoStream})
	}
	_, err = s.Append(t.Context(), commit)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	writeIndex(t, other)
	path := fileOf(t, log)
	copyIndex(t, path, other)

	readOnly := openUnverified(t, path, &boltstore.Options{ReadOnly: true})
	require.Empty(t, readOnly.Info().Warnings)
	requireIndexFindings(t, readOnly)
	require.NoError(t, readOnly.Close())
	s = openUnverified(t, path, nil)
	require.Len(t, positions(t, s, eventstore.Stream("s-1")), 10)
	requireIndexed(t, s)
	appendEvents(t, s, "s-1", 1)
	verify(t, s)
}

// copyIndex replaces the index of a log by that of another one, with the checksums that the log's
// store gives it.
func copyIndex(t *testing.T, into, from string) {
	t.Helper()
	pairs := map[string][]byte{}
	inFile(t, from, func(tx *bolt.Tx) {
		require.NoError(t, tx.Bucket(indexBucket).ForEach(func(key, value []byte) error {
			pairs[string(key)] = bytes.Clone(value)
			return nil
		}))
	})
	edit(t, into, func(tx *bolt.Tx) error {
		err := tx.DeleteBucket(indexBucket)
		b, createErr := tx.CreateBucket(indexBucket)
		if err := errors.Join(err, createErr); err != nil {
			return err
		}
		for key, value := range pairs {
			if err := b.Put([]byte(key), sealed(tx, []byte(key), value[:len(value)-4])); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestStore_AnswersThoughTheIndexIsAnotherStores: its checksums do not fit.
func TestStore_AnswersThoughTheIndexIsAnotherStores(t *testing.T) {
	log, other := indexedLog(t), indexedLog(t)
	path := fileOf(t, log)
	var status []byte
	inFile(t, fileOf(t, other), func(tx *bolt.Tx) { status = bytes.Clone(tx.Bucket(indexBucket).Get(statusKey)) })
	edit(t, path, func(tx *bolt.Tx) error { return tx.Bucket(indexBucket).Put(statusKey, status) })
	s := openUnverified(t, path, nil)
	require.NotEmpty(t, s.Info().Warnings)
	requireIndexed(t, s)
}

// TestStore_SetsADamagedIndexAside has pages of the index on which bbolt panics.
func TestStore_SetsADamagedIndexAside(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	for i := range 100 {
		appendEvents(t, s, eventstore.StreamID(fmt.Sprint("s-", i)), 20)
	}
	require.NoError(t, s.Close())
	writeIndex(t, path)
	var block []byte
	inFile(t, path, func(tx *bolt.Tx) { block = blockOf(tx, 's', "s-50", 1001) })
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	page := os.Getpagesize()
	damagedPages := 0
	for offset := 2 * page; offset+page <= len(content); offset += page {
		if bytes.Contains(content[offset:offset+page], block) {
			binary.NativeEndian.PutUint16(content[offset+8:], 0x55) // no kind of page
			damagedPages++
		}
	}
	require.Positive(t, damagedPages)
	require.NoError(t, os.WriteFile(path, content, 0o600))

	var said bytes.Buffer
	s = open(t, path, &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	require.Contains(t, said.String(), "it was rebuilt")
	for i := range 100 {
		stream := eventstore.StreamID(fmt.Sprint("s-", i))
		require.Len(t, positions(t, s, eventstore.Stream(stream)), 20)
		_, err := eventstore.AppendTo(t.Context(), s, stream, eventstore.At(20), eventstore.NewEvent{Type: "t"})
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	s = open(t, path, nil)
	require.Empty(t, s.Info().Warnings)
	require.Len(t, positions(t, s, eventstore.Stream("s-50")), 21)
	require.Len(t, positions(t, s, eventstore.Match(eventstore.Item{Categories: []string{"s"}})), 2100)
	verify(t, s)
}

// TestStore_RowsAreReadWhileTheIndexIsBuilt: the transactions that rebuild the index wake
// readers of rows.
func TestStore_RowsAreReadWhileTheIndexIsBuilt(t *testing.T) {
	path := fileOf(t, indexedLog(t))
	edit(t, path, func(tx *bolt.Tx) error { return flip(tx.Bucket(indexBucket), blockOf(tx, 's', "s-1", 1)) })
	s := open(t, path, &boltstore.Options{IndexMemory: 1})
	require.Len(t, positions(t, s, eventstore.Stream("s-1")), 10)
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		_, err := s.GetRows(t.Context(), "view", eventstore.RowKey{Table: "t", Key: []byte("k")})
		require.NoError(t, err)
		if time.Until(deadline) < 4900*time.Millisecond {
			break
		}
	}
}
