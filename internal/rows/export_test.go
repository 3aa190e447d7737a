package rows

// NewBoundedCache is NewCache with a limit in bytes.
func NewBoundedCache(base Base, none bool, limit int) *Cache { return newCache(base, none, limit) }

// Bytes returns the cache's size in bytes, with the allowance for each row.
func (c *Cache) Bytes() (size int) {
	for _, rows := range []map[string]*cached{c.young, c.old} {
		for k, known := range rows {
			size += len(k) + len(known.value) + cacheRow
		}
	}
	return size
}
