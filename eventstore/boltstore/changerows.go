package boltstore

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// changeRows writes rows of a view, or deletes those whose value is nil, and keeps
// the view's tally. The buckets of views must be there.
func changeRows(tx *bolt.Tx, view eventstore.ViewID, rows []eventstore.Row) error {
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

// dropRows deletes the rows of a view under some keys, which firstKeys has returned:
// the tally with the first of them, and the bucket when nothing is left in it. It
// reports whether the bucket is gone. Before the first, the layers of changes are
// folded; those that are damaged are dropped.
func dropRows(tx *bolt.Tx, view eventstore.ViewID, keys [][]byte) (gone bool, err error) {
	rows := tx.Bucket(rowsBucket)
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
	for _, key := range append(keys, tallyKey) {
		if err := b.Delete(key); err != nil {
			return false, err
		}
	}
	if first, _ := b.Cursor().First(); first != nil {
		return false, nil
	}
	return true, rows.DeleteBucket([]byte(view))
}

// firstKeys returns the keys of a view's first rows, at most so many. Of rows that are
// damaged it returns those in the view's own bucket.
func firstKeys(tx *bolt.Tx, view eventstore.ViewID, limit int) (keys [][]byte) {
	rows := rowCursor{from: firstRow}
	layers, err := layersOf(tx, view)
	if err == nil {
		err = rows.start(layers)
	}
	for err == nil && len(keys) < limit {
		var e rowEntry
		if e, err = rows.next(); e.key == nil {
			break
		}
		if e.value != nil {
			keys = append(keys, bytes.Clone(e.key))
		}
	}
	if b := viewRows(tx, view); b != nil && err != nil {
		keys = keys[:0]
		cursor := b.Cursor()
		for key, _ := cursor.Seek(firstRow); key != nil && len(keys) < limit; key, _ = cursor.Next() {
			keys = append(keys, bytes.Clone(key))
		}
	}
	return keys
}
