package aggregate

import (
	"context"
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// ErrCondition means that a command was not carried out because a condition of [If] does
// not hold. The error is an [*eventstore.ConflictError] too, so it matches
// [eventstore.ErrConflict]; a conflict that does not match ErrCondition is one with other
// commands that were faster, after the last attempt. In HTTP, ErrCondition is 412
// (Precondition Failed), and the other conflict 409.
var ErrCondition = errors.New("the condition does not hold")

// Condition is a condition on an aggregate, under which a command is carried out. Make one
// with [If]. The zero Condition is an error that matches [eventstore.ErrInvalid] where it is
// used.
type Condition struct{ at eventstore.Expectation }

// If returns the condition that the aggregate is at this version, usually the one that the
// sender of the command has seen, as with If-Match in HTTP. If(0) is the condition that the
// aggregate has no events. If the condition does not hold, the error matches [ErrCondition]
// and is an [*eventstore.ConflictError] with the expected and the actual version; Decide is
// not called, and the command is not tried again, because a stream never returns to a
// version.
func If(version eventstore.Version) Condition { return Condition{at: eventstore.At(version)} }

// validate returns an error for a zero Condition.
func validate(conditions []Condition) error {
	for i, c := range conditions {
		if c.at == 0 {
			return fmt.Errorf("%w: condition %d is the zero Condition: use aggregate.If", eventstore.ErrInvalid, i)
		}
	}
	return nil
}

// check returns the conflict of the first condition that does not hold for a stream at this
// version, or nil.
func (r *Repository[S, C, E]) check(
	ctx context.Context, conditions []Condition, stream eventstore.StreamID, actual eventstore.Version,
) error {
	for _, c := range conditions {
		if c.at.Holds(actual) {
			continue
		}
		conflict := &eventstore.ConflictError{Stream: stream, Expected: c.at, Actual: actual}
		if v := c.at.FirstConflict(actual); v > 0 {
			first := eventstore.ReadOptions{FromVersion: v, ToVersion: v}
			for event, err := range r.store.Read(ctx, eventstore.Stream(stream), first) {
				if err != nil {
					return err
				}
				conflict.Position, conflict.Type = event.Position, event.Type
			}
		}
		return fmt.Errorf("%w: %w", ErrCondition, conflict)
	}
	return nil
}
