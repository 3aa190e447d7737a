package rows

// NewBoundedCache is NewCache with a bound of its own.
func NewBoundedCache(base Base, limit int) *Cache { return newCache(base, limit) }

// Bytes returns what the cache holds, in bytes, with the allowance for each row.
func (c *Cache) Bytes() (size int) {
	for _, rows := range []map[cacheKey][]byte{c.young, c.old} {
		for k, value := range rows {
			size += len(k.key) + len(value) + cacheRow
		}
	}
	return size
}
