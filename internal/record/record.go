package record

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/yore-es/yore/eventstore"
)

const (
	format = 3 // 1 had one checksum; a pack begins with 2

	flagTime   = 1 << 0
	flagKey    = 1 << 1
	flagDigest = 1 << 2
	flagLast   = 1 << 3
	flagsKnown = flagTime | flagKey | flagDigest | flagLast

	offFlags    = 1
	offVersion  = 2
	offRecorded = 10
	offID       = 18
	offSize     = 34
	offFields   = 38
	sumSize     = 4 // of each checksum
)

// Place is an event's place in its commit: the I-th, from 0, of N.
type Place struct{ I, N int }

// last reports whether it is the place of a commit's last event.
func (p Place) last() bool { return p.I+1 == p.N }

// Mark is what a commit is recognized by: its key, and the digest that its caller has
// given. Both may be empty.
type Mark struct {
	Key    string
	Digest []byte
}

// Append appends the encoding of an event to dst, with room for what [Seal] fills
// in. mark is that of the commit; it is encoded in its first event only. Tags are
// encoded as they are: the caller removes repeats.
func Append(dst []byte, e *eventstore.NewEvent, place Place, mark Mark) []byte {
	if place.I > 0 {
		mark = Mark{}
	}
	start := len(dst)
	dst = append(dst, make([]byte, offFields)...)
	dst[start] = format
	copy(dst[start+offID:], e.ID[:])
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
	if mark.Key != "" {
		dst[start+offFlags] |= flagKey
		dst = appendName(dst, mark.Key)
	}
	if len(mark.Digest) > 0 {
		dst[start+offFlags] |= flagDigest
		dst = appendName(dst, string(mark.Digest))
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Tags)))
	for _, tag := range e.Tags {
		dst = appendName(dst, string(tag))
	}
	if place.last() {
		dst[start+offFlags] |= flagLast
		dst = append(dst, make([]byte, sumSize)...)
	}
	binary.BigEndian.PutUint32(dst[start+offSize:], uint32(len(dst)-start-offFields))
	dst = append(dst, make([]byte, sumSize)...)
	dst = appendMetadata(dst, e.Metadata)
	dst = append(dst, e.Data...)
	return append(dst, make([]byte, sumSize)...)
}

// MaxSize returns an upper bound of the bytes that Append appends for the event.
func MaxSize(e *eventstore.NewEvent, mark Mark) int {
	const fixed = offFields + 5*binary.MaxVarintLen32 + 12 + 5 + 3*sumSize
	size := fixed + len(e.Stream) + len(e.Type) + len(e.Codec) + len(mark.Key) + len(mark.Digest) + len(e.Data)
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

// Seal fills in the version, the recorded time and the checksums, in place. before is
// the running checksum of the log up to the record before; Seal returns that up to
// this one.
func Seal(rec []byte, seed Seed, before Chain, p eventstore.Position, v eventstore.Version, recorded time.Time) Chain {
	binary.BigEndian.PutUint64(rec[offVersion:], uint64(v))
	binary.BigEndian.PutUint64(rec[offRecorded:], uint64(recorded.UnixNano()))
	return Reseal(rec, seed, before, p)
}

// Reseal fills in the checksums of a record that has all else, in place.
func Reseal(rec []byte, seed Seed, before Chain, p eventstore.Position) Chain {
	at := offFields + int(binary.BigEndian.Uint32(rec[offSize:])) // of the identity's checksum
	if rec[offFlags]&flagLast != 0 {
		binary.BigEndian.PutUint32(rec[at-sumSize:], uint32(before))
	}
	identity := identitySum(seed, p, rec[:at])
	binary.BigEndian.PutUint32(rec[at:], identity)
	end := len(rec) - sumSize
	binary.BigEndian.PutUint32(rec[end:], contentSum(rec[at:end]))
	return before.with(identity)
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
