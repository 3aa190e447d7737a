package viewfile

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
)

// A Tally counts the entries of a view's layers and adds up their checksums. It lies in the
// view's own bucket and is updated in each transaction that changes rows. The checksum of a
// row shows that the row is damaged; the tally shows that a row is missing, or that an
// older one has come back. Verify compares it with the rows. It also says which layers of
// changes there are, which every reader needs.
//
// The generation is the number of the transaction that last changed rows. The view's
// checkpoint has it too. If they differ, one of the two pages has older content, since its
// last write was lost: the rows are not those of the checkpoint.
type Tally struct {
	Rows    uint64 // entries in all layers
	Sum     uint64 // of their checksums, modulo 2^64
	newest  uint64 // number of the newest layer of changes that ever was; 0: none was
	changes uint32 // number of layers of changes; their numbers end with newest

	generation uint64 // the transaction that last changed rows; 0: none has
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

// tallySize is the size of a tally in the file, in bytes, without its checksum.
const tallySize = 36

// sealTally returns the tally as it is in the file: rows (8 bytes), sum (8), newest (8),
// changes (4), generation (8), and a CRC32C like that of a row.
func sealTally(view View, t Tally) []byte {
	value := binary.BigEndian.AppendUint64(nil, t.Rows)
	value = binary.BigEndian.AppendUint64(value, t.Sum)
	value = binary.BigEndian.AppendUint64(value, t.newest)
	value = binary.BigEndian.AppendUint32(value, t.changes)
	value = binary.BigEndian.AppendUint64(value, t.generation)
	return sealRow(view, TallyKey, value)
}

// OpenTally checks and decodes a view's tally. The error matches ErrCorrupt.
func OpenTally(view View, sealed []byte) (t Tally, err error) {
	value, err := openRow(view, TallyKey, sealed)
	if err != nil || len(value) != tallySize {
		return Tally{}, corruptTally(view)
	}
	t.Rows, t.Sum = binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])
	t.newest, t.changes = binary.BigEndian.Uint64(value[16:]), binary.BigEndian.Uint32(value[24:])
	t.generation = binary.BigEndian.Uint64(value[28:])
	if t.changes > maxChanges || uint64(t.changes) > t.newest {
		return Tally{}, corruptTally(view)
	}
	return t, nil
}

func corruptTally(view View) error {
	return fmt.Errorf("%w: view %q: the tally of its rows is damaged", eventstore.ErrCorrupt, view.ID)
}

// tallied changes a view's rows together with their tally.
type tallied struct {
	tx     *pages.WriteTx
	bucket *pages.WriteBucket // of the view's own rows
	view   View
	tally  Tally
}

// openTallied returns the rows of a view whose checkpoint has a generation, and creates
// their bucket if the view has never had rows. The error matches ErrCorrupt.
func openTallied(tx *pages.WriteTx, view View, generation uint64) (*tallied, error) {
	rows := tx.Bucket(logfile.RowsBucket)
	b := rows.Bucket([]byte(view.ID))
	if b == nil && generation > 0 {
		return nil, errRowsMissing(view)
	}
	if b != nil {
		t, err := OpenTally(view, b.Get(TallyKey))
		if err == nil && t.generation != generation {
			err = errGeneration(view, generation, t)
		}
		return &tallied{tx, b, view, t}, err
	}
	b, err := rows.CreateBucket([]byte(view.ID))
	if err == nil {
		err = dropChanges(tx, view) // layers whose own rows were lost
	}
	return &tallied{tx: tx, bucket: b, view: view}, err
}

func errRowsMissing(view View) error {
	return fmt.Errorf("%w: view %q: its rows are missing: %w", eventstore.ErrCorrupt, view.ID, ErrOtherMoment)
}

// ErrOtherMoment means that a view's checkpoint and its rows are whole and not of the same
// moment.
var ErrOtherMoment = errors.New("the checkpoint is not that of the rows: a write to the disk was lost; rebuild the view")

func errGeneration(view View, checkpoint uint64, t Tally) error {
	return fmt.Errorf("%w: view %q: %w (generations %d and %d)", eventstore.ErrCorrupt, view.ID, ErrOtherMoment, checkpoint, t.generation)
}

// put writes a row into the view's own bucket, or deletes it if value is nil. No layer may
// have an entry of the row that is not folded yet.
func (t *tallied) put(key, value []byte) error {
	if old := t.bucket.Get(key); old != nil {
		t.tally.remove(old)
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
	return t.bucket.Put(TallyKey, sealTally(t.view, t.tally))
}
