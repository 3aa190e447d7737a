package rows

import (
	"time"

	"github.com/yore-es/yore/eventstore"
)

// # Running out of time
//
// Problem. A machine that is paused, or has too much to do, keeps a correct view from
// ending within its time. A fault for that would keep the view from its readers until a
// person rebuilds it.
//
// Invariants. A view that has overrun keeps its last good state. No two runs of its code
// are at work at the same time. A view that cannot apply a commit in time does not try for
// ever, since each attempt may keep appends waiting.
//
// Steps. The store detaches the view. When the run that was abandoned has ended, and after
// a wait that doubles with each overrun, the view catches up and is attached again. It gets
// a fault when it has overrun maxOverruns times in succession: without a good stretch in
// between, which is a commit applied in time while it is attached, or a whole step of
// catching up. An overrun that is noticed late does not count, because then the process
// was not running. A run that never ends keeps its view detached; no fault is recorded,
// since the program has only to be started again.
//
// Rejected. To count only repeated overruns of one commit: a view that appends waits for
// itself each time at another one. To measure the time of the processor instead: Go does
// not tell it for a goroutine.

const (
	maxOverruns = 3

	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
	// An overrun that comes this long after the one before waits for minBackoff again.
	calm = time.Minute

	// pauseSlack is how late the end of a view's time is noticed at most in a process that
	// is running.
	pauseSlack = 250 * time.Millisecond
)

// Overruns are the overruns of an attached view. The zero Overruns are none. They are for
// one goroutine at a time.
type Overruns struct {
	succession int
	backoff    time.Duration
	last       time.Time
}

// Note notes the outcome of applying commits, and reports whether the view is late: it has
// overrun, and that is not a fault yet. Then it takes the fault from the outcome.
func (o *Overruns) Note(result *Applied) (late bool) {
	if !result.Overrun {
		return false
	}
	now := time.Now()
	if now.Sub(o.last) > calm {
		o.backoff = 0
	}
	o.last = now
	o.Delay()
	if !result.paused {
		o.succession++
	}
	if o.succession >= maxOverruns {
		return false
	}
	result.Fault = nil
	return true
}

// Delay doubles the backoff.
func (o *Overruns) Delay() { o.backoff = min(max(2*o.backoff, minBackoff), maxBackoff) }

// Good notes a good stretch.
func (o *Overruns) Good() { o.succession = 0 }

// Backoff returns how long to wait before the view is applied again.
func (o *Overruns) Backoff() time.Duration { return o.backoff }

// Late returns what readers of a view that has become late now are told.
func (o *Overruns) Late(result Applied) *eventstore.Late {
	return &eventstore.Late{Since: time.Now(), Reason: result.Cause.Error()}
}
