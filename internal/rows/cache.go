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
	young, old map[string]*cached // by table, NUL, key
	size       int                // of young
	key        []byte             // that is being looked for
	// all says that the base has no rows but those that are remembered.
	all bool
}

// cached is what the base has under a key; a nil value says that it has no row.
type cached struct{ value []byte }

// CacheBytes bounds a cache, in bytes.
const CacheBytes = 16 << 20

// cacheRow is what a row takes beside the bytes of its key and value, about.
const cacheRow = 128

// NewCache returns an empty cache over a base. If that is known to have no rows yet, it
// need not be read before rows are forgotten.
func NewCache(base Base, none bool) *Cache { return newCache(base, none, CacheBytes) }

func newCache(base Base, none bool, limit int) *Cache {
	return &Cache{base: base, limit: limit, young: make(map[string]*cached), all: none}
}

// Get implements [Base].
func (c *Cache) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	return gather(keys, c.find, c.load)
}

// at makes c.key that of a row.
func (c *Cache) at(key eventstore.RowKey) {
	c.key = append(append(append(c.key[:0], key.Table...), 0), key.Key...)
}

// find returns the row with a key, if it is known.
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

// load reads rows, and remembers them.
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
	c.at(key)
	known := c.young[string(c.key)]
	if known != nil {
		c.size -= c.sizeOf(known.value)
	}
	size := c.sizeOf(value)
	if size > c.limit/4 { // not worth what it would make the cache forget
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

// sizeOf is what the row under c.key takes, with that value.
func (c *Cache) sizeOf(value []byte) int { return len(c.key) + len(value) + cacheRow }
