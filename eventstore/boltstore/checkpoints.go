package boltstore

import (
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

func readCheckpoint(tx *bolt.Tx, view eventstore.ViewID) (eventstore.Checkpoint, error) {
	b := tx.Bucket(checkpointsBucket)
	if b == nil {
		return eventstore.Checkpoint{}, nil
	}
	sealed, err := lookUp(b.Cursor(), view, []byte(view), checkCheckpoint)
	if sealed == nil || err != nil {
		return eventstore.Checkpoint{}, err
	}
	return openCheckpoint(view, sealed)
}

// forEachCheckpoint visits all checkpoints, each with the error if it is damaged.
func forEachCheckpoint(tx *bolt.Tx, visit func(eventstore.ViewID, eventstore.Checkpoint, error) error) error {
	b := tx.Bucket(checkpointsBucket)
	if b == nil {
		return nil
	}
	return b.ForEach(func(name, sealed []byte) error {
		view := eventstore.ViewID(name)
		c, err := openCheckpoint(view, sealed)
		return visit(view, c, err)
	})
}

// viewRows returns the bucket of a view's rows, or nil if it has none.
func viewRows(tx *bolt.Tx, view eventstore.ViewID) *bolt.Bucket {
	b := tx.Bucket(rowsBucket)
	if b == nil {
		return nil
	}
	return b.Bucket([]byte(view))
}

// viewBuckets makes the buckets of views if they are not there, and returns that
// of the checkpoints.
func viewBuckets(tx *bolt.Tx) (checkpoints *bolt.Bucket, err error) {
	if _, err := tx.CreateBucketIfNotExists(rowsBucket); err != nil {
		return nil, err
	}
	return tx.CreateBucketIfNotExists(checkpointsBucket)
}
