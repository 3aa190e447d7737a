package memstore

import (
	"bytes"
	"maps"
	"slices"

	"github.com/yore-es/yore/eventstore"
)

// view is the checkpoint and the rows of a view. A view with rows and without a
// checkpoint is dropped in part.
type view struct {
	checkpoint eventstore.Checkpoint
	tables     map[string]*table
}

// table holds the rows of one table.
type table struct {
	values map[string][]byte // by key
	sorted []string          // the keys in order; nil if keys must sort them first
}

func (v *view) put(rows []eventstore.Row) {
	for _, row := range rows {
		t := v.tables[row.Table]
		if t == nil {
			t = &table{values: make(map[string][]byte)}
			v.tables[row.Table] = t
		}
		key := string(row.Key)
		if _, known := t.values[key]; known != (row.Value != nil) {
			t.sorted = nil
		}
		if row.Value == nil {
			delete(t.values, key)
		} else {
			t.values[key] = append([]byte{}, row.Value...)
		}
	}
}

func (v *view) get(key eventstore.RowKey) eventstore.Row {
	row := eventstore.Row{RowKey: eventstore.RowKey{Table: key.Table, Key: bytes.Clone(key.Key)}}
	if t := v.tables[key.Table]; t != nil {
		row.Value = bytes.Clone(t.values[string(key.Key)])
	}
	return row
}

// The limits of a page. The row that reaches pageBytes is the page's last.
const (
	pageRows  = 256
	pageBytes = 1 << 20 // of values
)

// page returns the first rows of a scan, whether there are more, and the scan of the
// others.
func (v *view) page(scan eventstore.RowScan) (rows []eventstore.Row, rest eventstore.RowScan, more bool) {
	t := v.tables[scan.Table]
	if t == nil {
		return nil, scan, false
	}
	keys, size, rest := t.within(scan), 0, scan
	for i, key := range keys {
		if scan.Backward {
			key = keys[len(keys)-1-i]
		}
		if len(rows) == pageRows || size >= pageBytes {
			return rows, rest, true
		}
		row := v.get(eventstore.RowKey{Table: scan.Table, Key: []byte(key)})
		rows, size = append(rows, row), size+len(row.Value)
		if len(rows) == scan.Limit {
			break
		}
		if scan.Limit > 0 {
			rest.Limit = scan.Limit - len(rows)
		}
		if scan.Backward {
			rest.To = []byte(key)
		} else {
			rest.From = append([]byte(key), 0)
		}
	}
	return rows, rest, false
}

// keys returns the keys in order.
func (t *table) keys() []string {
	if t.sorted == nil {
		t.sorted = slices.Sorted(maps.Keys(t.values))
	}
	return t.sorted
}

// within returns the keys in the range of a scan, in ascending order.
func (t *table) within(scan eventstore.RowScan) []string {
	keys := t.keys()
	from, _ := slices.BinarySearch(keys, string(scan.From))
	to := len(keys)
	if len(scan.To) > 0 {
		to, _ = slices.BinarySearch(keys, string(scan.To))
	}
	return keys[from:max(from, to)]
}

// drop removes at most limit rows, and reports whether there are more.
func (v *view) drop(limit int) (more bool) {
	for _, name := range slices.Sorted(maps.Keys(v.tables)) {
		t := v.tables[name]
		keys := t.keys()
		n := min(limit, len(keys))
		for _, key := range keys[:n] {
			delete(t.values, key)
		}
		t.sorted, limit = keys[n:], limit-n
		if len(t.values) > 0 {
			return true
		}
		delete(v.tables, name)
	}
	return false
}

// empty reports whether there are no rows.
func (v *view) empty() bool {
	for _, t := range v.tables {
		if len(t.values) > 0 {
			return false
		}
	}
	return true
}
