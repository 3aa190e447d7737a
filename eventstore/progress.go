package eventstore

import "time"

// Progress says how far a task has come that goes over the log: a rebuild, a copy,
// a check.
type Progress struct {
	// Done is the position up to which the task is done, Total the head, which may
	// rise while the task runs.
	Done, Total Position
	// Rate is in positions a second since the task began; 0 before there is one.
	Rate float64
	// Remaining is how long the rest takes at this rate; 0 before there is one, and
	// at the end.
	Remaining time.Duration
}
