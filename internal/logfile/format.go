package logfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// fileFormat is the number of the file's format, which covers the buckets, their content
// and the record format. It changes when an older Yore could not read what a newer one
// writes. Format 4 has other checksums than the formats before, which are not read.
const fileFormat = 4

// Keys of StoreBucket, the file's description of itself. head.go has another.
const (
	formatKey = "format" // 4 bytes, big-endian
	idKey     = "id"     // 16 bytes
	epochKey  = "epoch"  // 8 bytes, big-endian
	sumKey    = "sum"    // CRC32C of the three values above
)

// ChecksumSize is the size of a checksum in the file, in bytes. It is big-endian.
const ChecksumSize = 4

// Checksum returns the CRC32C of the concatenation of parts. What belongs to one store has
// a checksum of the store's seed instead (see record.Seed).
func Checksum(parts ...[]byte) uint32 { return record.Seed(0).Sum(parts...) }

// ChecksumAt returns the checksum with which b ends.
func ChecksumAt(b []byte) uint32 { return binary.BigEndian.Uint32(b[len(b)-ChecksumSize:]) }

// descriptionSum returns the checksum of the file's description.
func descriptionSum(format, id, epoch []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, Checksum(format, id, epoch))
}

// describe makes the buckets of a new log and writes the file's description.
func describe(tx *pages.WriteTx, identity Identity) error {
	store, err := tx.Root().CreateBucket(StoreBucket)
	if err != nil {
		return err
	}
	if _, err := tx.Root().CreateBucket(LogBucket); err != nil {
		return err
	}
	format := binary.BigEndian.AppendUint32(nil, fileFormat)
	epoch := binary.BigEndian.AppendUint64(nil, identity.Epoch)
	return errors.Join(
		store.Put([]byte(formatKey), format),
		store.Put([]byte(idKey), identity.StoreID[:]),
		store.Put([]byte(epochKey), epoch),
		store.Put([]byte(sumKey), descriptionSum(format, identity.StoreID[:], epoch)),
		PutHead(tx, identity.Seed(), Head{}),
	)
}

// Identity identifies the log in a file.
type Identity struct {
	StoreID uuid.UUID
	Epoch   uint64 // 1 or more; new after Restore
}

// Seed returns the seed of the log's checksums.
func (i Identity) Seed() record.Seed { return record.SeedOf(i.StoreID) }

// ParseIdentity returns the identity that a description gives, and whether the description
// is whole. get returns the value under a key of StoreBucket, nil if there is none.
func ParseIdentity(get func(key string) []byte) (identity Identity, ok bool) {
	format, id, epoch := get(formatKey), get(idKey), get(epochKey)
	if len(format) != 4 || len(id) != 16 || len(epoch) != 8 || !bytes.Equal(get(sumKey), descriptionSum(format, id, epoch)) {
		return Identity{}, false
	}
	return Identity{StoreID: uuid.UUID(id), Epoch: binary.BigEndian.Uint64(epoch)}, true
}

// OlderFormat returns the error for a file whose description says an older format, or nil. It
// matches ErrFormat.
func OlderFormat(get func(key string) []byte) error {
	if format := get(formatKey); len(format) == 4 && binary.BigEndian.Uint32(format) < fileFormat {
		return olderFormat(binary.BigEndian.Uint32(format))
	}
	return nil
}

func olderFormat(f uint32) error {
	return fmt.Errorf("%w: the file has format %d, and this version of Yore reads format %d: "+
		"export the log (Store.Export) with the version of Yore that wrote it, and import it with this one", eventstore.ErrFormat, f, fileFormat)
}

// LoadIdentity returns the identity of the file. The error matches ErrFormat for a file of
// another program or of a newer format, and ErrCorrupt for a damaged description.
func LoadIdentity(tx *pages.Tx) (Identity, error) {
	store := tx.Bucket(StoreBucket)
	if store == nil {
		return Identity{}, fmt.Errorf("%w: not a Yore log, but another program's bbolt file", eventstore.ErrFormat)
	}
	get := func(key string) []byte { return store.Get([]byte(key)) }
	if format := get(formatKey); len(format) == 4 {
		if f := binary.BigEndian.Uint32(format); f > fileFormat {
			return Identity{}, fmt.Errorf("%w: the file has format %d, this version of Yore reads format %d", eventstore.ErrFormat, f, fileFormat)
		}
		if err := OlderFormat(get); err != nil {
			return Identity{}, err
		}
	}
	identity, ok := ParseIdentity(get)
	if !ok || tx.Bucket(LogBucket) == nil {
		return Identity{}, fmt.Errorf("%w: the file's description of itself is damaged", eventstore.ErrCorrupt)
	}
	return identity, nil
}
