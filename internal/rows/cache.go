package rows

import (
	"bytes"
	"iter"

	"github.com/yore-es/yore/eventstore"
)

// Cache is a base that remembers rows of another base, and keys without a row. It is
// correct only while every change of the base is passed to Put. So it belongs to the
// view's only writer, which makes a new Cache when the base may have changed
// otherwise, or when it is not known whether a write succeeded.
//
// It holds at most [CacheBytes] of keys and values, including an allowance for each
// row, and forgets the least recently used rows first. It is for one goroutine at a
// time.
type Cache struct {
	base  Base
	limit int
	// Rows that are used are in young. When young reaches half of the limit it
	// becomes old, and the rows that were in old are forgotten.
	young, old map[string]*cached // by table, NUL, key
	size       int                // of young
	key        []byte             // scratch memory
	// all means that the base has no other rows.
	all bool
}

// cached is the value of a row; nil means that the base has no row.
type cached struct{ value []byte }

// CacheBytes is the limit of a cache, in bytes.
const CacheBytes = 16 << 20

// cacheRow is about the memory of a row beside its key and value, in bytes.
const cacheRow = 128

// NewCache returns an empty cache over a base. If none is true, the base has no rows
// yet and is not read until rows are forgotten.
func NewCache(base Base, none bool) *Cache { return newCache(base, none, CacheBytes) }

func newCache(base Base, none bool, limit int) *Cache {
	return &Cache{base: base, limit: limit, young: make(map[string]*cached), all: none}
}

// Get implements [Base].
func (c *Cache) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	return gather(keys, c.find, c.load)
}

// at sets c.key to the key of a row.
func (c *Cache) at(key eventstore.RowKey) {
	c.key = append(append(append(c.key[:0], key.Table...), 0), key.Key...)
}

// find returns the row under a key, if it is cached.
func (c *Cache) find(key eventstore.RowKey) (eventstore.Row, bool) {
	c.at(key)
	known := c.young[string(c.key)]
	if known == nil {
		if known = c.old[string(c.key)]; known == nil {
			return eventstore.Row{}, false
		}
		c.keep(key, known.value)
	}
	return newRow(key.Table, key.Key, known.value), true
}

// load reads rows and caches them.
func (c *Cache) load(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	if c.all {
		none := make([]eventstore.Row, len(keys))
		for i, key := range keys {
			none[i] = newRow(key.Table, key.Key, nil)
		}
		return none, nil
	}
	rows, err := c.base.Get(keys...)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		c.keep(rows[i].RowKey, bytes.Clone(rows[i].Value))
	}
	return rows, nil
}

// Scan implements [Base].
func (c *Cache) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return c.base.Scan(scan)
}

// Put passes rows that were written to the base; a nil Value is a deletion. Their
// values belong to the cache from then on.
func (c *Cache) Put(rows ...eventstore.Row) {
	for i := range rows {
		value := rows[i].Value
		if cap(value) > 2*len(value) { // do not keep a larger array alive
			value = bytes.Clone(value)
		}
		c.keep(rows[i].RowKey, value)
	}
}

// keep puts a value into young. It overrides a value in old, since young is searched
// first.
func (c *Cache) keep(key eventstore.RowKey, value []byte) {
	c.at(key)
	known := c.young[string(c.key)]
	if known != nil {
		c.size -= c.sizeOf(known.value)
	}
	size := c.sizeOf(value)
	if size > c.limit/4 { // it would displace too much
		delete(c.young, string(c.key))
		delete(c.old, string(c.key))
		c.all = false
		return
	}
	if c.size += size; c.size > c.limit/2 {
		c.all = c.all && len(c.old) == 0
		c.old, c.young, c.size, known = c.young, make(map[string]*cached), size, nil
	}
	if known != nil {
		known.value = value
		return
	}
	c.young[string(c.key)] = &cached{value}
}

// sizeOf returns the size of the row under c.key with a value.
func (c *Cache) sizeOf(value []byte) int { return len(c.key) + len(value) + cacheRow }
