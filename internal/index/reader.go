package index

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// Reader looks things up in the index as of one transaction, and no further
// than a position. It is not safe for concurrent use.
type Reader struct {
	bucket *bolt.Bucket
	last   eventstore.Position
	steps  int   // seeks made in posting lists
	err    error // a posting is damaged; nothing that was found counts
}

// NewReader returns a reader of the events up to and including last. It must
// not be used after the transaction has ended. An index that does not reach that
// far is [ErrUnusable].
func NewReader(tx *bolt.Tx, last eventstore.Position) (*Reader, error) {
	through, err := Through(tx)
	if err != nil {
		return nil, err
	}
	if through < last {
		return nil, fmt.Errorf("%w: it ends at position %d, before %d", ErrUnusable, through, last)
	}
	return &Reader{bucket: tx.Bucket([]byte(Bucket)), last: last}, nil
}

// Err returns [ErrUnusable] once the reader has come by a damaged posting. What
// its methods returned is then worth nothing.
func (r *Reader) Err() error { return r.err }

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
