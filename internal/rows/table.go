package rows

import (
	"slices"
	"strings"

	"github.com/yore-es/yore/eventstore"
)

// table is a buffer's writes to one table. A nil table has no writes.
type table struct {
	name    string
	entries map[string]*entry // by key; nil while there are few
	deleted int               // entries that are deletions

	// Entries are sorted when a scan needs them in order: views put the same few
	// rows again and again and seldom scan.
	sorted []*entry
	fresh  []*entry // not in sorted yet

	firstEntry entry // see Buffer
	listOfOne  [1]*entry
}

// entry is the last value put under a key, and earlier values for the scans that
// still show them.
type entry struct {
	key string
	version
}

type version struct {
	value  []byte // nil is a deletion
	moment uint64 // see Buffer
	before *version
}

// few is the number of entries up to which a search is faster than a map.
const few = 8

// entryOf returns the entry with a key, or nil.
func entryOf[K string | []byte](t *table, key K) *entry {
	if t == nil {
		return nil
	}
	if t.entries != nil {
		return t.entries[string(key)]
	}
	for _, e := range t.sorted {
		if e.key == string(key) {
			return e
		}
	}
	for _, e := range t.fresh {
		if e.key == string(key) {
			return e
		}
	}
	return nil
}

// insert adds an entry. The table must not have the key.
func (t *table) insert(key string) *entry {
	e := &t.firstEntry
	if len(t.sorted)+len(t.fresh) == 0 {
		t.fresh = t.listOfOne[:0]
	} else {
		e = new(entry)
	}
	e.key = key
	t.fresh = append(t.fresh, e)
	if t.entries != nil {
		t.entries[key] = e
		return e
	}
	if len(t.sorted)+len(t.fresh) <= few {
		return e
	}
	t.entries = make(map[string]*entry, 2*few)
	for _, e := range t.sorted {
		t.entries[e.key] = e
	}
	for _, e := range t.fresh {
		t.entries[e.key] = e
	}
	return e
}

// write sets the entry's value, to a copy unless owned is true. If kept is true, a
// value of an earlier moment is kept for scans.
func (e *entry) write(value []byte, owned bool, moment uint64, kept bool) {
	if kept && e.moment < moment {
		earlier := e.version
		e.version = version{before: &earlier}
	} else if !kept {
		e.before = nil
	}
	e.moment = moment
	if value == nil || owned {
		e.value = value
		return
	}
	e.value = append(e.value[:0], value...)
	if e.value == nil {
		e.value = []byte{}
	}
}

// at returns the value that the entry had at a moment.
func (e *entry) at(moment uint64) []byte {
	v := &e.version
	for v.moment > moment && v.before != nil {
		v = v.before
	}
	return v.value
}

// all returns the entries by key. If kept is true, slices that were returned before
// are not changed.
func (t *table) all(kept bool) []*entry {
	if t == nil {
		return nil
	}
	if len(t.fresh) == 0 {
		return t.sorted
	}
	slices.SortFunc(t.fresh, func(a, b *entry) int { return strings.Compare(a.key, b.key) })
	if kept {
		t.sorted = slices.Clone(t.sorted)
	}
	t.sorted = mergeInto(t.sorted, t.fresh)
	t.fresh = t.fresh[:0]
	return t.sorted
}

// mergeInto merges fresh into sorted, from the back, so that entries that come last
// cost only their own number.
func mergeInto(sorted, fresh []*entry) []*entry {
	i, j := len(sorted)-1, len(fresh)-1
	sorted = append(sorted, fresh...)
	for at := len(sorted) - 1; j >= 0; at-- {
		if i >= 0 && sorted[i].key > fresh[j].key {
			sorted[at] = sorted[i]
			i--
		} else {
			sorted[at] = fresh[j]
			j--
		}
	}
	return sorted
}

// within returns the entries in the range of a scan, by key.
func (t *table) within(scan eventstore.RowScan, kept bool) []*entry {
	entries := t.all(kept)
	from, to := 0, len(entries)
	if len(scan.From) > 0 {
		from = search(entries, scan.From)
	}
	if len(scan.To) > 0 {
		to = search(entries, scan.To)
	}
	return entries[from:max(from, to)]
}

// search returns the index of the first entry with a key of at least key.
func search(entries []*entry, key []byte) int {
	i, _ := slices.BinarySearchFunc(entries, key, func(e *entry, key []byte) int { return compareKeys(e.key, key) })
	return i
}

// compareKeys compares keys byte by byte. The conversions do not copy.
func compareKeys(a string, b []byte) int {
	switch {
	case a < string(b):
		return -1
	case a == string(b):
		return 0
	default:
		return 1
	}
}

// newRow returns a row that shares no memory. One allocation holds its key and
// value.
func newRow[K string | []byte](name string, key K, value []byte) eventstore.Row {
	row := eventstore.Row{RowKey: eventstore.RowKey{Table: name}}
	data := make([]byte, 0, len(key)+len(value))
	data = append(append(data, key...), value...)
	row.Key = data[:len(key):len(key)]
	if value != nil {
		row.Value = data[len(key):]
	}
	return row
}
