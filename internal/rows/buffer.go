package rows

import (
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// Base is the rows under a Buffer. It must not change while the buffer is used. The
// buffer owns the rows that it returns.
type Base interface {
	Get(keys ...eventstore.RowKey) ([]eventstore.Row, error)
	Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error]
}

// ErrEnded is returned by the methods of a Buffer after Close.
var ErrEnded = errors.New("the view's time is up, or its Apply has returned: its rows can no longer be used")

var limits = eventstore.StandardLimits()

// Buffer holds writes of rows over a base. It implements [eventstore.RowTx] and
// Base. It is for one goroutine at a time, except Close.
type Buffer struct {
	base Base

	// mu is held by every method, and by a scan except in the loop's body. The base
	// is read with mu held, so mu comes before the mu of a base.
	mu     sync.Mutex
	ended  bool
	tables []*table // few
	rows   int      // in all tables
	bytes  int      // of keys and values

	// Most buffers are for one event, which changes a row or two of one table. That
	// table is part of the buffer's own memory.
	firstTable table
	listOfOne  [1]*table

	// A scan shows the buffer as of its moment, when ranging starts. Later writes
	// have the next moment.
	moment uint64
	scans  int // that are being ranged over
}

var _ eventstore.RowTx = (*Buffer)(nil)

// New returns an empty buffer over a base.
func New(base Base) *Buffer {
	return &Buffer{base: base}
}

// Get implements [eventstore.RowTx].
func (b *Buffer) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return nil, ErrEnded
	}
	for _, key := range keys {
		if err := limits.ValidateRowKey(key); err != nil {
			return nil, err
		}
	}
	return gather(keys, b.find, b.base.Get)
}

// find returns the row that was last put under a key, if any.
func (b *Buffer) find(key eventstore.RowKey) (eventstore.Row, bool) {
	e := entryOf(b.table(key.Table), key.Key)
	if e == nil {
		return eventstore.Row{}, false
	}
	return newRow(key.Table, key.Key, e.value), true
}

// gather returns the rows under keys: those that find knows, and the others from
// load, which is called at most once.
func gather(
	keys []eventstore.RowKey,
	find func(eventstore.RowKey) (eventstore.Row, bool), load func(...eventstore.RowKey) ([]eventstore.Row, error),
) ([]eventstore.Row, error) {
	var found []eventstore.Row // a zero Row is missing
	known := 0
	for i, key := range keys {
		if row, ok := find(key); ok {
			if found == nil {
				found = make([]eventstore.Row, len(keys))
			}
			found[i] = row
			known++
		}
	}
	switch known {
	case len(keys):
		return found, nil
	case 0:
		return load(keys...)
	}
	var missing []eventstore.RowKey
	for i := range found {
		if found[i].Table == "" {
			missing = append(missing, keys[i])
		}
	}
	rest, err := load(missing...)
	if err != nil {
		return nil, err
	}
	for i := range found {
		if found[i].Table == "" {
			found[i], rest = rest[0], rest[1:]
		}
	}
	return found, nil
}

// Put implements [eventstore.RowTx]. After an error, which is ErrInvalid,
// ErrTooLarge or ErrEnded, no row is put.
func (b *Buffer) Put(rows ...eventstore.Row) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return ErrEnded
	}
	for i := range rows {
		if err := limits.ValidateRow(rows[i]); err != nil {
			return err
		}
	}
	for i := range rows {
		b.put(&rows[i])
	}
	return nil
}

func (b *Buffer) put(row *eventstore.Row) {
	t := b.table(row.Table)
	if t == nil {
		t = b.addTable(row.Table)
	}
	e := entryOf(t, row.Key)
	if e == nil {
		e = b.insert(t, string(row.Key))
	}
	b.write(t, e, row.Value, false)
}

