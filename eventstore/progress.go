package eventstore

import "time"

// Progress is the progress of a task that goes over the log, such as a rebuild, a copy or
// a check.
type Progress struct {
	// Done is the position up to which the task is done. Total is the position at which
	// it ends, or 0 if that is not known. Total may rise while the task runs.
	Done, Total Position
	// Rate is the number of positions a second since the task began; 0 if it is not
	// known yet.
	Rate float64
	// Remaining is the expected time to the end at this rate; 0 at the end, and if the
	// rate or the end is not known.
	Remaining time.Duration
}
