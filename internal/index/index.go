package index

import (
	"bytes"
	"encoding/binary"
	"slices"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
)

const (
	bucketName = "index"
	format     = 1

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

// Through returns the position through which the log is indexed, and whether
// there is an index in the format of this package at all.
func Through(tx *bolt.Tx) (eventstore.Position, bool) {
	b := tx.Bucket([]byte(bucketName))
	if b == nil {
		return 0, false
	}
	status := b.Get(statusKey)
	if len(status) != 12 || binary.BigEndian.Uint32(status[8:]) != format {
		return 0, false
	}
	return eventstore.Position(binary.BigEndian.Uint64(status)), true
}

// Reset makes the index an empty one.
func Reset(tx *bolt.Tx) error {
	if tx.Bucket([]byte(bucketName)) != nil {
		if err := tx.DeleteBucket([]byte(bucketName)); err != nil {
			return err
		}
	}
	b, err := tx.CreateBucket([]byte(bucketName))
	if err != nil {
		return err
	}
	return setThrough(b, 0)
}

func setThrough(b *bolt.Bucket, p eventstore.Position) error {
	status := binary.BigEndian.AppendUint64(nil, uint64(p))
	return b.Put(statusKey, binary.BigEndian.AppendUint32(status, format))
}

// Add adds the events that come next in the log. The order of the entries is
// theirs in the log.
func Add(tx *bolt.Tx, entries []Entry) error {
	b := tx.Bucket([]byte(bucketName))
	if b == nil {
		return berrors.ErrBucketNotFound
	}
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
		postings = append(postings, posting{key, value})
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

// Reader looks things up in the index as of one transaction, and no further
// than a position. It is not safe for concurrent use.
type Reader struct {
	bucket *bolt.Bucket
	last   eventstore.Position
	steps  int // seeks made in posting lists
}

// NewReader returns a reader of the events up to and including last. It must
// not be used after the transaction has ended.
func NewReader(tx *bolt.Tx, last eventstore.Position) (*Reader, error) {
	b := tx.Bucket([]byte(bucketName))
	if b == nil {
		return nil, berrors.ErrBucketNotFound
	}
	return &Reader{bucket: b, last: last}, nil
}

// Key returns the position of the first event of the commit with that key, or 0.
func (r *Reader) Key(key string) eventstore.Position {
	p, _ := r.newPostings(kindKey, key, false).seek(1)
	return p
}

// Head returns the position and version of a stream's last event, or zeros.
func (r *Reader) Head(stream eventstore.StreamID) (eventstore.Position, eventstore.Version) {
	list := r.newPostings(kindStream, string(stream), true)
	p, _ := list.seek(r.last)
	return p, list.version()
}

// At returns the position of the event that has this version in the stream, or
// 0. It looks from the stream's end.
func (r *Reader) At(stream eventstore.StreamID, v eventstore.Version) eventstore.Position {
	list := r.newPostings(kindStream, string(stream), true)
	p, _ := list.seek(r.last)
	for list.version() > v {
		p, _ = list.seek(p - 1)
	}
	if list.version() != v {
		return 0
	}
	return p
}
