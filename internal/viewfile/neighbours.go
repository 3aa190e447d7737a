package viewfile

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
	neighbour := func(key, sealed []byte, inPlace bool) error {
		switch {
		case key == nil:
			return nil
		case !inPlace:
			return errMisplaced(view, key)
		default:
			return check(view, key, sealed)
		}
	}
	if err := neighbour(found, sealed, bytes.Compare(found, key) > 0); err != nil {
		return nil, err
	}
	before, sealed := cursor.Prev()
	return nil, neighbour(before, sealed, bytes.Compare(before, key) < 0)
}

func errMisplaced(view eventstore.ViewID, key []byte) error {
	return corruptRow(view, key, "it is out of place")
}

// checkCheckpoint returns an error unless the checkpoint of the view of that name is
// whole.
func checkCheckpoint(_ eventstore.ViewID, name, sealed []byte) error {
	view := eventstore.ViewID(name)
	if checkRow(view, nil, sealed) != nil {
		return corruptCheckpoint(view)
	}
	return nil
}
