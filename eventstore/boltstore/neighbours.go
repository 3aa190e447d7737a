package boltstore

import (
	"bytes"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// A checksum shows that what is there is damaged, not that something is missing.
// But a search that is led astray by a damaged key, or by a page that leads
// there, ends beside the place where it should have: what it ends at is not
// whole, or not on the right side. So that nothing is there is told by the
// neighbours.

// lookUp returns the value under key as it is sealed, nil if there is none. name
// is that of the view for messages; whole reports whether what the bucket holds
// under a key is.
func lookUp(b *bolt.Bucket, view eventstore.ViewID, key []byte, whole func(key, sealed []byte) bool) ([]byte, error) {
	cursor := b.Cursor()
	found, sealed := cursor.Seek(key)
	if bytes.Equal(found, key) {
		return sealed, nil
	}
	if found != nil && (bytes.Compare(found, key) < 0 || !whole(found, sealed)) {
		return nil, corruptRow(view, found, "it is damaged, or out of place")
	}
	before, sealed := cursor.Prev()
	if before != nil && (bytes.Compare(before, key) > 0 || !whole(before, sealed)) {
		return nil, corruptRow(view, before, "it is damaged, or out of place")
	}
	return nil, nil
}

// wholeRow reports whether a view's bucket holds a whole row, or its tally,
// under a key.
func wholeRow(view eventstore.ViewID) func(key, sealed []byte) bool {
	return func(key, sealed []byte) bool { return checkRow(view, key, sealed) == nil }
}

// wholeCheckpoint reports whether a checkpoint is whole.
func wholeCheckpoint(name, sealed []byte) bool {
	return checkRow(eventstore.ViewID(name), nil, sealed) == nil
}
