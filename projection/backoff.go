package projection

import "time"

// How long to wait before trying again what has failed: at first the one, then
// twice as long each time, up to the other.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 30 * time.Second
)
