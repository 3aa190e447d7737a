package viewfile

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// Change puts rows of a view, deletes those whose value is nil, and updates the view's
// tally. A row that occurs twice gets its last value. The buckets of views must exist
// ([CreateBuckets]). Damaged layers match ErrCorrupt; the transaction must then be rolled
// back.
func Change(tx *bolt.Tx, view eventstore.ViewID, rows []eventstore.Row) error {
	if len(rows) == 0 {
		return nil
	}
	t, err := openTallied(tx, view)
	if err != nil {
		return err
	}
	if err := t.change(rows); err != nil {
		return err
	}
	return t.close()
}

// Drop deletes rows of a view under keys that FirstKeys has returned, and reports whether
// the view has no rows and no bucket any more. The first call also folds the layers, or
// deletes them if they are damaged, and deletes the tally.
func Drop(tx *bolt.Tx, view eventstore.ViewID, keys [][]byte) (gone bool, err error) {
	rows := tx.Bucket(logfile.RowsBucket)
	b := rows.Bucket([]byte(view))
	if b == nil {
		return true, dropChanges(tx, view)
	}
	t, err := openTallied(tx, view)
	if err == nil {
		err = t.fold()
	}
	if err != nil && !errors.Is(err, eventstore.ErrCorrupt) {
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
	if first, _ := b.Cursor().First(); first != nil {
		return false, nil
	}
	return true, rows.DeleteBucket([]byte(view))
}

// FirstKeys returns copies of the keys of a view's first rows, at most limit. If rows are
// damaged, they are those in the view's own bucket.
func FirstKeys(tx *bolt.Tx, view eventstore.ViewID, limit int) (keys [][]byte) {
	rows := Cursor{From: FirstRow}
	layers, err := layersOf(tx, view)
	if err == nil {
		err = rows.Start(layers)
	}
	for err == nil && len(keys) < limit {
		var e Entry
		if e, err = rows.Next(); e.Key == nil {
			break
		}
		if e.Value != nil {
			keys = append(keys, bytes.Clone(e.Key))
		}
	}
	if b := Rows(tx, view); b != nil && err != nil {
		keys = keys[:0]
		cursor := b.Cursor()
		for key, _ := cursor.Seek(FirstRow); key != nil && len(keys) < limit; key, _ = cursor.Next() {
			keys = append(keys, bytes.Clone(key))
		}
	}
	return keys
}
