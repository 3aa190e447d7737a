package command

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
)

type conditionsKey struct{}

// withConditions returns the context of a command with these conditions. They replace those
// of an outer command whose middleware sends this one.
func withConditions(ctx context.Context, conditions []aggregate.Condition) context.Context {
	if len(conditions) == 0 && conditionsFrom(ctx) == nil {
		return ctx
	}
	return context.WithValue(ctx, conditionsKey{}, conditions)
}

// conditionsFrom returns the conditions of the command that ctx is for.
func conditionsFrom(ctx context.Context) []aggregate.Condition {
	conditions, _ := ctx.Value(conditionsKey{}).([]aggregate.Condition)
	return conditions
}

// takes returns an error for conditions that the target would not check.
func (t target) takes(cmd any, conditions []aggregate.Condition) error {
	if len(conditions) > 0 && t.join == nil {
		return fmt.Errorf("dispatch %T: %w: it is handled by a function; only a command that is routed to a repository can be sent under conditions",
			cmd, eventstore.ErrInvalid)
	}
	return nil
}
