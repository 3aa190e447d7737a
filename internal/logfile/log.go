package logfile

import (
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// # The log and its packs
//
// The log is a bucket whose keys are positions. The value under a key is the record of
// that position, or a pack: the records of consecutive positions; the key is the last
// one. A [Writer] writes all records and a [Reader] finds all records by position,
// so no other code needs to know of packs.
//
// Problem. bbolt searches for the place of each value that it inserts, and does other work
// for each. For a transaction with many events that is much of its time.
//
// Invariants. A pack is written once: no later transaction writes its page again. A
// value has records of one transaction only, and at most record.MaxPacked of them.
//
// Steps. A transaction packs its records: a pack is inserted, and found, with one search.
// Since the key of a pack is its last position, the last key of the log is the head, and
// one search finds the pack of any position. But the next transaction writes the bucket's
// last page again. bbolt keeps at least two values in a page, however large they are, and
// up to four in the last one; if these were packs, each small append would write them
// again. So the last packAlone records of a transaction are single values, which fill the
// last page. And the writer makes full packs only: others would leave pages half empty.
//
// Rejected. To pack the last records too: each append of one event then wrote up to four
// packs again (docs/adr/0017). The first position as the key: a reader would have to find
// the next pack and step back. A checksum for each pack: it would find nothing that those
// of the records do not, and damage to one record would be damage to all.

const (
	packBytes = 8160 // two packs, with what bbolt adds, fill four pages of 4 KiB
	packAlone = 4    // records behind the last pack that are single values
)

// Writer puts records into the log, in the order of their positions, in one transaction
// after the other. The zero Writer is ready for Begin. It is not safe for concurrent use.
type Writer struct {
	log     *pages.WriteBucket
	pending [][]byte            // records that are not in the log yet
	first   eventstore.Position // of the first pending record
	fit     int                 // how many pending records fit into one pack
	bytes   int                 // how many bytes these have
	packs   []byte              // memory of the latest packs, which the transaction refers to until it ends
}

// packMemory is how many bytes a writer allocates for packs at a time. It keeps one
// piece of that size for the next transaction.
const packMemory = 256 << 10

// Begin starts to write in tx. The transaction of the call before must have ended.
func (w *Writer) Begin(tx *pages.WriteTx) {
	log := tx.Bucket(LogBucket)
	log.Fill(1) // keys come in order: pages are never split to be filled later
	*w = Writer{log: log, pending: slices.Delete(w.pending, 0, len(w.pending)), packs: w.packs[:0]}
}

// Put adds the record at position p, which is greater than the one before. The record is
// in the log after End at the latest. rec must not change until the transaction has
// ended.
func (w *Writer) Put(p eventstore.Position, rec []byte) error {
	if p != w.first+eventstore.Position(len(w.pending)) { // after a hole
		if err := w.flush(); err != nil {
			return err
		}
		w.first = p
	}
	w.pending = append(w.pending, rec)
	for w.fill(); len(w.pending)-w.fit >= packAlone; w.fill() {
		if err := w.putFirst(max(w.fit, 1)); err != nil {
			return err
		}
	}
	return nil
}

// fill counts the pending records that fit into a pack.
func (w *Writer) fill() {
	for w.fit < min(len(w.pending), record.MaxPacked) {
		bytes := w.bytes + len(w.pending[w.fit])
		if record.PackSize(w.fit+1, bytes) > packBytes {
			return
		}
		w.fit, w.bytes = w.fit+1, bytes
	}
}

// putFirst puts the first n pending records into the log as one value.
func (w *Writer) putFirst(n int) error {
	value := w.pending[0]
	if n > 1 {
		if cap(w.packs)-len(w.packs) < packBytes {
			w.packs = make([]byte, 0, packMemory)
		}
		start := len(w.packs)
		w.packs = record.AppendPack(w.packs, w.pending[:n])
		value = w.packs[start:]
	}
	w.pending = slices.Delete(w.pending, 0, n)
	w.first += eventstore.Position(n)
	w.fit, w.bytes = 0, 0
	key := record.Key(w.first - 1)
	return w.log.Put(key[:], value)
}

// End puts the pending records into the log. The Writer does not refer to the transaction
// afterwards.
func (w *Writer) End() error {
	err := w.flush()
	w.log = nil
	return err
}

// flush puts the pending records into the log.
func (w *Writer) flush() error {
	for len(w.pending) > 0 {
		if err := w.putFirst(1); err != nil {
			return err
		}
	}
	return nil
}

// ParseValue parses an element of the log's bucket. It does not check the records. The
// error matches ErrCorrupt.
func ParseValue(key, value []byte) (record.Value, error) {
	last, ok := record.ParseKey(key)
	if !ok || last == 0 {
		return record.Value{}, fmt.Errorf("%w: the log has the key %x, which is not a position", eventstore.ErrCorrupt, key[:min(len(key), 32)])
	}
	return record.ParseValue(last, value)
}

// Reader finds records by position in one transaction. It reaches the value beside the
// last one by a step of its cursor, without a search. It is not safe for concurrent use.
type Reader struct {
	cursor *pages.Cursor
	value  record.Value // at the cursor; zero: not known
}

// NewReader returns a reader of the log's bucket. It is valid until the transaction ends.
func NewReader(log *pages.Tree) *Reader {
	return &Reader{cursor: log.Cursor()}
}

// At returns the encoded record at p, unchecked, valid until the transaction ends. A
// missing one is a [*eventstore.CorruptError].
func (r *Reader) At(p eventstore.Position) ([]byte, error) {
	if r.value.Has(p) {
		return r.value.At(p), nil
	}
	before := r.value
	r.value = record.Value{}
	var key, value []byte
	switch {
	case before.Last > 0 && p == before.Last+1:
		key, value = r.cursor.Next()
	case before.Last > 0 && p == before.First-1:
		key, value = r.cursor.Prev()
	default:
		want := record.Key(p)
		key, value = r.cursor.Seek(want[:])
	}
	if v, err := ParseValue(key, value); err == nil && v.Has(p) {
		r.value = v
		return v.At(p), nil
	}
	return nil, Missing(p)
}

// Missing returns the error for a position without a record.
func Missing(p eventstore.Position) error {
	return &eventstore.CorruptError{Position: p, Reason: "the record is missing, or in a damaged value beside its place"}
}
