package viewfile

import (
	"bytes"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// # Neighbours prove absence
//
// Problem. A checksum shows that an entry is damaged, but not that one is missing. A
// damaged key, in a leaf or in a page that leads to it, makes a search end at a wrong
// place, where it finds nothing. A row would seem to be absent. Package pages notices a
// table of elements that does not fit its page, but not wrong bytes of a key.
//
// Invariant. A key is reported absent only if the entries before and after its place are
// whole and on the right sides of it: absence is proved by intact, ordered neighbours.
//
// Steps. If the search finds the key itself, the key was right, and the entry's own
// checksum covers the value. Otherwise lookUp checks the entry at which the search ended,
// which must be greater than the key, and the one before, which must be less. A search
// that was led astray ends beside a damaged entry, or at entries that are out of order.
// Before the first entry of a bucket and after the last one there is one neighbour only.
//
// Rejected. The tally alone: it shows that a row is missing only to a walk over all rows.

// lookUp returns the sealed value under key, nil if it is absent. check returns an error
// unless an entry is whole. view is for messages.
func lookUp(
	cursor *pages.Cursor, view View, key []byte, check func(view View, key, sealed []byte) error,
) ([]byte, error) {
	found, sealed := cursor.Seek(key)
	if bytes.Equal(found, key) {
		if sealed == nil { // a bucket
			return nil, check(view, key, nil)
		}
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

func errMisplaced(view View, key []byte) error {
	return corruptRow(view, key, "it is out of order")
}

// checkCheckpoint returns a function that returns an error unless the checkpoint under the
// name of a view is whole.
func checkCheckpoint(seed record.Seed) func(_ View, name, sealed []byte) error {
	return func(_ View, name, sealed []byte) error {
		view := Of(seed, eventstore.ViewID(name))
		if checkRow(view, nil, sealed) != nil {
			return corruptCheckpoint(view)
		}
		return nil
	}
}
