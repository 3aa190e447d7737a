package command

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
)

// DispatchAll carries out several commands as one commit: the events of all, or none. All
// must be routed to repositories over one store. They are decided in their order; of two
// commands for one aggregate, the second is decided on the state that the first has left.
// See [aggregate.ExecuteAll].
//
// The results are those that Dispatch[any] would have returned, one for each command: the
// state of its aggregate after the whole batch.
//
// The middleware of each command wraps that of the commands after it, and the commit. So all
// commands are validated and authorized before the first is decided, and each middleware
// sees the outcome of the batch. Values that a middleware puts into the context are for its
// own command; its cancellation and deadline hold for the later commands, too. The command
// id in ctx is that of the batch: with it the batch is carried out once, however often it is
// sent. Ids that [ID] gives to single commands are put on their events, and identify
// nothing else.
//
// A batch is attempted as often as its command with the fewest attempts may be. An error of
// one command, from middleware, its handler or Decide, is an [*aggregate.BatchError], which
// names the command. Other errors are those of ExecuteAll, and that of a batch in which a
// middleware has answered a command itself, so that there was no commit.
func DispatchAll(ctx context.Context, d *Dispatcher, cmds ...any) ([]any, eventstore.Receipt, error) {
	d.mu.RLock()
	hooks := d.onBatch
	d.mu.RUnlock()
	reply, err := surrounded(ctx, hooks, cmds, func(ctx context.Context) (Reply, error) {
		b := &batch{d: d, ctx: ctx, cmds: cmds, parts: make([]aggregate.Part, len(cmds)), results: make([]any, len(cmds))}
		return b.dispatch()
	})
	results, _ := reply.Result.([]any)
	return results, reply.Receipt, err
}

// batch is one call of DispatchAll. It belongs to one goroutine.
type batch struct {
	d       *Dispatcher
	ctx     context.Context // of DispatchAll
	cmds    []any
	parts   []aggregate.Part
	results []any

	reached   int // the number of commands that were sent; one more when all have passed the middleware
	receipt   eventstore.Receipt
	committed bool
	refused   bool // the last command that was answered was refused
}

func (b *batch) dispatch() (Reply, error) {
	if len(b.cmds) == 0 {
		return Reply{}, fmt.Errorf("dispatch a batch: %w: there are no commands", eventstore.ErrInvalid)
	}
	for i, cmd := range b.cmds { // before any middleware, as for one command
		if t, err := b.d.target(cmd); err != nil {
			return Reply{}, b.blame(i, err)
		} else if t.join == nil {
			return Reply{}, b.blame(i, errNotRouted(cmd))
		}
	}
	if err := b.enter(b.ctx, 0); err != nil {
		var one *aggregate.BatchError
		return Reply{Receipt: b.receipt, Refused: errors.As(err, &one) && one.Refused}, err
	}
	if !b.committed {
		return Reply{}, b.blame(max(b.reached-1, 0), errors.New("a middleware has answered it, so it cannot be part of a batch"))
	}
	return Reply{Result: b.results, Receipt: b.receipt}, nil
}

func errNotRouted(cmd any) error {
	return fmt.Errorf("%w: %T is handled by a function; only commands that are routed to a repository can be part of a batch",
		eventstore.ErrInvalid, cmd)
}

// blame returns the error as one of the i-th command.
func (b *batch) blame(i int, err error) error {
	return &aggregate.BatchError{Index: i, Type: reflect.TypeOf(b.cmds[i]), Err: err, Refused: b.refused}
}

// enter sends the i-th command, and within it those after it; after the last one it carries
// out all of them. Of ctx only the end counts.
func (b *batch) enter(ctx context.Context, i int) error {
	if i == len(b.cmds) {
		b.reached = i + 1
		receipt, err := aggregate.ExecuteAll(within{Context: ctx, values: b.ctx}, b.parts...)
		b.receipt, b.committed = receipt, err == nil
		return err
	}
	b.reached = i + 1
	step := context.WithValue(within{Context: ctx, values: b.ctx}, stepKey{}, &step{batch: b, index: i})
	reply, err := b.d.send(step, b.cmds[i])
	b.refused = reply.Refused
	var blamed *aggregate.BatchError
	switch {
	case err == nil:
		b.results[i] = reply.Result
		if t, err := b.d.target(b.cmds[i]); err == nil && t.part != nil {
			b.results[i] = t.part(reply.Result)
		}
	case b.reached == i+1 && !errors.As(err, &blamed):
		return b.blame(i, err) // no later command was sent
	}
	return err
}

// carryOut is the innermost handler of a command of a batch: it adds the command to the parts
// and goes on with the next one.
func (b *batch) carryOut(ctx context.Context, i int, cmd any) (Reply, error) {
	t, err := b.d.target(cmd)
	if err == nil && t.join == nil {
		err = errNotRouted(cmd)
	}
	if err != nil {
		return Reply{}, err
	}
	part, result := t.join(ctx, cmd)
	b.parts[i] = part
	if err := b.enter(ctx, i+1); err != nil {
		return Reply{Receipt: b.receipt}, err
	}
	return Reply{Result: result(), Receipt: b.receipt}, nil
}

// deciding reports whether all commands of the batch have passed the middleware, so that a
// panic may be one of any command.
func (b *batch) deciding() bool { return b.reached > len(b.cmds) }

// step is a command of a batch.
type step struct {
	batch *batch
	index int
}

type stepKey struct{}

// stepFrom returns the step of the command that ctx is for; nil if it is in no batch.
func stepFrom(ctx context.Context) *step {
	s, _ := ctx.Value(stepKey{}).(*step)
	return s
}

// within is a context that ends with one context and has the values of another.
type within struct {
	context.Context
	values context.Context
}

// Value implements [context.Context].
func (c within) Value(key any) any { return c.values.Value(key) }
