package record

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"
	"time"

	"github.com/yore-es/yore/eventstore"
)

const (
	format = 1

	flagTime = 1 << 0
	flagKey  = 1 << 1

	offFlags    = 1
	offVersion  = 2
	offRecorded = 10
	offID       = 18
	offDataSize = 34
	offFields   = 38
	crcSize     = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Place is an event's place in its commit: the I-th, from 0, of N.
type Place struct{ I, N int }

// Append appends the encoding of an event to dst, with room for what [Seal] fills
// in. key is the commit's key, which is encoded in its first event only. Tags are
// encoded as they are: the caller removes repeats.
func Append(dst []byte, e *eventstore.NewEvent, place Place, key string) []byte {
	if place.I > 0 {
		key = ""
	}
	start := len(dst)
	dst = append(dst, make([]byte, offFields)...)
	dst[start] = format
	copy(dst[start+offID:], e.ID[:])
	binary.BigEndian.PutUint32(dst[start+offDataSize:], uint32(len(e.Data)))
	dst = binary.AppendUvarint(dst, uint64(place.I))
	dst = binary.AppendUvarint(dst, uint64(place.N))
	dst = binary.AppendUvarint(dst, uint64(e.SchemaVersion))
	if !e.Time.IsZero() {
		dst[start+offFlags] |= flagTime
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.Time.Unix()))
		dst = binary.BigEndian.AppendUint32(dst, uint32(e.Time.Nanosecond()))
	}
	dst = appendName(dst, string(e.Stream))
	dst = appendName(dst, e.Type)
	dst = appendName(dst, e.Codec)
	if key != "" {
		dst[start+offFlags] |= flagKey
		dst = appendName(dst, key)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Tags)))
	for _, tag := range e.Tags {
		dst = appendName(dst, string(tag))
	}
	dst = appendMetadata(dst, e.Metadata)
	dst = append(dst, e.Data...)
	return append(dst, make([]byte, crcSize)...)
}

// MaxSize returns an upper bound of the bytes that Append appends for the event.
func MaxSize(e *eventstore.NewEvent, key string) int {
	const fixed = offFields + 5*binary.MaxVarintLen32 + 12 + 4 + crcSize
	size := fixed + len(e.Stream) + len(e.Type) + len(e.Codec) + len(key) + len(e.Data)
	for _, tag := range e.Tags {
		size += 1 + len(tag)
	}
	for name, value := range e.Metadata {
		size += 2*binary.MaxVarintLen32 + len(name) + len(value)
	}
	return size
}

func appendName(dst []byte, name string) []byte {
	return append(append(dst, byte(len(name))), name...)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendMetadata(dst []byte, metadata eventstore.Metadata) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(metadata)))
	if len(metadata) == 0 {
		return dst
	}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		dst = appendText(dst, key)
		dst = appendText(dst, metadata[key])
	}
	return dst
}

// Seal fills in the version, the recorded time and the checksum, in place.
func Seal(rec []byte, p eventstore.Position, v eventstore.Version, recorded time.Time) {
	binary.BigEndian.PutUint64(rec[offVersion:], uint64(v))
	binary.BigEndian.PutUint64(rec[offRecorded:], uint64(recorded.UnixNano()))
	end := len(rec) - crcSize
	binary.BigEndian.PutUint32(rec[end:], checksum(p, rec[:end]))
}

func checksum(p eventstore.Position, body []byte) uint32 {
	return crc32.Update(keySum(p), castagnoli, body)
}

// keySum is the checksum of the position's key. Package crc32 would move the key to
// the heap for each record that is read or written.
func keySum(p eventstore.Position) uint32 {
	sum := ^uint32(0)
	for shift := 56; shift >= 0; shift -= 8 {
		sum = castagnoli[byte(sum)^byte(p>>shift)] ^ sum>>8
	}
	return ^sum
}

// Key returns the key of the log bucket for a position.
func Key(p eventstore.Position) [8]byte {
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], uint64(p))
	return key
}

// ParseKey returns the position of a key of the log bucket, and false if key is not
// one.
func ParseKey(key []byte) (eventstore.Position, bool) {
	if len(key) != 8 {
		return 0, false
	}
	return eventstore.Position(binary.BigEndian.Uint64(key)), true
}
