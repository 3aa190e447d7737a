package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

var indexBucket = []byte("index")

// posting is the key of a posting.
func posting(kind byte, name string, p eventstore.Position) []byte {
	key := record.Key(p)
	return append(append(append([]byte{kind}, name...), 0), key[:]...)
}

// sealed is a value of the index with its checksum.
func sealed(key, value []byte) []byte {
	sum := crc32.Checksum(append(bytes.Clone(key), value...), crc32.MakeTable(crc32.Castagnoli))
	return binary.BigEndian.AppendUint32(bytes.Clone(value), sum)
}

func status(through uint64, format uint32) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		value := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, through), format)
		return tx.Bucket(indexBucket).Put([]byte{0}, sealed([]byte{0}, value))
	}
}

// TestOpen_RebuildsTheIndex takes the index away in every way it can be away.
func TestOpen_RebuildsTheIndex(t *testing.T) {
	tests := map[string]func(tx *bolt.Tx) error{
		"dropped":           func(tx *bolt.Tx) error { return tx.DeleteBucket(indexBucket) },
		"of another format": status(9, 99),
		"of a longer log":   status(0x90909, 2),
		"short of the log":  status(9, 2),
		"with a damaged status": func(tx *bolt.Tx) error {
			return tx.Bucket(indexBucket).Put([]byte{0}, make([]byte, 16))
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			s, err := boltstore.Open(path, nil)
			require.NoError(t, err)
			for i := range 5 {
				_, err := s.Append(t.Context(), eventstore.Commit{
					Key: string(rune('a' + i)), Events: events(200), Guards: []eventstore.Guard{{Query: eventstore.Stream("none")}},
				})
				require.NoError(t, err)
				appendEvents(t, s, "s-1", 30)
			}
			require.NoError(t, s.Close())
			edit(t, path, damage)

			answers := func(s *boltstore.Store) {
				require.Len(t, positions(t, s, eventstore.Stream("s-1")), 150)
				receipt, ok, err := s.Lookup(t.Context(), "c")
				require.NoError(t, err)
				require.True(t, ok)
				require.EqualValues(t, 461, receipt.First)
				require.EqualValues(t, 660, receipt.Last)
				_, ok, err = s.Lookup(t.Context(), "none")
				require.NoError(t, err)
				require.False(t, ok)
			}
			readOnly, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
			require.NoError(t, err)
			require.Len(t, readOnly.Info().Warnings, 1)
			answers(readOnly)
			require.NoError(t, readOnly.Close())

			var said bytes.Buffer
			s = open(t, path, &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
			require.Contains(t, said.String(), "built anew")
			require.Len(t, s.Info().Warnings, 1)
			verify(t, s)
			answers(s)
			appendEvents(t, s, "s-1", 1)
			require.NoError(t, s.Close())
			require.Empty(t, open(t, path, nil).Info().Warnings)
		})
	}
}

