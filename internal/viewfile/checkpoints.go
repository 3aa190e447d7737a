package viewfile

import (
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// State is a view as a transaction sees it: its checkpoint, and the layers of its rows. It
// is valid until the transaction ends.
type State struct {
	Checkpoint eventstore.Checkpoint // zero: there is none
	HasRows    bool                  // the view has rows, or had some since it was created
	view       View
	tally      Tally
	layers     []Layer // the newest first, the view's own rows last; none: the view has no rows
}

// Load returns the state of a view. The error matches ErrCorrupt if the checkpoint or the
// tally is damaged, or its absence is not proved, and if they are not of the same moment. A
// view without a checkpoint that has rows is being dropped.
func Load(tx *pages.Tx, view View) (State, error) {
	c, generation, err := findCheckpoint(tx, view)
	if err != nil {
		return State{}, err
	}
	s := State{Checkpoint: c, view: view}
	own := Rows(tx, view)
	switch {
	case own == nil && generation > 0:
		return State{}, errRowsMissing(view)
	case own == nil:
		return s, nil
	}
	s.HasRows = true
	sealed := own.Get(TallyKey)
	if c.IsZero() && sealed == nil {
		s.layers = []Layer{{View: view, Bucket: own}}
		return s, nil
	}
	if s.tally, err = OpenTally(view, sealed); err == nil && s.tally.generation != generation {
		err = errGeneration(view, generation, s.tally)
	}
	if err == nil {
		s.layers, err = Changes(tx, view, s.tally)
	}
	s.layers = append(s.layers, Layer{View: view, Bucket: own})
	return s, err
}

// findCheckpoint returns a view's checkpoint and its generation, or zeros if there is none.
func findCheckpoint(tx *pages.Tx, view View) (eventstore.Checkpoint, uint64, error) {
	b := tx.Bucket(logfile.CheckpointsBucket)
	if b == nil {
		return eventstore.Checkpoint{}, 0, nil
	}
	sealed, err := lookUp(b.Cursor(), view, []byte(view.ID), checkCheckpoint(view.store))
	if sealed == nil || err != nil {
		return eventstore.Checkpoint{}, 0, err
	}
	return openCheckpoint(view, sealed)
}

// ForEachCheckpoint calls visit for each view that has a checkpoint. err is nil or matches
// ErrCorrupt: with a zero Checkpoint it is of the checkpoint itself; otherwise it is that
// of Load. An error of visit ends the walk and is returned.
func ForEachCheckpoint(tx *pages.Tx, seed record.Seed, visit func(eventstore.ViewID, eventstore.Checkpoint, error) error) error {
	b := tx.Bucket(logfile.CheckpointsBucket)
	if b == nil {
		return nil
	}
	for name, sealed := range b.All() {
		view := Of(seed, eventstore.ViewID(name))
		c, _, err := openCheckpoint(view, sealed)
		if err == nil {
			err = logfile.Protect(func() error { _, err := Load(tx, view); return err })
		}
		if err := visit(view.ID, c, err); err != nil {
			return err
		}
	}
	return nil
}

// Rows returns the bucket of a view's own rows, or nil if the view has none.
func Rows(tx *pages.Tx, view View) *pages.Tree {
	b := tx.Bucket(logfile.RowsBucket)
	if b == nil {
		return nil
	}
	return b.Bucket([]byte(view.ID))
}

// CreateBuckets creates the buckets of views if they do not exist.
func CreateBuckets(tx *pages.WriteTx) error {
	if _, err := tx.Root().CreateBucketIfNotExists(logfile.RowsBucket); err != nil {
		return err
	}
	_, err := tx.Root().CreateBucketIfNotExists(logfile.CheckpointsBucket)
	return err
}

// putCheckpoint writes a view's checkpoint, or deletes it if c is the zero Checkpoint. The
// buckets of views must be there.
func putCheckpoint(tx *pages.WriteTx, view View, c eventstore.Checkpoint, generation uint64) error {
	checkpoints := tx.Bucket(logfile.CheckpointsBucket)
	if c.IsZero() {
		return checkpoints.Delete([]byte(view.ID))
	}
	return checkpoints.Put([]byte(view.ID), sealCheckpoint(view, c, generation))
}
