package logfile

// Forward is forward, for the tests.
func (r *ReadAhead) Forward(at, size, end int64, cached func(from, size int64) bool) {
	r.forward(at, size, end, cached)
}

// Stuck reports whether bbolt may hold a lock for ever.
func (db *DB) Stuck() bool { return db.stuck.Load() }

// Abandon makes the database count as stuck.
func (db *DB) Abandon() { db.stuck.Store(true) }