// TestStore_AnswersThoughTheIndexIsDamaged damages the index while nobody looks.
// Every answer is right nevertheless, and the index is built anew.
func TestStore_AnswersThoughTheIndexIsDamaged(t *testing.T) {
	put := func(key, value []byte) func(*bolt.Tx) error {
		return func(tx *bolt.Tx) error { return tx.Bucket(indexBucket).Put(key, value) }
	}
	del := func(key []byte) func(*bolt.Tx) error {
		return func(tx *bolt.Tx) error { return tx.Bucket(indexBucket).Delete(key) }
	}
	one := []byte{0, 0, 0, 0, 0, 0, 0, 1}
	extra := posting('g', "n:9", 3)
	beyond := posting('t', "t", 2)
	beyond[len(beyond)-2] = 1
	tests := map[string]func(*bolt.Tx) error{
		"a posting of a stream is missing":      del(posting('s', "s-1", 3)),
		"a stream's first posting is missing":   del(posting('s', "s-1", 1)),
		"a posting of a stream is damaged":      put(posting('s', "s-1", 10), []byte("damaged")),
		"a posting of a stream has no checksum": put(posting('s', "s-1", 10), one),
		"a posting of a tag is damaged":         put(posting('g', "n:7", 7), []byte{1, 2, 3, 4}),
		"a posting of a type is damaged":        put(posting('t', "t", 1), nil),
		"a posting too many":                    put(extra, sealed(extra, nil)),
		"a posting beyond the log":              put(beyond, sealed(beyond, nil)),
		"a posting of a key is damaged":         put(posting('k', "key", 1), nil),
	}
	for name, damage := range tests {
		for _, readOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read only %v", name, readOnly), func(t *testing.T) {
				path := logPath(t)
				s, err := boltstore.Open(path, nil)
				require.NoError(t, err)
				batch := make([]eventstore.NewEvent, 10)
				for i := range batch {
					batch[i] = eventstore.NewEvent{Stream: "s-1", Type: "t", Tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint("n:", i+1))}}
				}
				_, err = s.Append(t.Context(), eventstore.Commit{Key: "key", Events: batch, Expect: []eventstore.Expect{{Stream: "s-1", At: eventstore.NoStream}}})
				require.NoError(t, err)
				require.NoError(t, s.Close())
				edit(t, path, damage)

				s = openUnverified(t, path, &boltstore.Options{ReadOnly: readOnly})
				answers := func() {
					for range 2 {
						require.Len(t, positions(t, s, eventstore.Stream("s-1")), 10)
						require.Len(t, positions(t, s, eventstore.Match(eventstore.Item{Types: []string{"t"}})), 10)
						require.Equal(t, []eventstore.Position{7}, positions(t, s, eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"n:7"}})))
						require.Equal(t, []eventstore.Position{9}, positions(t, s, eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"n:9"}})))
						_, ok, err := s.Lookup(t.Context(), "key")
						require.NoError(t, err)
						require.True(t, ok)
					}
				}
				answers()
				if readOnly {
					return
				}
				_, err = eventstore.AppendTo(t.Context(), s, "s-1", eventstore.At(9), eventstore.NewEvent{Type: "u"})
				require.ErrorIs(t, err, eventstore.ErrConflict)
				_, err = eventstore.AppendTo(t.Context(), s, "s-1", eventstore.At(10), eventstore.NewEvent{Type: "u"})
				require.NoError(t, err)
				require.NoError(t, s.Close())
				s = openUnverified(t, path, &boltstore.Options{ReadOnly: true})
				require.Len(t, positions(t, s, eventstore.Stream("s-1")), 11)
			})
		}
	}
}

// TestStore_SetsADamagedIndexAside has pages of the index that bbolt panics on.
func TestStore_SetsADamagedIndexAside(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	for i := range 100 {
		appendEvents(t, s, eventstore.StreamID(fmt.Sprint("s-", i)), 20)
	}
	require.NoError(t, s.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	page := os.Getpagesize()
	damagedPages := 0
	for offset := 2 * page; offset+page <= len(content); offset += page {
		if bytes.Contains(content[offset:offset+page], posting('s', "s-50", 1001)) {
			binary.NativeEndian.PutUint16(content[offset+8:], 0x55) // no kind of page
			damagedPages++
		}
	}
	require.Positive(t, damagedPages)
	require.NoError(t, os.WriteFile(path, content, 0o600))

	var said bytes.Buffer
	s = open(t, path, &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	for i := range 100 {
		stream := eventstore.StreamID(fmt.Sprint("s-", i))
		require.Len(t, positions(t, s, eventstore.Stream(stream)), 20)
		_, err := eventstore.AppendTo(t.Context(), s, stream, eventstore.At(20), eventstore.NewEvent{Type: "t"})
		require.NoError(t, err)
	}
	require.Contains(t, said.String(), "the index was built anew")
	require.NoError(t, s.Close())
	s = open(t, path, nil)
	require.Empty(t, s.Info().Warnings)
	require.Len(t, positions(t, s, eventstore.Stream("s-50")), 21)
	require.Len(t, positions(t, s, eventstore.Match(eventstore.Item{Categories: []string{"s"}})), 2100)
	verify(t, s)
}

// TestStore_RowsAreReadWhileTheIndexIsBuilt holds readers of rows to being woken
// by the transactions that build the index.
func TestStore_RowsAreReadWhileTheIndexIsBuilt(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s-1", 10)
	require.NoError(t, s.Close())
	edit(t, path, func(tx *bolt.Tx) error { return tx.Bucket(indexBucket).Put(posting('s', "s-1", 10), nil) })
	s = open(t, path, nil)
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
