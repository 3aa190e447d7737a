package boltstore

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// A tally is what a view's rows come to: how many there are, and the sum of
// their checksums. It lies in the view's bucket beside them and is brought up to
// date in each transaction that changes them. A row's own checksum shows that
// the row is damaged; the tally shows that one is missing, or that an older one
// has come back. Verify compares it with the rows.
type tally struct {
	rows uint64
	sum  uint64 // of the rows' checksums, modulo 2^64
}

// tallyKey is the tally's key. It is no row's, for that begins with the name of
// a table.
var tallyKey = []byte{0}

func (t *tally) add(sealed []byte) {
	t.rows++
	t.sum += uint64(binary.BigEndian.Uint32(sealed[len(sealed)-crcSize:]))
}

// remove takes away a row that add has added. One that is too damaged to have a
// checksum is not taken away; Verify will tell.
func (t *tally) remove(sealed []byte) {
	if len(sealed) >= crcSize {
		t.rows--
		t.sum -= uint64(binary.BigEndian.Uint32(sealed[len(sealed)-crcSize:]))
	}
}

// sealTally returns the tally as the file holds it: rows (8), sum (8), and a
// CRC32C like a row's.
func sealTally(view eventstore.ViewID, t tally) []byte {
	value := binary.BigEndian.AppendUint64(nil, t.rows)
	return sealRow(view, tallyKey, binary.BigEndian.AppendUint64(value, t.sum))
}

// openTally decodes a view's tally.
func openTally(view eventstore.ViewID, sealed []byte) (tally, error) {
	value, err := openRow(view, tallyKey, sealed)
	if err != nil || len(value) != 16 {
		return tally{}, fmt.Errorf("%w: view %q: the tally of its rows is damaged", eventstore.ErrCorrupt, view)
	}
	return tally{rows: binary.BigEndian.Uint64(value), sum: binary.BigEndian.Uint64(value[8:])}, nil
}

// tallied is a view's bucket whose tally is kept while rows are changed.
type tallied struct {
	bucket *bolt.Bucket
	view   eventstore.ViewID
	tally  tally
	kept   bool // no tally is kept of rows that had none, or a damaged one
}

// openTallied returns the bucket of a view, which it makes if it is not there.
func openTallied(rows *bolt.Bucket, view eventstore.ViewID) (*tallied, error) {
	if b := rows.Bucket([]byte(view)); b != nil {
		t, err := openTally(view, b.Get(tallyKey))
		return &tallied{b, view, t, err == nil}, nil //nolint:nilerr // what it was is lost; that does not keep rows from being written
	}
	b, err := rows.CreateBucket([]byte(view))
	return &tallied{bucket: b, view: view, kept: true}, err
}

// put writes a row, or deletes it if its value is nil.
func (t *tallied) put(row eventstore.Row) error {
	key := rowKey(row.Table, row.Key)
	if t.kept {
		if old := t.bucket.Get(key); old != nil {
			t.tally.remove(old)
		}
	}
	if row.Value == nil {
		return t.bucket.Delete(key)
	}
	sealed := sealRow(t.view, key, row.Value)
	t.tally.add(sealed)
	return t.bucket.Put(key, sealed)
}

// close writes the tally.
func (t *tallied) close() error {
	if !t.kept {
		return nil
	}
	return t.bucket.Put(tallyKey, sealTally(t.view, t.tally))
}
