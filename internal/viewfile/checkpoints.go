package viewfile

import (
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// ReadCheckpoint returns a view's checkpoint, or the zero one if there is none. The error
// matches ErrCorrupt if the checkpoint is damaged, or if none was found and its absence is
// not proved.
func ReadCheckpoint(tx *bolt.Tx, view eventstore.ViewID) (eventstore.Checkpoint, error) {
	b := tx.Bucket(logfile.CheckpointsBucket)
	if b == nil {
		return eventstore.Checkpoint{}, nil
	}
	sealed, err := lookUp(b.Cursor(), view, []byte(view), checkCheckpoint)
	if sealed == nil || err != nil {
		return eventstore.Checkpoint{}, err
	}
	return OpenCheckpoint(view, sealed)
}

// ForEachCheckpoint calls visit for each checkpoint, with an error that matches ErrCorrupt
// if it is damaged. An error of visit ends the walk and is returned.
func ForEachCheckpoint(tx *bolt.Tx, visit func(eventstore.ViewID, eventstore.Checkpoint, error) error) error {
	b := tx.Bucket(logfile.CheckpointsBucket)
	if b == nil {
		return nil
	}
	return b.ForEach(func(name, sealed []byte) error {
		view := eventstore.ViewID(name)
		c, err := OpenCheckpoint(view, sealed)
		return visit(view, c, err)
	})
}

// Rows returns the bucket of a view's own rows, or nil if the view has none.
func Rows(tx *bolt.Tx, view eventstore.ViewID) *bolt.Bucket {
	b := tx.Bucket(logfile.RowsBucket)
	if b == nil {
		return nil
	}
	return b.Bucket([]byte(view))
}

// CreateBuckets creates the buckets of views if they do not exist.
func CreateBuckets(tx *bolt.Tx) error {
	if _, err := tx.CreateBucketIfNotExists(logfile.RowsBucket); err != nil {
		return err
	}
	_, err := tx.CreateBucketIfNotExists(logfile.CheckpointsBucket)
	return err
}

// PutCheckpoint writes a view's checkpoint, or deletes it if c is the zero Checkpoint. The
// buckets of views must be there.
func PutCheckpoint(tx *bolt.Tx, view eventstore.ViewID, c eventstore.Checkpoint) error {
	checkpoints := tx.Bucket(logfile.CheckpointsBucket)
	if c.IsZero() {
		return checkpoints.Delete([]byte(view))
	}
	return checkpoints.Put([]byte(view), sealCheckpoint(view, c))
}
