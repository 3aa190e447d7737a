package logfile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// fileFormat is the number of the file's format, which covers the buckets, their content
// and the record format. It changes when an older Yore could not read what a newer one
// writes. Format 2 added the bucket of changes, format 3 packs in the log.
const (
	fileFormat   = 3
	oldestFormat = 1 // the oldest that is read and written; see RaiseFormat
)

// Keys of StoreBucket, the file's description of itself.
const (
	formatKey = "format" // 4 bytes, big-endian
	idKey     = "id"     // 16 bytes
	epochKey  = "epoch"  // 8 bytes, big-endian
	sumKey    = "sum"    // CRC32C of the three values above
)

// ChecksumSize is the size of a checksum in the file, in bytes. It is big-endian.
const ChecksumSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC32C of the concatenation of parts: the checksum of everything in
// the file.
func Checksum(parts ...[]byte) uint32 {
	var sum uint32
	for _, part := range parts {
		sum = crc32.Update(sum, castagnoli, part)
	}
	return sum
}

// ChecksumAt returns the checksum with which b ends.
func ChecksumAt(b []byte) uint32 { return binary.BigEndian.Uint32(b[len(b)-ChecksumSize:]) }

// descriptionSum returns the checksum of the file's description.
func descriptionSum(format, id, epoch []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, Checksum(format, id, epoch))
}

// RaiseFormat gives a file of an older format the current number. It is called in the
// transaction that first writes what an older Yore cannot read.
func RaiseFormat(tx *bolt.Tx) error {
	store := tx.Bucket(StoreBucket)
	format := binary.BigEndian.AppendUint32(nil, fileFormat)
	if bytes.Equal(store.Get([]byte(formatKey)), format) {
		return nil
	}
	sum := descriptionSum(format, store.Get([]byte(idKey)), store.Get([]byte(epochKey)))
	return errors.Join(
		store.Put([]byte(sumKey), sum),
		store.Put([]byte(formatKey), format),
	)
}

// describe makes the buckets of a new log and writes the file's description.
func describe(tx *bolt.Tx, identity Identity) error {
	store, err := tx.CreateBucket(StoreBucket)
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket(LogBucket); err != nil {
		return err
	}
	format := binary.BigEndian.AppendUint32(nil, fileFormat)
	epoch := binary.BigEndian.AppendUint64(nil, identity.Epoch)
	return errors.Join(
		store.Put([]byte(formatKey), format),
		store.Put([]byte(idKey), identity.StoreID[:]),
		store.Put([]byte(epochKey), epoch),
		store.Put([]byte(sumKey), descriptionSum(format, identity.StoreID[:], epoch)),
	)
}

// Identity identifies the log in a file.
type Identity struct {
	StoreID uuid.UUID
	Epoch   uint64 // 1 or more; new after Restore
}

// ParseIdentity returns the identity that a description gives, and whether the description
// is whole. get returns the value under a key of StoreBucket, nil if there is none.
func ParseIdentity(get func(key string) []byte) (identity Identity, ok bool) {
	format, id, epoch := get(formatKey), get(idKey), get(epochKey)
	if len(format) != 4 || len(id) != 16 || len(epoch) != 8 || !bytes.Equal(get(sumKey), descriptionSum(format, id, epoch)) {
		return Identity{}, false
	}
	return Identity{StoreID: uuid.UUID(id), Epoch: binary.BigEndian.Uint64(epoch)}, true
}

// LoadIdentity returns the identity of the file. The error matches ErrFormat for a file of
// another program or of a newer format, and ErrCorrupt for a damaged description.
func LoadIdentity(tx *bolt.Tx) (Identity, error) {
	store := tx.Bucket(StoreBucket)
	if store == nil {
		return Identity{}, fmt.Errorf("%w: not a Yore log, but another program's bbolt file", eventstore.ErrFormat)
	}
	get := func(key string) []byte { return store.Get([]byte(key)) }
	if format := get(formatKey); len(format) == 4 {
		if f := binary.BigEndian.Uint32(format); f < oldestFormat || f > fileFormat {
			return Identity{}, fmt.Errorf("%w: the file has format %d, this version of Yore reads formats %d to %d",
				eventstore.ErrFormat, f, oldestFormat, fileFormat)
		}
	}
	if get(sumKey) == nil { // the first Yore wrote none
		get = withSum(get)
	}
	identity, ok := ParseIdentity(get)
	if !ok || tx.Bucket(LogBucket) == nil {
		return Identity{}, fmt.Errorf("%w: the file's description of itself is damaged", eventstore.ErrCorrupt)
	}
	return identity, nil
}

// withSum completes a description without a checksum.
func withSum(get func(key string) []byte) func(key string) []byte {
	return func(key string) []byte {
		if key == sumKey {
			return descriptionSum(get(formatKey), get(idKey), get(epochKey))
		}
		return get(key)
	}
}

// LoadHead returns the position of the last record and the time at which the last whole
// one was recorded; zeros for an empty log. If values at the end of the log are damaged,
// it returns the error together with a head that a reader can use: the position of the
// last key, if the damaged records can reach that far, otherwise that of the last whole
// record.
func LoadHead(tx *bolt.Tx) (eventstore.Position, time.Time, error) {
	cursor := tx.Bucket(LogBucket).Cursor()
	key, _ := cursor.Last()
	head, recorded, damaged, err := lastWhole(cursor)
	if last, ok := record.ParseKey(key); ok && err != nil && last <= head+damaged {
		head = last
	}
	return head, recorded, err
}

// lastWhole returns the position and time of the last whole record, or zeros; the most
// damaged records that may follow it; and the error of the first one found.
func lastWhole(cursor *bolt.Cursor) (p eventstore.Position, recorded time.Time, damaged eventstore.Position, err error) {
	for key, value := cursor.Last(); key != nil; key, value = cursor.Prev() {
		v, damage := ParseValue(key, value)
		if damage != nil {
			damaged += record.MaxPacked
			err = cmp.Or(err, damage)
			continue
		}
		for p := v.Last; v.Has(p); p-- {
			r, damage := record.Decode(p, v.At(p))
			if damage == nil {
				return p, r.Event.Recorded, damaged, err
			}
			damaged++
			err = cmp.Or(err, damage)
		}
	}
	return 0, time.Time{}, damaged, err
}
