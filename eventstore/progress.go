package eventstore

import "time"

// Progress says how far a task has come that goes over the log: a rebuild, a copy, a
// check.
type Progress struct {
	// Done is the position up to which the task is done. Total is the position at which
	// it ends; it may rise while the task runs. 0 says that the end is not known.
	Done, Total Position
	// Rate is in positions a second since the task began; 0 before there is one.
	Rate float64
	// Remaining is how long the rest takes at this rate; 0 before there is a rate, at
	// the end, and if the end is not known.
	Remaining time.Duration
}