// Merge puts the rows of over, a buffer over this one. over must be closed and must
// not be used afterwards: its values belong to b then. After an error, which is
// ErrEnded, nothing is put.
func (b *Buffer) Merge(over *Buffer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return ErrEnded
	}
	for _, from := range over.tables {
		t := b.table(from.name)
		if t == nil {
			t = b.addTable(from.name)
		}
		for _, put := range [][]*entry{from.sorted, from.fresh} {
			for _, e := range put {
				b.merge(t, e)
			}
		}
	}
	return nil
}

func (b *Buffer) merge(t *table, put *entry) {
	e := entryOf(t, put.key)
	if e == nil {
		e = b.insert(t, put.key)
	}
	b.write(t, e, put.value, true)
}

// insert adds an entry without a value, which equals a deletion.
func (b *Buffer) insert(t *table, key string) *entry {
	t.deleted++
	b.rows++
	b.bytes += len(key)
	return t.insert(key)
}

// write sets an entry's value, to a copy unless b owns value.
func (b *Buffer) write(t *table, e *entry, value []byte, owned bool) {
	b.bytes -= len(e.value)
	if e.value == nil {
		t.deleted--
	}
	e.write(value, owned, b.moment, b.scans > 0)
	b.bytes += len(e.value)
	if e.value == nil {
		t.deleted++
	}
}

// table returns the table with a name, or nil if it has no writes.
func (b *Buffer) table(name string) *table {
	for _, t := range b.tables {
		if t.name == name {
			return t
		}
	}
	return nil
}

func (b *Buffer) addTable(name string) *table {
	t := &b.firstTable
	if len(b.tables) == 0 {
		b.tables = b.listOfOne[:0]
	} else {
		t = new(table)
	}
	t.name = name
	b.tables = append(b.tables, t)
	return t
}

// Scan implements [eventstore.RowTx]. The sequence can be ranged over more than
// once; each time it yields the rows as of when ranging starts. The loop's body may
// read and put rows; the loop does not see what it puts.
func (b *Buffer) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	scan.From, scan.To = slices.Clone(scan.From), slices.Clone(scan.To)
	return func(yield func(eventstore.Row, error) bool) {
		if err := b.scan(scan, yield); err != nil {
			yield(eventstore.Row{}, err)
		}
	}
}

// scan yields rows. It returns nil at the end, also if the loop was left, or an
// error.
func (b *Buffer) scan(scan eventstore.RowScan, yield func(eventstore.Row, error) bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return ErrEnded
	}
	if err := limits.ValidateRowScan(scan); err != nil {
		return err
	}
	t := b.table(scan.Table)
	m := merge{buffer: b, scan: scan, yield: yield, own: t.within(scan, b.scans > 0), moment: b.moment}
	if t != nil && scan.Limit > 0 {
		// Each row of the base is yielded, replaced or hidden.
		scan.Limit = min(scan.Limit, math.MaxInt-t.deleted) + t.deleted
	}
	b.moment++
	b.scans++
	defer func() { b.scans-- }()
	if err := m.run(b.base.Scan(scan)); !errors.Is(err, errLeft) {
		return err
	}
	return nil
}

// Rows returns the changes, one for each key that was put, by table and key. A nil
// Value is a deletion. Keys and values belong to the buffer and are valid until the
// next Put.
func (b *Buffer) Rows() []eventstore.Row {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes := make([]eventstore.Row, 0, b.rows)
	slices.SortFunc(b.tables, func(a, b *table) int { return strings.Compare(a.name, b.name) })
	for _, t := range b.tables {
		for _, e := range t.all(b.scans > 0) {
			key := eventstore.RowKey{Table: t.name, Key: []byte(e.key)}
			changes = append(changes, eventstore.Row{RowKey: key, Value: e.value})
		}
	}
	return changes
}

// Size returns the number of Rows, and the bytes of their keys and values.
func (b *Buffer) Size() (rows, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rows, b.bytes
}

// Close ends the buffer: Get, Scan and Put return ErrEnded from then on, and a scan
// that is being ranged over ends when its loop's body returns. Rows and Size still
// answer. Close may be called by any goroutine, more than once. It waits for a
// method that is running.
func (b *Buffer) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
}
