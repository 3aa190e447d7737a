package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// Bucket is the name of the bucket that the index is in.
const Bucket = "index"

const (
	format  = 2
	sumSize = 4

	kindStream   = 's'
	kindCategory = 'c'
	kindType     = 't'
	kindTag      = 'g'
	kindKey      = 'k'
)

var statusKey = []byte{0}

// Entry is what the index has to know of one event.
type Entry struct {
	Position eventstore.Position
	Stream   eventstore.StreamID
	Version  eventstore.Version
	Type     string
	Tags     []eventstore.Tag
	// Key is the commit's key, on its first event; "" if it has none.
	Key string
}

// ErrUnusable says that the index is missing, damaged, of another format, or not
// as far as the log. What it would have told is found in the log.
var ErrUnusable = errors.New("the index cannot be used")

// Through returns the position through which the log is indexed. An index that
// is not there, is of another format, or is damaged where it says so, is
// [ErrUnusable].
func Through(tx *bolt.Tx) (eventstore.Position, error) {
	b := tx.Bucket([]byte(Bucket))
	if b == nil {
		return 0, fmt.Errorf("%w: there is none", ErrUnusable)
	}
	status, ok := unseal(statusKey, b.Get(statusKey))
	if !ok || len(status) != 12 {
		return 0, fmt.Errorf("%w: its status is damaged", ErrUnusable)
	}
	if f := binary.BigEndian.Uint32(status[8:]); f != format {
		return 0, fmt.Errorf("%w: it has format %d, not %d", ErrUnusable, f, format)
	}
	return eventstore.Position(binary.BigEndian.Uint64(status)), nil
}

// Create makes an empty index where there is none.
func Create(tx *bolt.Tx) error {
	b, err := tx.CreateBucket([]byte(Bucket))
	if err != nil {
		return err
	}
	return setThrough(b, 0)
}

func setThrough(b *bolt.Bucket, p eventstore.Position) error {
	status := binary.BigEndian.AppendUint64(nil, uint64(p))
	return b.Put(statusKey, seal(statusKey, binary.BigEndian.AppendUint32(status, format)))
}

// Add adds the events that come next in the log, behind those that are indexed.
// The order of the entries is theirs in the log. An index that ends elsewhere is
// [ErrUnusable], and stays as it is.
func Add(tx *bolt.Tx, entries []Entry) error {
	through, err := Through(tx)
	if err != nil {
		return err
	}
	if first := entries[0].Position; through >= first {
		return fmt.Errorf("%w: it reaches to position %d, beyond %d", ErrUnusable, through, first)
	}
	b := tx.Bucket([]byte(Bucket))
	var postings []posting
	for i := range entries {
		postings = appendPostings(postings, &entries[i])
	}
	// In key order each page of the tree is visited once.
	slices.SortFunc(postings, func(a, b posting) int { return bytes.Compare(a.key, b.key) })
	for _, p := range postings {
		if err := b.Put(p.key, p.value); err != nil {
			return err
		}
	}
	return setThrough(b, entries[len(entries)-1].Position)
}

type posting struct{ key, value []byte }

func appendPostings(postings []posting, e *Entry) []posting {
	add := func(kind byte, name string, value []byte) {
		key := binary.BigEndian.AppendUint64(prefix(kind, name), uint64(e.Position))
		postings = append(postings, posting{key, seal(key, value)})
	}
	if e.Stream != "" {
		add(kindStream, string(e.Stream), binary.BigEndian.AppendUint64(nil, uint64(e.Version)))
		add(kindCategory, e.Stream.Category(), nil)
	}
	add(kindType, e.Type, nil)
	for _, tag := range e.Tags {
		add(kindTag, string(tag), nil)
	}
	if e.Key != "" {
		add(kindKey, e.Key, nil)
	}
	return postings
}

// prefix returns what the keys of a term's postings begin with, with room for
// the position.
func prefix(kind byte, name string) []byte {
	p := make([]byte, 0, 2+len(name)+8)
	p = append(p, kind)
	p = append(p, name...)
	return append(p, 0)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal returns the value as the bucket holds it under key: followed by a CRC32C
// over both, so that a posting that was moved or changed is found out.
func seal(key, value []byte) []byte {
	sealed := append(make([]byte, 0, len(value)+sumSize), value...)
	return binary.BigEndian.AppendUint32(sealed, sum(key, value))
}

// unseal returns the value that is sealed under key, and whether it is whole.
func unseal(key, sealed []byte) (value []byte, ok bool) {
	if len(sealed) < sumSize {
		return nil, false
	}
	value = sealed[:len(sealed)-sumSize]
	return value, binary.BigEndian.Uint32(sealed[len(value):]) == sum(key, value)
}

func sum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}
