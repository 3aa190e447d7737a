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

// fileFormat is the number of the file's format, which covers the buckets, their content
// and the record format. It changes when an older Yore could not read what a newer one
// writes. Format 2 added the bucket of changes, format 3 packs in the log.
const (
	fileFormat   = 3
	oldestFormat = 1 // the oldest that is read and written; see RaiseFormat
)

// Keys of StoreBucket, the file's description of itself.
var (
	FormatKey = []byte("format") // 4 bytes, big-endian
	IdKey     = []byte("id")     // 16 bytes
	EpochKey  = []byte("epoch")  // 8 bytes, big-endian
	SumKey    = []byte("sum")    // CRC32C of the three values above
)

// Castagnoli is the table of all checksums in the file, each of CrcSize bytes.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CrcSize is the size of a checksum, in bytes.
const CrcSize = 4

// InfoSum returns the checksum of the file's description.
func InfoSum(format, id, epoch []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, crc32.Checksum(slices.Concat(format, id, epoch), Castagnoli))
}

// RaiseFormat gives a file of an older format the current number. It is called in the
// transaction that first writes what an older Yore cannot read.
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

// LoadInfo returns the file's description. The error matches ErrFormat for a file of
// another program or of a newer format, and ErrCorrupt for a damaged description.
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
	whole := sum == nil || bytes.Equal(sum, InfoSum(format, id, epoch)) // the first Yore wrote none
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
