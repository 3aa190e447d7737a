package logfile

// Forward is forward, for the tests.
func (r *ReadAhead) Forward(at, size, end int64, cached func(from, size int64) bool) {
	r.forward(at, size, end, cached)
}
