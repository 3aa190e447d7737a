package record

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Seed is the checksum of a store's id. The checksums in a file begin with it, so that
// what belongs to another store fails its checksum.
type Seed uint32

// SeedOf returns the seed of a store.
func SeedOf(store uuid.UUID) Seed { return Seed(crc32.Checksum(store[:], castagnoli)) }

// Sum returns the CRC32C of the store's id and the concatenation of parts. That of the
// zero Seed is the CRC32C of the parts alone.
func (s Seed) Sum(parts ...[]byte) uint32 {
	sum := uint32(s)
	for _, part := range parts {
		sum = crc32.Update(sum, castagnoli, part)
	}
	return sum
}

// Chain is the running checksum of a log up to a record: the CRC32C of the checksums of
// the identities of all records up to that one, in order. That of an empty log is 0.
// Payloads and metadata are not in it, so they can be erased.
type Chain uint32

// with returns the chain after one more record with that checksum of its identity.
func (c Chain) with(identity uint32) Chain {
	sum := ^uint32(c)
	for shift := 24; shift >= 0; shift -= 8 {
		sum = castagnoli[byte(sum)^byte(identity>>shift)] ^ sum>>8
	}
	return Chain(^sum)
}

// identitySum returns the checksum of a record's identity, which is the part of the
// record before that checksum.
func identitySum(seed Seed, p eventstore.Position, identity []byte) uint32 {
	return crc32.Update(keySum(seed, p), castagnoli, identity)
}

// keySum is the checksum of the seed and the position's key. Package crc32 would move the
// key to the heap for each record that is read or written.
func keySum(seed Seed, p eventstore.Position) uint32 {
	sum := ^uint32(seed)
	for shift := 56; shift >= 0; shift -= 8 {
		sum = castagnoli[byte(sum)^byte(p>>shift)] ^ sum>>8
	}
	return ^sum
}

// contentSum returns the checksum of a record's content: the checksum of its identity and
// the bytes that follow.
func contentSum(content []byte) uint32 { return crc32.Checksum(content, castagnoli) }

// Seam returns a checksum by which a record is recognized: of its position, its recorded
// time and the event's id. It stays the same if the payload is erased. rec is a whole record.
func Seam(p eventstore.Position, rec []byte) uint32 {
	return crc32.Update(keySum(0, p), castagnoli, rec[offRecorded:offSize])
}

// FindSeed returns the seed with which the record at position p was sealed, and false if
// it is not a whole record. The checksum of the identity says which seed led to it, since
// a CRC can be computed backward; that of the content needs no seed.
func FindSeed(p eventstore.Position, rec []byte) (Seed, bool) {
	at, reason := layout(rec)
	if reason != "" || checkContent(rec[at:len(rec)-sumSize], rec[len(rec)-sumSize:]) != "" {
		return 0, false
	}
	sum := ^binary.BigEndian.Uint32(rec[at:])
	for i := at - 1; i >= 0; i-- {
		sum = stepBack(sum, rec[i])
	}
	for shift := 0; shift < 64; shift += 8 {
		sum = stepBack(sum, byte(p>>shift))
	}
	seed := Seed(^sum)
	_, err := Decode(seed, p, rec)
	return seed, err == nil
}

// stepBack returns the state of a CRC before a byte, given the state after it.
func stepBack(after uint32, b byte) uint32 {
	i := firstByte[after>>24]
	return (after^castagnoli[i])<<8 | uint32(i^b)
}

// firstByte is the index of the element of castagnoli that begins with a byte. The
// elements begin with 256 different bytes.
var firstByte = func() (index [256]byte) {
	for i, element := range castagnoli {
		index[element>>24] = byte(i)
	}
	return index
}()
