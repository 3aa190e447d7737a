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

// lookUp returns the value under key as it is sealed, nil if there is none. The view is
// named in messages; check returns an error unless what a bucket holds under a key is
// whole.
func lookUp(
	cursor *bolt.Cursor, view eventstore.ViewID, key []byte, check func(view eventstore.ViewID, key, sealed []byte) error,
) ([]byte, error) {
	found, sealed := cursor.Seek(key)
	if bytes.Equal(found, key) {
		return sealed, nil
	}
	if found != nil && (bytes.Compare(found, key) < 0 || check(view, found, sealed) != nil) {
		return nil, corruptRow(view, found, "it is damaged, or out of place")
	}
	before, sealed := cursor.Prev()
	if before != nil && (bytes.Compare(before, key) > 0 || check(view, before, sealed) != nil) {
		return nil, corruptRow(view, before, "it is damaged, or out of place")
	}
	return nil, nil
}

// checkCheckpoint returns an error unless the checkpoint of the view of that name is
// whole.
func checkCheckpoint(_ eventstore.ViewID, name, sealed []byte) error {
	return checkRow(eventstore.ViewID(name), nil, sealed)
}
