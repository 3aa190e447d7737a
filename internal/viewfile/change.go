package viewfile

import (
	"bytes"
	"errors"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
)

// Change puts rows of a view, deletes those whose value is nil, and writes the view's
// tally and its checkpoint. A row that occurs twice gets its last value. A transaction may
// change a view once. The buckets of views must exist ([CreateBuckets]). A damaged checkpoint
// or tally, damaged layers, and a checkpoint that is not that of the rows, match ErrCorrupt;
// the transaction must then be rolled back.
func Change(tx *pages.WriteTx, view View, rows []eventstore.Row, c eventstore.Checkpoint) error {
	_, generation, err := findCheckpoint(tx.Before, view)
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		t, err := openTallied(tx, view, generation)
		if err != nil {
			return err
		}
		if err := t.change(rows); err != nil {
			return err
		}
		generation = uint64(tx.ID())
		t.tally.generation = generation
		if err := t.close(); err != nil {
			return err
		}
	}
	return putCheckpoint(tx, view, c, generation)
}

// Drop deletes rows of a view under keys that FirstKeys has returned, and reports whether
// the view has no rows and no bucket any more. The first call also folds the layers, or
// deletes them if they are damaged, and deletes the tally and the checkpoint.
func Drop(tx *pages.WriteTx, view View, keys [][]byte) (gone bool, err error) {
	rows := tx.Bucket(logfile.RowsBucket)
	b := rows.Bucket([]byte(view.ID))
	if b == nil {
		return true, errors.Join(dropChanges(tx, view), tx.Bucket(logfile.CheckpointsBucket).Delete([]byte(view.ID)))
	}
	t, err := OpenTally(view, b.Get(TallyKey))
	if err == nil {
		err = (&tallied{tx, b, view, t}).fold()
	}
	if err != nil && !errors.Is(err, eventstore.ErrCorrupt) {
		return false, err
	}
	if err := tx.Bucket(logfile.CheckpointsBucket).Delete([]byte(view.ID)); err != nil {
		return false, err
	}
	if err := dropChanges(tx, view); err != nil {
		return false, err
	}
	for _, key := range append(keys, TallyKey) {
		if err := b.Delete(key); err != nil {
			return false, err
		}
	}
	if !b.Empty() {
		return false, nil
	}
	return true, rows.DeleteBucket([]byte(view.ID))
}

// FirstKeys returns copies of the keys of a view's first rows, at most limit. If rows are
// damaged, or there are none, they are those in the view's own bucket, also keys that are
// not those of rows.
func FirstKeys(tx *pages.Tx, view View, limit int) (keys [][]byte) {
	rows := Cursor{From: FirstRow}
	state, err := Load(tx, view)
	if err == nil {
		err = rows.Start(state.layers)
	}
	for err == nil && len(keys) < limit {
		var e Entry
		if e, err = rows.Next(); e.Key == nil {
			break
		}
		if e.Value != nil {
			keys = append(keys, e.Key)
		}
	}
	b := Rows(tx, view)
	if b == nil || err == nil && len(keys) > 0 {
		return keys
	}
	keys = keys[:0]
	cursor := b.Cursor()
	for key, _ := cursor.First(); key != nil && len(keys) < limit; key, _ = cursor.Next() {
		if !bytes.Equal(key, TallyKey) {
			keys = append(keys, bytes.Clone(key))
		}
	}
	return keys
}
