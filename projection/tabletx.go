package projection

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// TableTx is a table in a handler. Reads see the writes of the handler and of those before
// it. It is valid as long as its Tx. A handler returns its errors; an error of the store
// fails the event even if the handler does not.
type TableTx[K comparable, V any] struct {
	t  *Table[K, V]
	tx Tx
}

// In returns the table for the handler that was given tx. The methods of the TableTx return
// ErrInvalid if the table is not one of the handler's projection.
func (t *Table[K, V]) In(tx Tx) TableTx[K, V] { return TableTx[K, V]{t, tx} }

// Get returns the row with this key, and whether it exists.
func (t TableTx[K, V]) Get(key K) (V, bool, error) {
	value, data, err := t.get(t.t.rowKey(key), key)
	return value, data != nil, err
}

// GetMany returns those of the rows with these keys that exist. It reads them together.
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
		if found[keys[i]], err = t.t.decode(row.Value); err != nil {
			return nil, t.t.inHandler(fmt.Errorf("row %s: %w", keyText(keys[i]), err))
		}
	}
	return found, nil
}

// Scan yields the rows of a range as they are when ranging starts. The loop's body may read
// and write. An error is the last element.
func (t TableTx[K, V]) Scan(keys Range[K]) iter.Seq2[Row[K, V], error] {
	if err := t.check(); err != nil {
		return func(yield func(Row[K, V], error) bool) { yield(Row[K, V]{}, err) }
	}
	return t.t.source().scanTx(t.tx, keys.span, t.t.inHandler)
}

// Put writes a row, over the one with the same key if there is one. If another row has the
// same value in a unique index, nothing is written, and the error is a *UniqueError.
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

// Update puts the value that change returns for that of the row with this key, or for the
// zero V if there is no such row.
func (t TableTx[K, V]) Update(key K, change func(V) V) error {
	rowKey := t.t.rowKey(key)
	old, data, err := t.get(rowKey, key)
	if err != nil {
		return err
	}
	entries := t.entries(rowKey, old, data) // first, as change may write to memory that old refers to
	return t.put(rowKey, key, change(old), data, entries)
}

// Delete deletes the row with this key if it exists.
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

// entries returns the keys of a row's index entries; data are its bytes, nil if the row
// does not exist.
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

// get returns a row's value and its bytes, which are nil if the row does not exist.
func (t TableTx[K, V]) get(rowKey eventstore.RowKey, key K) (value V, data []byte, err error) {
	if err := t.check(); err != nil {
		return value, nil, err
	}
	rows, err := t.tx.rows.Get(rowKey)
	if err != nil || rows[0].Value == nil {
		return value, nil, err
	}
	if value, err = t.t.decode(rows[0].Value); err != nil {
		return value, nil, t.t.inHandler(fmt.Errorf("row %s: %w", keyText(key), err))
	}
	return value, rows[0].Value, nil
}

// put writes a row and its index entries, and deletes the entries that it had. Data are
// the bytes of the row before, nil if it does not exist.
func (t TableTx[K, V]) put(rowKey eventstore.RowKey, key K, value V, data []byte, had []eventstore.RowKey) error {
	if err := t.check(); err != nil {
		return err
	}
	encoded, value, err := t.t.encode(value)
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
		// If the same entry is deleted above, the later change counts.
		changes = append(changes, eventstore.Row{RowKey: entry, Value: append(bytes.Clone(rowKey.Key), encoded...)})
	}
	return t.tx.rows.Put(append(changes, eventstore.Row{RowKey: rowKey, Value: encoded})...)
}

func (t TableTx[K, V]) check() error {
	switch {
	case t.tx.p != t.t.p:
		return invalidf("table %s is of another projection than the handler", quote.Name(t.t.name))
	case t.t.fault != "":
		return invalidf("%s", t.t.fault)
	}
	return nil
}
