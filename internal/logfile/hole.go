package logfile

import (
	"encoding/binary"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// A log that Salvage has made may lack positions. HolesBucket lists these, so that a record
// that is lost later is not taken for one of them. The key of a hole is its last position;
// the value is its first position and a CRC32C.

// PutHole notes that the positions first to last, both included, have no record.
func PutHole(tx *pages.WriteTx, seed record.Seed, first, last eventstore.Position) error {
	b, err := tx.Root().CreateBucketIfNotExists(HolesBucket)
	if err != nil {
		return err
	}
	key, value := record.Key(last), record.Key(first)
	return b.Put(key[:], binary.BigEndian.AppendUint32(value[:], seed.Sum(key[:], value[:])))
}

// InHole reports whether the log was made without a record at p.
func InHole(tx *pages.Tx, seed record.Seed, p eventstore.Position) bool {
	b := tx.Bucket(HolesBucket)
	if b == nil {
		return false
	}
	want := record.Key(p)
	key, value := b.Cursor().Seek(want[:])
	if len(value) != len(want)+ChecksumSize || ChecksumAt(value) != seed.Sum(key, value[:len(want)]) {
		return false
	}
	first, ok := record.ParseKey(value[:len(want)])
	return ok && first <= p
}
