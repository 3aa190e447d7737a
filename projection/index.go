package projection

import (
	"context"
	"fmt"
	"iter"
	"reflect"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// Index orders the rows of a table by a value that is derived from them. It is committed
// with the rows and holds a copy of them, so that a scan reads nothing else.
type Index[K comparable, V any, I comparable] struct {
	t      *Table[K, V]
	name   string
	unique bool
	of     func(V) (I, bool)
}

// tableIndex is an index of a table, for any type of its values.
type tableIndex[K comparable, V any] interface {
	// entry returns the key of the index entry of a row, given the bytes of the row's
	// key, and whether the index has an entry for the row.
	entry(key []byte, value V) (eventstore.RowKey, bool)
	// check returns a *UniqueError if another row has the entry.
	check(tx Tx, entry eventstore.RowKey, rowKey []byte, key K, value V) error
}

// NewIndex declares an index of the table: of returns the value that a row is ordered by,
// or false to leave the row out. It is given the row as it is read back, without the fields
// that JSON leaves out. The value depends on the row only, and its type is one of those of
// keys. The name is unique in the table: 1 to 100 bytes of UTF-8 without NUL or
// "/".
func NewIndex[K comparable, V any, I comparable](t *Table[K, V], name string, of func(V) (I, bool)) *Index[K, V, I] {
	return newIndex(t, name, of, false)
}

// NewUnique declares an index as NewIndex does, in which no two rows have the same value. A
// handler that puts a second row with a value gets a *UniqueError, which names both rows; to
// move a value from one row to another, it deletes or changes the first row before it puts
// the second one.
func NewUnique[K comparable, V any, I comparable](t *Table[K, V], name string, of func(V) (I, bool)) *Index[K, V, I] {
	return newIndex(t, name, of, true)
}

func newIndex[K comparable, V any, I comparable](t *Table[K, V], name string, of func(V) (I, bool), unique bool) *Index[K, V, I] {
	index := &Index[K, V, I]{t: t, name: name, unique: unique, of: of}
	t.indexes = append(t.indexes, index)
	t.shape.indexes = append(t.shape.indexes, indexShape{name: name, key: reflect.TypeFor[I](), unique: unique})
	if of == nil {
		t.shape.faults = append(t.shape.faults, fmt.Errorf("index %s has no function", quote.Name(name)))
	}
	return index
}

// Scan yields the rows whose indexed value is in a range, in the order of these values and,
// for equal values, of the keys. In all else it is as [Table.Scan].
func (x *Index[K, V, I]) Scan(ctx context.Context, r Reader, values Range[I]) iter.Seq2[Row[K, V], error] {
	return x.source().scan(ctx, r, values.span)
}

// Get returns the row that has this value in the index, the first one if there are several,
// and whether there is one. If there is none, only At is set in the Row.
func (x *Index[K, V, I]) Get(ctx context.Context, r Reader, value I) (Row[K, V], bool, error) {
	var none Row[K, V]
	for page, err := range x.source().pages(ctx, r, Equal(value).Limit(1).span) {
		if err != nil {
			return Row[K, V]{}, false, x.wrap("get", err)
		}
		if none.At = page.Checkpoint.Position; len(page.Rows) == 0 {
			continue
		}
		row, err := x.source().row(page.Rows[0], none.At)
		if err != nil {
			return Row[K, V]{}, false, x.wrap("get", err)
		}
		return row, true, nil
	}
	return none, false, nil
}

// source returns the source of the index's rows.
func (x *Index[K, V, I]) source() source[K, V] {
	shape := func() string {
		return fmt.Sprintf("%q %s", x.t.p.name, x.t.shape.indexLine(indexShape{x.name, reflect.TypeFor[I](), x.unique}))
	}
	return source[K, V]{x.t.p, storedTable{x.table(), shape}, x.t.decodeEntry, x.wrap}
}

func (x *Index[K, V, I]) wrap(verb string, err error) error {
	return x.t.wrap(fmt.Sprintf("%s by index %s", verb, quote.Name(x.name)), err)
}

// inHandler names the index in an error for a handler.
func (x *Index[K, V, I]) inHandler(err error) error {
	return fmt.Errorf("table %s, index %s: %w", quote.Name(x.t.name), quote.Name(x.name), err)
}

// table returns the name of the index's stored table. No declared table has a slash.
func (x *Index[K, V, I]) table() string { return x.t.name + "/" + x.name }

// firstKey returns the key of the entry with this value in a unique index; in any other
// one, what the keys of the entries with this value begin with.
func (x *Index[K, V, I]) firstKey(value I) eventstore.RowKey {
	return eventstore.RowKey{Table: x.table(), Key: appendKey(nil, value)}
}

func (x *Index[K, V, I]) entry(key []byte, value V) (eventstore.RowKey, bool) {
	of, listed := x.of(value)
	if !listed {
		return eventstore.RowKey{}, false
	}
	entry := x.firstKey(of)
	if !x.unique {
		entry.Key = append(entry.Key, key...)
	}
	return entry, true
}

func (x *Index[K, V, I]) check(tx Tx, entry eventstore.RowKey, rowKey []byte, key K, value V) error {
	if !x.unique {
		return nil
	}
	found, err := tx.rows.Get(entry)
	if err != nil || found[0].Value == nil {
		return err
	}
	other, _, err := x.t.decodeEntry(found[0])
	if err != nil {
		return x.inHandler(err)
	}
	if string(appendKey(nil, other)) == string(rowKey) {
		return nil
	}
	of, _ := x.of(value)
	return &UniqueError{Projection: x.t.p.name, Table: x.t.name, Index: x.name, Value: of, Key: key, Other: other}
}

// decodeEntry decodes an index entry, which holds the row's key and value.
func (t *Table[K, V]) decodeEntry(entry eventstore.Row) (key K, value V, err error) {
	rest, err := readKey(entry.Value, &key)
	if err != nil {
		return key, value, fmt.Errorf("entry %s: %w", quote.Name(string(entry.Key)), otherType[K]("the key", err))
	}
	if value, err = t.decode(rest); err != nil {
		err = fmt.Errorf("row %s: %w", keyText(key), err)
	}
	return key, value, err
}
