package aggregate

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/eventstore"
)

// Condition is what must hold of an aggregate for a command to be carried out on it. Make
// one with [If]. The zero Condition says nothing, and is an error that matches
// [eventstore.ErrInvalid] where it is used.
type Condition struct{ at eventstore.Expectation }

// If is the condition that the aggregate is at this version: the version that the sender
// of the command has seen. It is what If-Match is in HTTP. If(0) is the condition that the
// aggregate has no events. Where it does not hold, the error is an [*eventstore.ConflictError] with
// the expected and the actual version; Decide is not asked, and the command is not tried
// again, since no stream comes back to a version.
func If(version eventstore.Version) Condition { return Condition{at: eventstore.At(version)} }

// validate reports a condition that says nothing.
func validate(conditions []Condition) error {
	for i, c := range conditions {
		if c.at == 0 {
			return fmt.Errorf("%w: condition %d is the zero Condition: use aggregate.If", eventstore.ErrInvalid, i)
		}
	}
	return nil
}

// check returns the conflict of the first condition that does not hold of the stream at
// its version, or nil.
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
		return conflict
	}
	return nil
}
