package viewfile

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// A Tally counts the entries of a view's layers and adds up their checksums. It lies in the
// view's own bucket and is updated in each transaction that changes rows. The checksum of a
// row shows that the row is damaged; the tally shows that a row is missing, or that an
// older one has come back. Verify compares it with the rows. It also says which layers of
// changes there are, which every reader needs.
type Tally struct {
	Rows    uint64 // entries in all layers
	Sum     uint64 // of their checksums, modulo 2^64
	newest  uint64 // number of the newest layer of changes that ever was; 0: none was
	changes uint32 // number of layers of changes; their numbers end with newest
}

// Counts reports whether both tallies count the same entries.
func (t Tally) Counts(other Tally) bool { return t.Rows == other.Rows && t.Sum == other.Sum }

// TallyKey is the key of the tally. The key of a row begins with its table and differs.
var TallyKey = []byte{0}

// Add counts an entry that is whole, given as it is in the file.
func (t *Tally) Add(sealed []byte) {
	t.Rows++
	t.Sum += uint64(logfile.ChecksumAt(sealed))
}

// remove takes back Add. An entry too short to have a checksum is left counted; Verify
// reports the difference.
func (t *Tally) remove(sealed []byte) {
	if len(sealed) >= logfile.ChecksumSize {
		t.Rows--
		t.Sum -= uint64(logfile.ChecksumAt(sealed))
	}
}

// Knows reports whether a key of the bucket of changes belongs to a layer that exists.
func (t Tally) Knows(key []byte) bool {
	if len(key) < NumberSize {
		return false
	}
	number := binary.BigEndian.Uint64(key)
	return number <= t.newest && number > t.newest-uint64(t.changes)
}

// sealTally returns the tally as it is in the file: rows (8 bytes), sum (8), if there ever
// were layers newest (8) and changes (4), and a CRC32C like that of a row.
func sealTally(view eventstore.ViewID, t Tally) []byte {
	value := binary.BigEndian.AppendUint64(nil, t.Rows)
	value = binary.BigEndian.AppendUint64(value, t.Sum)
	if t.newest > 0 {
		value = binary.BigEndian.AppendUint64(value, t.newest)
		value = binary.BigEndian.AppendUint32(value, t.changes)
	}
	return sealRow(view, TallyKey, value)
}

// OpenTally checks and decodes a view's tally. The error matches ErrCorrupt.
func OpenTally(view eventstore.ViewID, sealed []byte) (t Tally, err error) {
	value, err := openRow(view, TallyKey, sealed)
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

// readTally returns the tally in a view's own bucket b; ok is false if it is missing or
// damaged. That is an error, which matches ErrCorrupt, only if the view has layers of
// changes: other rows can be read without a tally, and those of the first versions of Yore
// have none.
func readTally(tx *bolt.Tx, b *bolt.Bucket, view eventstore.ViewID) (t Tally, ok bool, err error) {
	t, err = OpenTally(view, b.Get(TallyKey))
	if err != nil && ChangesBucket(tx, view) == nil {
		return Tally{}, false, nil
	}
	return t, err == nil, err
}

// tallied changes a view's rows together with their tally.
type tallied struct {
	tx     *bolt.Tx
	bucket *bolt.Bucket // of the view's own rows
	view   eventstore.ViewID
	tally  Tally
	kept   bool // whether the tally is updated; false if it was missing or damaged
}

// openTallied returns the rows of a view, and creates their bucket if needed.
func openTallied(tx *bolt.Tx, view eventstore.ViewID) (*tallied, error) {
	rows := tx.Bucket(logfile.RowsBucket)
	if b := rows.Bucket([]byte(view)); b != nil {
		t, kept, err := readTally(tx, b, view)
		return &tallied{tx, b, view, t, kept}, err
	}
	b, err := rows.CreateBucket([]byte(view))
	if err == nil {
		err = dropChanges(tx, view) // layers whose own rows were lost
	}
	return &tallied{tx: tx, bucket: b, view: view, kept: true}, err
}

// put writes a row into the view's own bucket, or deletes it if value is nil. No layer may
// have an entry of the row that is not folded yet.
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
	t.tally.Add(sealed)
	return t.bucket.Put(key, sealed)
}

// close writes the tally.
func (t *tallied) close() error {
	if !t.kept {
		return nil
	}
	return t.bucket.Put(TallyKey, sealTally(t.view, t.tally))
}
