package logfile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// fileFormat is the number of the file's format: the buckets, what is in them,
// and the record and index formats. It changes when an older Yore could not
// read what a newer one writes. Format 2 has the bucket of changes, format 3 packs in
// the log.
const (
	fileFormat   = 3
	oldestFormat = 1 // that is read, and written to; it is raised when that is needed
)

// Keys of the bucket in which the file describes itself.
var (
	FormatKey = []byte("format") // 4 bytes, big-endian
	IdKey     = []byte("id")     // 16 bytes
	EpochKey  = []byte("epoch")  // 8 bytes, big-endian
	SumKey    = []byte("sum")    // CRC32C of these three values
)

// Castagnoli is the table of all checksums in the file, each of CrcSize bytes.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CrcSize is the size of a checksum, in bytes.
const CrcSize = 4

// InfoSum is the checksum of what the file says of itself.
func InfoSum(format, id, epoch []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, crc32.Checksum(slices.Concat(format, id, epoch), Castagnoli))
}

// RaiseFormat makes a file of an older format one of this one.
func RaiseFormat(tx *bolt.Tx) error {
	store := tx.Bucket(StoreBucket)
	format := binary.BigEndian.AppendUint32(nil, fileFormat)
	if bytes.Equal(store.Get(FormatKey), format) {
		return nil
	}
	return errors.Join(
		store.Put(SumKey, InfoSum(format, store.Get(IdKey), store.Get(EpochKey))),
		store.Put(FormatKey, format),
	)
}

// LoadInfo returns what the file says of itself. A file of another program or of a
// newer format matches ErrFormat; a damaged description matches ErrCorrupt.
func LoadInfo(tx *bolt.Tx) (eventstore.Info, error) {
	store := tx.Bucket(StoreBucket)
	if store == nil {
		return eventstore.Info{}, fmt.Errorf("%w: not a Yore log, but another program's bbolt file", eventstore.ErrFormat)
	}
	format, id, epoch, sum := store.Get(FormatKey), store.Get(IdKey), store.Get(EpochKey), store.Get(SumKey)
	if len(format) == 4 {
		if f := binary.BigEndian.Uint32(format); f < oldestFormat || f > fileFormat {
			return eventstore.Info{}, fmt.Errorf("%w: the file has format %d, this version of Yore reads formats %d to %d",
				eventstore.ErrFormat, f, oldestFormat, fileFormat)
		}
	}
	whole := sum == nil || bytes.Equal(sum, InfoSum(format, id, epoch)) // the first files had none
	if !whole || len(format) != 4 || len(id) != 16 || len(epoch) != 8 || tx.Bucket(LogBucket) == nil {
		return eventstore.Info{}, fmt.Errorf("%w: the file's description of itself is damaged", eventstore.ErrCorrupt)
	}
	return eventstore.Info{
		StoreID: uuid.UUID(id),
		Epoch:   binary.BigEndian.Uint64(epoch),
		Gapless: true,
		Durable: true,
		Limits:  eventstore.StandardLimits(),
	}, nil
}

// LoadHead returns the position of the last event and when it was recorded. If
// the last record is damaged, it returns the error beside the position that a
// reader can go by: the record's own, if it is the one that comes next, else that
// of the last whole one.
func LoadHead(tx *bolt.Tx) (eventstore.Position, time.Time, error) {
	cursor := tx.Bucket(LogBucket).Cursor()
	key, _ := cursor.Last()
	head, recorded, damaged, err := lastWhole(cursor)
	if last, ok := record.ParseKey(key); ok && err != nil && last <= head+damaged {
		head = last
	}
	return head, recorded, err
}

// lastWhole returns the position of the last whole record, or 0, and when it was
// recorded; how many damaged ones there may be behind it; and what is wrong with the
// first of these that was found.
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
