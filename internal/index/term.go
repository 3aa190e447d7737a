package index

import (
	"encoding/binary"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// Entry has the fields of an event that the index needs.
type Entry struct {
	Position eventstore.Position
	Stream   eventstore.StreamID
	Version  eventstore.Version
	Type     string
	Tags     []eventstore.Tag
	// Key is the commit's key, on the commit's first event; otherwise "".
	Key string
	// Unknown means that the event could not be read, so that the other fields but
	// Position are not known. Every walk returns it.
	Unknown bool
}

const (
	kindStream   = 's'
	kindCategory = 'c'
	kindType     = 't'
	kindTag      = 'g'
	kindKey      = 'k'
	kindUnknown  = 'u' // it has one term, without a name
)

var kinds = map[byte]string{
	kindStream: "stream", kindCategory: "category", kindType: "type", kindTag: "tag", kindKey: "key", kindUnknown: "unknown event",
}

// posting records that the event at a position has a term. In a stream's list it has
// the event's version; in others version is 0.
type posting struct {
	position eventstore.Position
	version  eventstore.Version
}

// each calls fn for each term of the entry.
func (e *Entry) each(fn func(kind byte, name string, p posting)) {
	if e.Unknown {
		fn(kindUnknown, "", posting{position: e.Position})
		return
	}
	if e.Stream != "" {
		fn(kindStream, string(e.Stream), posting{e.Position, e.Version})
		fn(kindCategory, e.Stream.Category(), posting{position: e.Position})
	}
	fn(kindType, e.Type, posting{position: e.Position})
	for i, tag := range e.Tags {
		if !slices.Contains(e.Tags[:i], tag) {
			fn(kindTag, string(tag), posting{position: e.Position})
		}
	}
	if e.Key != "" {
		fn(kindKey, e.Key, posting{position: e.Position})
	}
}

// A term in bytes is its kind, its name and a NUL. Names hold no NUL, so no term is
// a prefix of another. A term followed by a position sorts postings by term, and
// then by position.

func appendTerm[N string | []byte](b []byte, kind byte, name N) []byte {
	return append(append(append(b, kind), name...), 0)
}

func appendPosition(b []byte, p eventstore.Position) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(p))
}

const (
	positionSize = 8
	maxTerm      = 255 + 2 // bytes of a term: names have at most 255
)

// fingerprint is a hash of a term, for filters. It is part of the format.
func fingerprint(term []byte) uint64 {
	const m1, m2 = 0x9e3779b97f4a7c15, 0xff51afd7ed558ccd
	h := uint64(len(term)) * m1
	for ; len(term) >= 8; term = term[8:] {
		h = (h ^ binary.LittleEndian.Uint64(term)) * m2
		h ^= h >> 32
	}
	for _, c := range term {
		h = (h ^ uint64(c)) * m1
	}
	h ^= h >> 33
	h *= m2
	return h ^ h>>33
}

const sumSize = 4

// appendSum appends the CRC32C over the store's id, a key of the bucket and its value.
// The key is included so that a block under another key is found damaged.
func appendSum(seed record.Seed, key, value []byte) []byte {
	return binary.BigEndian.AppendUint32(value, seed.Sum(key, value))
}

// unseal returns the value without its checksum, and whether the checksum is right.
func unseal(seed record.Seed, key, sealed []byte) (value []byte, ok bool) {
	if len(sealed) < sumSize {
		return nil, false
	}
	value = sealed[:len(sealed)-sumSize]
	return value, binary.BigEndian.Uint32(sealed[len(value):]) == seed.Sum(key, value)
}

func positionOf(b []byte) eventstore.Position {
	return eventstore.Position(binary.BigEndian.Uint64(b))
}
