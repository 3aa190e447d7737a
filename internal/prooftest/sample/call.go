package sample

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// Verdict is the judgement of one call. A call must be Right or Refused; Stale and
// Partial are accepted of rows only, and only if Verify has a finding about them.
type Verdict string

// The verdicts.
const (
	Right    Verdict = "right"    // complete and without an error
	Refused  Verdict = "refused"  // an error that a caller can match, and everything before it was right
	Stale    Verdict = "stale"    // rows or a checkpoint that were right earlier, with a nil error
	Partial  Verdict = "partial"  // rows or checkpoints are missing, with a nil error
	Short    Verdict = "short"    // events are missing, with a nil error or before the error
	Wrong    Verdict = "wrong"    // something that was never written, or at another place
	Passed   Verdict = "passed"   // a condition that does not hold let a commit pass
	Clash    Verdict = "clash"    // a conflict though all conditions hold
	Untyped  Verdict = "untyped"  // an error that a caller cannot match
	Overtime Verdict = "overtime" // no end before the deadline
)

// Answer is the judgement of the answer to a call.
type Answer struct {
	Call    string  // the method and its arguments
	Time    string  // first, second, or reopened
	Verdict Verdict //
	Got     string  `json:",omitempty"`
	Want    string  `json:",omitempty"`

	part part
	view eventstore.ViewID // of rows
	err  error
}

// Err returns the error of the call.
func (a Answer) Err() error { return a.err }

// String describes a failing call.
func (a Answer) String() string {
	return fmt.Sprintf("%s: %s (%s time): got %.300s, want %.300s", a.Verdict, a.Call, a.Time, a.Got, a.Want)
}

// part is what a call is about.
type part int

const (
	events part = iota
	rows
)

// callTime is how long a call may take.
const callTime = 5 * time.Second

// asker makes calls on a store and judges them.
type asker struct {
	ctx     context.Context
	sample  *Sample
	store   eventstore.RowStore
	note    func(string)
	times   []string // the name of each time that a call is made
	answers []Answer
	stopped bool // a commit passed that must not, or a call took too long: the rest says nothing
}

// call makes a call as often as there are times, unless an earlier one has stopped it.
func (q *asker) call(name string, do func(ctx context.Context) Answer) {
	for _, when := range q.times {
		if q.stopped {
			return
		}
		q.note(name + " (" + when + ")")
		ctx, cancel := context.WithTimeout(q.ctx, callTime)
		a := do(ctx)
		late := ctx.Err() != nil
		cancel()
		a.Call, a.Time = name, when
		if late {
			a.Verdict, a.Got, a.Want = Overtime, fmt.Sprint(a.err), "an answer within "+callTime.String()
		}
		q.stopped = a.Verdict == Passed || late
		q.answers = append(q.answers, a)
	}
}

// refused judges an error of a call that has returned nothing wrong before it.
func refused(err error, want string) Answer {
	if typed(err) {
		return Answer{Verdict: Refused, err: err}
	}
	return Answer{Verdict: Untyped, Got: err.Error(), Want: want, err: err}
}

// equal judges the answer to a call that returns one value. less reports that the
// value is one of an earlier log.
func equal(got, want any, err error, same, less bool) Answer {
	switch {
	case err != nil:
		return refused(err, fmt.Sprint(want))
	case same:
		return Answer{Verdict: Right}
	case less:
		return Answer{Verdict: Short, Got: fmt.Sprint(got), Want: fmt.Sprint(want)}
	}
	return Answer{Verdict: Wrong, Got: fmt.Sprint(got), Want: fmt.Sprint(want)}
}

// Typed reports whether a caller can match the error, as one of damage or of its
// consequences.
func Typed(err error) bool { return typed(err) }

func typed(err error) bool {
	for _, known := range []error{eventstore.ErrCorrupt, eventstore.ErrFormat, eventstore.ErrReadOnly, eventstore.ErrFailed, eventstore.ErrUnknownOutcome} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
