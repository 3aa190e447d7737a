package projection

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// TableTx is a table in a handler: reads see what the handler, and those before
// it, have written. It lives as long as its Tx. Its errors are for the handler
// to return; an error of the store fails the event even if it does not.
type TableTx[K comparable, V any] struct {
	t  *Table[K, V]
	tx Tx
}

// In returns the table as the handler that was given tx reads and writes it. The
// table must be of the handler's projection; otherwise the methods of what is
// returned end with ErrInvalid.
func (t *Table[K, V]) In(tx Tx) TableTx[K, V] { return TableTx[K, V]{t, tx} }

// Get returns the row with this key, and whether there is one.
func (t TableTx[K, V]) Get(key K) (V, bool, error) {
	value, data, err := t.get(t.t.rowKey(key), key)
	return value, data != nil, err
}

// GetMany returns the rows with these keys that are there, read in one go.
func (t TableTx[K, V]) GetMany(keys ...K) (map[K]V, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	rowKeys, err := t.t.rowKeys(keys)
	if err != nil {
		return nil, err
	}
	rows, err := t.tx.rows.Get(rowKeys...)
	if err != nil {
		return nil, err
	}
	found := make(map[K]V, len(keys))
	for i, row := range rows {
		if row.Value == nil {
			continue
		}
		if found[keys[i]], err = decodeValue[V](row.Value); err != nil {
			return nil, t.t.inHandler(fmt.Errorf("row %s: %w", keyText(keys[i]), err))
		}
	}
	return found, nil
}

// Scan yields the rows of a range as they are when ranging starts; the loop's
// body may read and write. An error is the last element.
func (t TableTx[K, V]) Scan(keys Range[K]) iter.Seq2[Row[K, V], error] {
	if err := t.check(); err != nil {
		return func(yield func(Row[K, V], error) bool) { yield(Row[K, V]{}, err) }
	}
	return t.t.source().scanTx(t.tx, keys.span, t.t.inHandler)
}

// Put puts a row, instead of the one with the same key if there is one. If
// another row has the same value in a unique index nothing is put, and the error
// is a *UniqueError.
func (t TableTx[K, V]) Put(key K, value V) error {
	rowKey := t.t.rowKey(key)
	var data []byte
	var entries []eventstore.RowKey
	if len(t.t.indexes) > 0 {
		var old V
		var err error
		if old, data, err = t.get(rowKey, key); err != nil {
			return err
		}
		entries = t.entries(rowKey, old, data)
	}
	return t.put(rowKey, key, value, data, entries)
}

// Update puts what change makes of the row with this key, or of the zero V if
// there is none.
func (t TableTx[K, V]) Update(key K, change func(V) V) error {
	rowKey := t.t.rowKey(key)
	old, data, err := t.get(rowKey, key)
	if err != nil {
		return err
	}
	entries := t.entries(rowKey, old, data) // before change writes to what old refers to
	return t.put(rowKey, key, change(old), data, entries)
}

// Delete deletes the row with this key, if there is one.
func (t TableTx[K, V]) Delete(key K) error {
	rowKey := t.t.rowKey(key)
	if err := t.check(); err != nil {
		return err
	}
	changes := []eventstore.Row{{RowKey: rowKey}}
	if len(t.t.indexes) > 0 {
		old, data, err := t.get(rowKey, key)
		if err != nil {
			return err
		}
		for _, entry := range t.entries(rowKey, old, data) {
			changes = append(changes, eventstore.Row{RowKey: entry})
		}
	}
	return t.tx.rows.Put(changes...)
}

// entries returns where a row is in the indexes; data are its bytes, nil if
// there is no such row.
func (t TableTx[K, V]) entries(rowKey eventstore.RowKey, value V, data []byte) []eventstore.RowKey {
	if data == nil {
		return nil
	}
	var entries []eventstore.RowKey
	for _, index := range t.t.indexes {
		if entry, listed := index.entry(rowKey.Key, value); listed {
			entries = append(entries, entry)
		}
	}
	return entries
}

// get returns a row's value and its bytes, nil if there is none.
func (t TableTx[K, V]) get(rowKey eventstore.RowKey, key K) (value V, data []byte, err error) {
	if err := t.check(); err != nil {
		return value, nil, err
	}
	rows, err := t.tx.rows.Get(rowKey)
	if err != nil || rows[0].Value == nil {
		return value, nil, err
	}
	if value, err = decodeValue[V](rows[0].Value); err != nil {
		return value, nil, t.t.inHandler(fmt.Errorf("row %s: %w", keyText(key), err))
	}
	return value, rows[0].Value, nil
}

// put puts a row and its index entries, and deletes those that it had and has no
// more. Data are the bytes of the row that is there, nil if there is none.
func (t TableTx[K, V]) put(rowKey eventstore.RowKey, key K, value V, data []byte, had []eventstore.RowKey) error {
	if err := t.check(); err != nil {
		return err
	}
	encoded, err := encodeValue(value)
	if err != nil {
		return t.t.inHandler(fmt.Errorf("row %s: %w", keyText(key), err))
	}
	if string(encoded) == string(data) {
		return nil
	}
	changes := make([]eventstore.Row, 0, len(had)+len(t.t.indexes)+1)
	for _, entry := range had {
		changes = append(changes, eventstore.Row{RowKey: entry})
	}
	for _, index := range t.t.indexes {
		entry, listed := index.entry(rowKey.Key, value)
		if !listed {
			continue
		}
		if err := index.check(t.tx, entry, rowKey.Key, key, value); err != nil {
			return err
		}
		// After the deletion of the same entry, if there is one: the later counts.
		changes = append(changes, eventstore.Row{RowKey: entry, Value: append(bytes.Clone(rowKey.Key), encoded...)})
	}
	return t.tx.rows.Put(append(changes, eventstore.Row{RowKey: rowKey, Value: encoded})...)
}

func (t TableTx[K, V]) check() error {
	switch {
	case t.tx.p != t.t.p:
		return invalidf("table %s is not one of this handler's projection", quote.Name(t.t.name))
	case t.t.fault != "":
		return invalidf("%s", t.t.fault)
	}
	return nil
}
