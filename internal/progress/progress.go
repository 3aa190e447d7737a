// Package progress measures how fast a task goes over the log, for all that report an
// eventstore.Progress.
package progress

import (
	"time"

	"github.com/yore-es/yore/eventstore"
)

// Reporter returns a function that calls report with the progress of a task. The task
// begins now, at a position; its rate counts from there. Total 0 means that the end is not
// known. Reporter returns nil if report is nil. The function is not safe for concurrent
// use.
func Reporter(from eventstore.Position, report func(eventstore.Progress)) func(done, total eventstore.Position) {
	if report == nil {
		return nil
	}
	began := time.Now()
	return func(done, total eventstore.Position) {
		p := eventstore.Progress{Done: done, Total: total}
		if took := time.Since(began).Seconds(); took > 0 && done > from {
			p.Rate = float64(done-from) / took
		}
		if p.Rate > 0 && total > done {
			p.Remaining = time.Duration(float64(total-done) / p.Rate * float64(time.Second))
		}
		report(p)
	}
}
