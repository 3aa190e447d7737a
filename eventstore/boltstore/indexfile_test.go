package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// What the tests know of the index in the file: a status under the key {0}; under the number
// of a run (8 bytes) and the place where a block begins, the block; under the number and
// filterMark, the parts of the run's filter. All values have a checksum.
const filterMark = 0xff

var (
	indexBucket = []byte(index.Bucket)
	statusKey   = []byte{0}
)

// writeIndex rebuilds the index of a closed log, so that all of it is in the file, in one run.
func writeIndex(tb testing.TB, path string) {
	tb.Helper()
	_, err := boltstore.Compact(tb.Context(), path, nil)
	require.NoError(tb, err)
}

// sealed is a value of the index with its checksum, which begins with the store's id.
func sealed(tx *bolt.Tx, key, value []byte) []byte {
	id := tx.Bucket([]byte("yore")).Get([]byte("id"))
	sum := crc32.Checksum(slices.Concat(id, key, value), crc32.MakeTable(crc32.Castagnoli))
	return binary.BigEndian.AppendUint32(bytes.Clone(value), sum)
}

// indexStatus is the status in the index.
type indexStatus struct {
	format  uint32
	created uint64
	runs    []indexRun
}

type indexRun struct {
	number, level                 uint64
	from, through                 uint64 // positions
	terms, postings, blocks, size uint64 // size is that of the filter, in bytes
	unknown                       uint64 // 1: it has events that could not be read
}

func (r *indexRun) fields() []*uint64 {
	return []*uint64{&r.number, &r.level, &r.from, &r.through, &r.terms, &r.postings, &r.blocks, &r.size, &r.unknown}
}

func readStatus(tx *bolt.Tx) (s indexStatus) {
	raw := tx.Bucket(indexBucket).Get(statusKey)
	s.format = binary.BigEndian.Uint32(raw)
	raw = raw[4:]
	number := func() uint64 {
		n, size := binary.Uvarint(raw)
		raw = raw[size:]
		return n
	}
	s.created = number()
	s.runs = make([]indexRun, number())
	for i := range s.runs {
		for _, field := range s.runs[i].fields() {
			*field = number()
		}
	}
	return s
}

func (s indexStatus) put(tx *bolt.Tx) error {
	b := binary.BigEndian.AppendUint32(nil, s.format)
	b = binary.AppendUvarint(b, s.created)
	b = binary.AppendUvarint(b, uint64(len(s.runs)))
	for i := range s.runs {
		for _, field := range s.runs[i].fields() {
			b = binary.AppendUvarint(b, *field)
		}
	}
	return tx.Bucket(indexBucket).Put(statusKey, sealed(tx, statusKey, b))
}

// changeStatus makes the index say something else of itself.
func changeStatus(change func(*indexStatus)) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		s := readStatus(tx)
		change(&s)
		return s.put(tx)
	}
}

// statusOf returns the status of the index in a closed file.
func statusOf(tb testing.TB, path string) (s indexStatus) {
	tb.Helper()
	inFile(tb, path, func(tx *bolt.Tx) { s = readStatus(tx) })
	return s
}

// through returns the position through which the index in a closed file reaches.
func through(tb testing.TB, path string) (p eventstore.Position) {
	tb.Helper()
	inFile(tb, path, func(tx *bolt.Tx) {
		var err error
		p, err = index.Through(pages.View(tx), seedOf(tx))
		require.NoError(tb, err)
	})
	return p
}

// inFile looks into a closed file.
func inFile(tb testing.TB, path string, fn func(*bolt.Tx)) {
	tb.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	require.NoError(tb, err)
	require.NoError(tb, db.View(func(tx *bolt.Tx) error {
		fn(tx)
		return nil
	}))
	require.NoError(tb, db.Close())
}

// runKeys returns the keys of the index's first run: of its blocks, or of the
// parts of its filter.
func runKeys(tx *bolt.Tx, filter bool) (keys [][]byte) {
	prefix := binary.BigEndian.AppendUint64(nil, readStatus(tx).runs[0].number)
	c := tx.Bucket(indexBucket).Cursor()
	for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = c.Next() {
		if isFilter := len(key) > 8 && key[8] == filterMark; isFilter == filter {
			keys = append(keys, bytes.Clone(key))
		}
	}
	return keys
}

// blockOf returns the key of the block of the first run that has a term at a
// position.
func blockOf(tx *bolt.Tx, kind byte, name string, p eventstore.Position) (found []byte) {
	position := record.Key(p)
	place := append(append(append([]byte{kind}, name...), 0), position[:]...)
	for _, key := range runKeys(tx, false) {
		if bytes.Compare(key[8:], place) <= 0 {
			found = key
		}
	}
	return found
}

// flip changes a byte in the middle of a value.
func flip(b *bolt.Bucket, key []byte) error {
	value := bytes.Clone(b.Get(key))
	value[len(value)/2] ^= 0x10
	return b.Put(key, value)
}
