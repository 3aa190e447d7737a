package rows

// NewBoundedCache is NewCache with a bound of its own.
func NewBoundedCache(base Base, none bool, limit int) *Cache { return newCache(base, none, limit) }

// Bytes returns what the cache holds, in bytes, with the allowance for each row.
func (c *Cache) Bytes() (size int) {
	for _, rows := range []map[string]*cached{c.young, c.old} {
		for k, known := range rows {
			size += len(k) + len(known.value) + cacheRow
		}
	}
	return size
}
