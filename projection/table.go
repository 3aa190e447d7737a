package projection

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/payload"
	"github.com/yore-es/yore/internal/quote"
)

// Table is a table of a projection's read model: rows of type V, stored as JSON, ordered by
// keys of type K. A key is of a string, integer or UUID type, a [time.Time] (stored as an
// instant, read in UTC), or a [Pair] of these.
//
// The rules for a V are those for the Go type of an event (package codec): a V that JSON
// cannot read back, such as one with unexported fields, is a fault of the projection. Numbers
// in an any are read as json.Numbers. What only a value shows is stored as JSON has it: text
// that is not UTF-8 is read with U+FFFD in it, and indexed so.
//
// The methods that take a Reader read committed rows, as of the view's checkpoint, whether
// the projection is run now or not. Their errors are:
//
//   - ErrNeverRun, *RebuildingError or *ReplacedError if this version of the projection
//     is not live,
//   - ErrInvalid if the live build lacks a table or index that the projection declares, or
//     has other keys, or if a row was written from another type than V,
//   - a *[eventstore.FaultedError] if the view has stopped at a fault,
//   - and those of the store.
//
// They are safe for concurrent use by multiple goroutines. A handler reads and writes rows
// through [Table.In].
type Table[K comparable, V any] struct {
	p       *Projection
	name    string
	fault   string // why K cannot be a key; "" if it can
	indexes []tableIndex[K, V]
	shape   *tableShape
	values  *payload.Codec[V]
}

// Reader is the source of a table's rows: an [eventstore.RowStore] or a [*View].
type Reader interface {
	GetRows(ctx context.Context, view eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error)
	ScanRows(ctx context.Context, view eventstore.ViewID, scan eventstore.RowScan) iter.Seq2[eventstore.RowSet, error]
	Head(ctx context.Context) (eventstore.Position, error)
}

// Row is a row of a table.
type Row[K comparable, V any] struct {
	Key   K
	Value V
	// At is the position of the view's checkpoint when the row was read: the row, or
	// its absence, is true as of At. It is 0 in a handler, which reads rows that are
	// not committed yet.
	At eventstore.Position
}

// Rows are rows of a table as of one moment.
type Rows[K comparable, V any] struct {
	// ByKey has the values of the rows that exist.
	ByKey map[K]V
	// At is the position of the view's checkpoint.
	At eventstore.Position
}

// NewTable declares a table of the projection. The name is unique in the projection: 1 to
// 100 bytes of UTF-8 without NUL or "/".
func NewTable[K comparable, V any](p *Projection, name string) *Table[K, V] {
	shape := &tableShape{name: name, key: reflect.TypeFor[K]()}
	for _, fault := range payload.Faults(reflect.TypeFor[V]()) {
		shape.faults = append(shape.faults, errors.New(fault))
	}
	p.tables = append(p.tables, shape)
	return &Table[K, V]{p: p, name: name, fault: keyFault(shape.key), shape: shape, values: payload.For[V]()}
}

// Get returns the row with this key, and whether it exists. If it does not, only At is set
// in the Row.
func (t *Table[K, V]) Get(ctx context.Context, r Reader, key K) (row Row[K, V], ok bool, err error) {
	rows, err := t.GetMany(ctx, r, key)
	if err != nil {
		return Row[K, V]{}, false, err
	}
	if row.At = rows.At; len(rows.ByKey) > 0 {
		row.Key, row.Value, ok = key, rows.ByKey[key], true
	}
	return row, ok, nil
}

// GetMany returns the rows with these keys, all as of one checkpoint.
func (t *Table[K, V]) GetMany(ctx context.Context, r Reader, keys ...K) (Rows[K, V], error) {
	rowKeys, err := t.rowKeys(keys)
	if err != nil {
		return Rows[K, V]{}, t.wrap("get rows", err)
	}
	set, err := t.p.getRows(ctx, r, rowKeys...)
	if err != nil {
		return Rows[K, V]{}, t.wrap("get rows", err)
	}
	rows := Rows[K, V]{ByKey: make(map[K]V, len(keys)), At: set.Checkpoint.Position}
	for i, row := range set.Rows {
		if row.Value == nil {
			continue
		}
		if rows.ByKey[keys[i]], err = t.decode(row.Value); err != nil {
			return Rows[K, V]{}, t.wrap("get rows", fmt.Errorf("row %s: %w", keyText(keys[i]), err))
		}
	}
	return rows, nil
}

// Scan yields the rows of a range in the order of their keys. It reads them in pages: the
// rows of one page are as of one checkpoint, those of the next may be as of a later one, as
// Row.At says. The sequence can be ranged over more than once; no lock and no transaction
// is held while the loop's body runs. An error is the last element and comes with the zero
// Row. For the position of an empty range, use Page.
func (t *Table[K, V]) Scan(ctx context.Context, r Reader, keys Range[K]) iter.Seq2[Row[K, V], error] {
	return t.source().scan(ctx, r, keys.span)
}

// source returns the source of the table's rows.
func (t *Table[K, V]) source() source[K, V] {
	shape := func() string { return fmt.Sprintf("%q %s", t.p.name, t.shape.line()) }
	return source[K, V]{t.p, storedTable{t.name, shape}, t.decodeRow, t.wrap}
}

func (t *Table[K, V]) wrap(verb string, err error) error {
	return fmt.Errorf("%s of table %s of projection %s: %w", verb, quote.Name(t.name), quote.Name(t.p.name), err)
}

// inHandler names the table in an error for a handler.
func (t *Table[K, V]) inHandler(err error) error {
	return fmt.Errorf("table %s: %w", quote.Name(t.name), err)
}

func (t *Table[K, V]) rowKey(key K) eventstore.RowKey {
	return eventstore.RowKey{Table: t.name, Key: appendKey(nil, key)}
}

func (t *Table[K, V]) rowKeys(keys []K) ([]eventstore.RowKey, error) {
	if t.fault != "" {
		return nil, invalidf("%s", t.fault)
	}
	rowKeys := make([]eventstore.RowKey, len(keys))
	for i, key := range keys {
		rowKeys[i] = t.rowKey(key)
	}
	return rowKeys, nil
}

func (t *Table[K, V]) decodeRow(row eventstore.Row) (key K, value V, err error) {
	rest, err := readKey(row.Key, &key)
	if err == nil && len(rest) > 0 {
		err = errBadKey
	}
	if err != nil {
		return key, value, fmt.Errorf("row %s: %w", quote.Name(string(row.Key)), otherType[K]("the key", err))
	}
	if value, err = t.decode(row.Value); err != nil {
		err = fmt.Errorf("row %s: %w", keyText(key), err)
	}
	return key, value, err
}

// encode returns the JSON of a value, and the value as it will be read, from which the index
// entries are made: those of a row that is read must be the same. A panic in a MarshalJSON
// counts as one of the handler.
func (t *Table[K, V]) encode(value V) (data []byte, read V, err error) {
	if len(t.indexes) > 0 || !t.values.Certain() {
		return t.values.Reread(value)
	}
	data, err = t.values.Encode(value)
	return data, value, err
}

func (t *Table[K, V]) decode(data []byte) (value V, err error) {
	if value, err = t.values.Decode(data); err != nil {
		err = otherType[V]("the value", err)
	}
	return value, err
}

// otherType returns the error for stored bytes that cannot be decoded into a T. Rows have
// checksums, so the bytes are not damaged: they were written from another type.
func otherType[T any](what string, err error) error {
	return fmt.Errorf("%w: %s was written as another type than %v; raise the version when a type changes: %w",
		eventstore.ErrInvalid, what, reflect.TypeFor[T](), err)
}
