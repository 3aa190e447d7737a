package rows

import (
	"bytes"
	"iter"

	"github.com/yore-es/yore/eventstore"
)

// Cache is a base that remembers rows of another one, and the keys that have
// none there. It is right as long as the base changes only by what is told to
// Put: it is for the one that writes a view, who makes a new one when somebody
// else may have written, or when it is not known what was.
//
// It holds [CacheBytes] of keys and values at most, counting an allowance for each
// row; what was not used for long is forgotten first. It is for one goroutine at a
// time.
type Cache struct {
	base  Base
	limit int
	// What is used is in young. When that is half of the bound, it becomes old,
	// and what was old, and was not used since, is forgotten.
	young, old map[cacheKey]*cached
	size       int // of young
}

// cacheKey is an [eventstore.RowKey] as a map takes it.
type cacheKey struct{ table, key string }

// cached is what the base has under a key; a nil value says that it has no row.
type cached struct{ value []byte }

// CacheBytes bounds a cache, in bytes.
const CacheBytes = 16 << 20

// cacheRow is what a row takes beside the bytes of its key and value, about.
const cacheRow = 128

// NewCache returns an empty cache over a base.
func NewCache(base Base) *Cache { return newCache(base, CacheBytes) }

func newCache(base Base, limit int) *Cache {
	return &Cache{base: base, limit: limit, young: make(map[cacheKey]*cached)}
}

// Get implements [Base].
func (c *Cache) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	return gather(keys, c.find, c.load)
}

// find returns the row with a key, if it is known.
func (c *Cache) find(key eventstore.RowKey) (eventstore.Row, bool) {
	k := cacheKey{key.Table, string(key.Key)}
	known := c.young[k]
	if known == nil {
		if known = c.old[k]; known == nil {
			return eventstore.Row{}, false
		}
		c.keep(key, known.value)
	}
	return newRow(key.Table, key.Key, known.value), true
}

// load reads rows, and remembers them.
func (c *Cache) load(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
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

// Put tells the cache of rows that the base has now; a nil Value is a deletion.
// Their values are the cache's from then on.
func (c *Cache) Put(rows ...eventstore.Row) {
	for i := range rows {
		value := rows[i].Value
		if cap(value) > 2*len(value) { // what it once was would be kept with it
			value = bytes.Clone(value)
		}
		c.keep(rows[i].RowKey, value)
	}
}

// keep makes a value that of a key, in young. What old has under the key does not
// count then, for young is asked first.
func (c *Cache) keep(key eventstore.RowKey, value []byte) {
	k := cacheKey{key.Table, string(key.Key)}
	if known := c.young[k]; known != nil {
		c.size -= cachedSize(key, known.value)
	}
	size := cachedSize(key, value)
	if size > c.limit/4 { // not worth what it would make the cache forget
		delete(c.young, k)
		delete(c.old, k)
		return
	}
	if c.size += size; c.size > c.limit/2 {
		c.old, c.young, c.size = c.young, make(map[cacheKey]*cached), size
	}
	c.young[k] = &cached{value}
}

func cachedSize(key eventstore.RowKey, value []byte) int {
	return len(key.Key) + len(value) + cacheRow
}
