package viewfile

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// A Tally is what a view's rows come to: how many there are, and the sum of
// their checksums, in all layers. It lies in the view's bucket beside them and is
// brought up to date in each transaction that changes them. A row's own checksum shows
// that the row is damaged; the tally shows that one is missing, or that an older one
// has come back. Verify compares it with the rows. And it says which layers of
// changes there are, which whoever reads a row goes by.
type Tally struct {
	Rows    uint64
	Sum     uint64 // of the rows' checksums, modulo 2^64
	newest  uint64 // number of the newest layer of changes that there ever was
	changes uint32 // layers of changes, up to the newest
}

// Counts reports whether another tally has counted the same rows.
func (t Tally) Counts(other Tally) bool { return t.Rows == other.Rows && t.Sum == other.Sum }

// TallyKey is the tally's key. It is no row's, for that begins with the name of
// a table.
var TallyKey = []byte{0}

// Add counts a row, as the file holds it.
func (t *Tally) Add(sealed []byte) {
	t.Rows++
	t.Sum += uint64(binary.BigEndian.Uint32(sealed[len(sealed)-logfile.CrcSize:]))
}

// remove takes away a row that add has added. One that is too damaged to have a
// checksum is not taken away; Verify will tell.
func (t *Tally) remove(sealed []byte) {
	if len(sealed) >= logfile.CrcSize {
		t.Rows--
		t.Sum -= uint64(binary.BigEndian.Uint32(sealed[len(sealed)-logfile.CrcSize:]))
	}
}

// Knows reports whether a key is that of an entry of a layer that there is.
func (t Tally) Knows(key []byte) bool {
	if len(key) < NumberSize {
		return false
	}
	number := binary.BigEndian.Uint64(key)
	return number <= t.newest && number > t.newest-uint64(t.changes)
}

// SealTally returns the tally as the file holds it: rows (8), sum (8), and, if
// there ever were any, newest (8) and changes (4), and a CRC32C like a row's.
func SealTally(view eventstore.ViewID, t Tally) []byte {
	value := binary.BigEndian.AppendUint64(nil, t.Rows)
	value = binary.BigEndian.AppendUint64(value, t.Sum)
	if t.newest > 0 {
		value = binary.BigEndian.AppendUint64(value, t.newest)
		value = binary.BigEndian.AppendUint32(value, t.changes)
	}
	return SealRow(view, TallyKey, value)
}

// OpenTally decodes a view's tally.
func OpenTally(view eventstore.ViewID, sealed []byte) (t Tally, err error) {
	value, err := OpenRow(view, TallyKey, sealed)
	if err != nil || len(value) != 16 && len(value) != 28 {
		return Tally{}, corruptTally(view)
	}
	t.Rows, t.Sum = binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])
	if len(value) > 16 {
		t.newest, t.changes = binary.BigEndian.Uint64(value[16:]), binary.BigEndian.Uint32(value[24:])
	}
	if t.changes > maxChanges || uint64(t.changes) > t.newest {
		return Tally{}, corruptTally(view)
	}
	return t, nil
}

func corruptTally(view eventstore.ViewID) error {
	return fmt.Errorf("%w: view %q: the tally of its rows is damaged", eventstore.ErrCorrupt, view)
}

// ReadTally returns the tally in a view's bucket, and whether there is one that is whole:
// rows that were written before there were tallies have none, and where there are no
// layers of changes, rows can do without.
func ReadTally(tx *bolt.Tx, b *bolt.Bucket, view eventstore.ViewID) (t Tally, ok bool, err error) {
	t, err = OpenTally(view, b.Get(TallyKey))
	if err != nil && ChangesBucket(tx, view) == nil {
		return Tally{}, false, nil
	}
	return t, err == nil, err
}

// tallied is a view's rows, whose tally is kept while they are changed.
type tallied struct {
	tx     *bolt.Tx
	bucket *bolt.Bucket // the view's own
	view   eventstore.ViewID
	tally  Tally
	kept   bool // no tally is kept of rows that had none, or a damaged one
}

// openTallied returns the rows of a view, whose bucket it makes if it is not there.
func openTallied(tx *bolt.Tx, view eventstore.ViewID) (*tallied, error) {
	rows := tx.Bucket(logfile.RowsBucket)
	if b := rows.Bucket([]byte(view)); b != nil {
		t, kept, err := ReadTally(tx, b, view)
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
	sealed := SealRow(t.view, key, value)
	t.tally.Add(sealed)
	return t.bucket.Put(key, sealed)
}

// close writes the tally.
func (t *tallied) close() error {
	if !t.kept {
		return nil
	}
	return t.bucket.Put(TallyKey, SealTally(t.view, t.tally))
}
