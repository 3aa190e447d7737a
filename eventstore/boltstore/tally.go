package boltstore

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// A tally is what a view's rows come to: how many there are, and the sum of
// their checksums, in all layers. It lies in the view's bucket beside them and is
// brought up to date in each transaction that changes them. A row's own checksum shows
// that the row is damaged; the tally shows that one is missing, or that an older one
// has come back. Verify compares it with the rows. And it says which layers of
// changes there are, which whoever reads a row goes by.
type tally struct {
	rows    uint64
	sum     uint64 // of the rows' checksums, modulo 2^64
	newest  uint64 // number of the newest layer of changes that there ever was
	changes uint32 // layers of changes, up to the newest
}

// counts reports whether another tally has counted the same rows.
func (t tally) counts(other tally) bool { return t.rows == other.rows && t.sum == other.sum }

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

// knows reports whether a key is that of an entry of a layer that there is.
func (t tally) knows(key []byte) bool {
	if len(key) < numberSize {
		return false
	}
	number := binary.BigEndian.Uint64(key)
	return number <= t.newest && number > t.newest-uint64(t.changes)
}

// sealTally returns the tally as the file holds it: rows (8), sum (8), and, if
// there ever were any, newest (8) and changes (4), and a CRC32C like a row's.
func sealTally(view eventstore.ViewID, t tally) []byte {
	value := binary.BigEndian.AppendUint64(nil, t.rows)
	value = binary.BigEndian.AppendUint64(value, t.sum)
	if t.newest > 0 {
		value = binary.BigEndian.AppendUint64(value, t.newest)
		value = binary.BigEndian.AppendUint32(value, t.changes)
	}
	return sealRow(view, tallyKey, value)
}

// openTally decodes a view's tally.
func openTally(view eventstore.ViewID, sealed []byte) (t tally, err error) {
	value, err := openRow(view, tallyKey, sealed)
	if err != nil || len(value) != 16 && len(value) != 28 {
		return tally{}, corruptTally(view)
	}
	t.rows, t.sum = binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])
	if len(value) > 16 {
		t.newest, t.changes = binary.BigEndian.Uint64(value[16:]), binary.BigEndian.Uint32(value[24:])
	}
	if t.changes > maxChanges || uint64(t.changes) > t.newest {
		return tally{}, corruptTally(view)
	}
	return t, nil
}

func corruptTally(view eventstore.ViewID) error {
	return fmt.Errorf("%w: view %q: the tally of its rows is damaged", eventstore.ErrCorrupt, view)
}

// readTally returns the tally in a view's bucket, and whether there is one that is whole:
// rows that were written before there were tallies have none, and where there are no
// layers of changes, rows can do without.
func readTally(tx *bolt.Tx, b *bolt.Bucket, view eventstore.ViewID) (t tally, ok bool, err error) {
	t, err = openTally(view, b.Get(tallyKey))
	if err != nil && viewChanges(tx, view) == nil {
		return tally{}, false, nil
	}
	return t, err == nil, err
}

// tallied is a view's rows, whose tally is kept while they are changed.
type tallied struct {
	tx     *bolt.Tx
	bucket *bolt.Bucket // the view's own
	view   eventstore.ViewID
	tally  tally
	kept   bool // no tally is kept of rows that had none, or a damaged one
}

// openTallied returns the rows of a view, whose bucket it makes if it is not there.
func openTallied(tx *bolt.Tx, view eventstore.ViewID) (*tallied, error) {
	rows := tx.Bucket(rowsBucket)
	if b := rows.Bucket([]byte(view)); b != nil {
		t, kept, err := readTally(tx, b, view)
		return &tallied{tx, b, view, t, kept}, err
	}
	b, err := rows.CreateBucket([]byte(view))
	if err == nil {
		err = dropChanges(tx, view) // of rows that were lost
	}
	return &tallied{tx: tx, bucket: b, view: view, kept: true}, err
}

// put writes a row into the view's own bucket, over which there are no layers, or
// deletes it if its value is nil.
func (t *tallied) put(key, value []byte) error {
	if t.kept {
		if old := t.bucket.Get(key); old != nil {
			t.tally.remove(old)
		}
	}
	if value == nil {
		return t.bucket.Delete(key)
	}
	sealed := sealRow(t.view, key, value)
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
