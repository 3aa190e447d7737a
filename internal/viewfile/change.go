package viewfile

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
)

// Change writes rows of a view, or deletes those whose value is nil, and keeps
// the view's tally. The buckets of views must be there.
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

// Drop deletes the rows of a view under some keys, which FirstKeys has returned:
// the tally with the first of them, and the bucket when nothing is left in it. It
// reports whether the bucket is gone. Before the first, the layers of changes are
// folded; those that are damaged are dropped.
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

// FirstKeys returns the keys of a view's first rows, at most so many. Of rows that are
// damaged it returns those in the view's own bucket.
func FirstKeys(tx *bolt.Tx, view eventstore.ViewID, limit int) (keys [][]byte) {
	rows := Cursor{From: FirstRow}
	layers, err := Layers(tx, view)
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
