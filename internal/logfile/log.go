package logfile

import (
	"cmp"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// The log is a bucket whose keys are positions. Under a key is the record of that
// position, or a pack: this record behind those of the positions before it. All
// that is put into the log goes through a Writer, and all that is read by
// position through a Reader, so that others need not know of packs.
//
// A pack is put into a page, and found there, in one step. So a transaction with
// many events packs them. But the bucket's last page is written anew by the next
// transaction, and bbolt keeps two values in a page, however large they are, and up
// to four in the last one. If they were packs, each small append would write them
// once more. So the last records of a transaction stand alone: they fill the last
// page, and packs are never written twice. And packs are full: a few records in a
// pack would take more room than by themselves.

const (
	packBytes = 8160 // so that two packs fill four pages of 4 KiB, with what bbolt adds
	packAlone = 4    // records that stand alone behind the last pack
)

// Writer puts records into the log, in the order of their positions, in one
// transaction after the other.
type Writer struct {
	tx      *bolt.Tx
	log     *bolt.Bucket
	pending [][]byte            // records that are not put yet
	first   eventstore.Position // of these
	fit     int                 // so many of them fit into one pack,
	bytes   int                 // and have so many bytes
	packs   []byte              // the latest, to which the transaction refers until it ends
}

// packRoom is how much memory a writer takes for packs at once. It keeps so much for
// the next transaction.
const packRoom = 256 << 10

// Begin begins with a transaction, when that before it has ended.
func (w *Writer) Begin(tx *bolt.Tx) {
	log := tx.Bucket(LogBucket)
	log.FillPercent = 1 // keys come in order: pages are never split to be filled later
	*w = Writer{tx: tx, log: log, pending: slices.Delete(w.pending, 0, len(w.pending)), packs: w.packs[:0]}
}

// Put adds the next record, which is in the log at the latest after end, and must not
// change until the transaction has ended.
func (w *Writer) Put(p eventstore.Position, rec []byte) error {
	if p != w.first+eventstore.Position(len(w.pending)) { // behind a hole
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

// fill counts the records that fit into a pack.
func (w *Writer) fill() {
	for w.fit < min(len(w.pending), record.MaxPacked) {
		bytes := w.bytes + len(w.pending[w.fit])
		if record.PackSize(w.fit+1, bytes) > packBytes {
			return
		}
		w.fit, w.bytes = w.fit+1, bytes
	}
}

// putFirst puts the first n of the pending records into the log, as one value.
func (w *Writer) putFirst(n int) error {
	value := w.pending[0]
	if n > 1 {
		if err := RaiseFormat(w.tx); err != nil { // an older Yore would not know what it is
			return err
		}
		if cap(w.packs)-len(w.packs) < packBytes {
			w.packs = make([]byte, 0, packRoom)
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

// End puts what is pending into the log, and lets go of the transaction.
func (w *Writer) End() error {
	err := w.flush()
	w.tx, w.log = nil, nil
	return err
}

// flush puts what is pending into the log.
func (w *Writer) flush() error {
	for len(w.pending) > 0 {
		if err := w.putFirst(1); err != nil {
			return err
		}
	}
	return nil
}

// ParseValue returns what an element of the log's bucket holds.
func ParseValue(key, value []byte) (record.Value, error) {
	last, ok := record.ParseKey(key)
	if !ok || last == 0 {
		return record.Value{}, fmt.Errorf("%w: key %x in the log", eventstore.ErrCorrupt, key[:min(len(key), 32)])
	}
	return record.ParseValue(last, value)
}

// WholeValue returns what an element of the log's bucket holds, if all of it is whole.
func WholeValue(key, value []byte) (record.Value, error) {
	v, err := ParseValue(key, value)
	for p, rec := range v.All() {
		if err == nil {
			_, err = record.Decode(p, rec)
		}
	}
	return v, err
}

// Reader reads records by their positions. One that lies next to the one before
// is reached by a step and not by a search.
type Reader struct {
	cursor *bolt.Cursor
	value  record.Value // where the cursor is, if it is known
}

// NewReader returns a reader of the log's bucket, for one transaction.
func NewReader(log *bolt.Bucket) *Reader {
	return &Reader{cursor: log.Cursor()}
}

// At returns the record at p, which must be there, as the log has it.
func (r *Reader) At(p eventstore.Position) ([]byte, error) {
	if there, err := r.Seek(p); err != nil || !there {
		return nil, cmp.Or(err, Missing(p))
	}
	return r.value.At(p), nil
}

// Seek reports whether there is a record at p. If that cannot be told, the error is
// a [*eventstore.CorruptError].
func (r *Reader) Seek(p eventstore.Position) (there bool, err error) {
	if r.value.Has(p) {
		return true, nil
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
		return true, nil
	}
	return false, r.checkHole(p)
}

// checkHole returns an error unless there is a hole at p, as Salvage leaves them:
// nothing, between values that are whole and in order. The record may be in one that
// is not.
func (r *Reader) checkHole(p eventstore.Position) error {
	want := record.Key(p)
	after, err := WholeValue(r.cursor.Seek(want[:]))
	var before record.Value
	if key, value := r.cursor.Prev(); key != nil && err == nil {
		before, err = WholeValue(key, value)
	}
	if err == nil && before.Last < p && p < after.First {
		return nil
	}
	return &eventstore.CorruptError{Position: p, Reason: "the record is missing, or is in a damaged value beside it"}
}

// GetRecord returns the record at p, which must be there.
func GetRecord(log *bolt.Bucket, p eventstore.Position) (record.Record, error) {
	rec, err := NewReader(log).At(p)
	if err != nil {
		return record.Record{}, err
	}
	return record.Decode(p, rec)
}

// Missing returns the error that there is no record at p.
func Missing(p eventstore.Position) error {
	return &eventstore.CorruptError{Position: p, Reason: "the record is missing"}
}
