package command

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
)

// DispatchAll sends several commands and carries them out as one commit: the
// events of all, or none. All must be routed, to repositories over one store. They
// are decided in their order; of two for one aggregate, the second is decided on
// what the first has led to. See [aggregate.ExecuteAll].
//
// The results are those that Dispatch[any] would have returned, one for each
// command: the state of its aggregate, after the whole batch.
//
// The middleware of each command surrounds that of the commands after it, and the
// commit, so that all are validated and authorized before anything is decided, and
// each sees how the batch ended. What it puts into the context is for its own
// command; only cancellation and deadlines are for the later ones too. The command
// id in ctx is the batch's: with it, the batch is carried out once, however often
// it is sent. Ids that [ID] gives to single commands are put on their events, and
// nothing is looked up by them.
//
// A batch is attempted as often as the command with the strictest policy may be.
// An error that is one command's, be it of the middleware, of the handler, or the
// refusal of Decide, comes as an [*aggregate.BatchError], which says which; other
// errors are those of ExecuteAll, and of a middleware that answers a command
// itself, as there is no commit then.
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

// batch is a DispatchAll under way. It belongs to one goroutine.
type batch struct {
	d       *Dispatcher
	ctx     context.Context // of DispatchAll
	cmds    []any
	parts   []aggregate.Part
	results []any

	reached   int // how many commands the middleware has let through
	receipt   eventstore.Receipt
	committed bool
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
		return Reply{Receipt: b.receipt}, err
	}
	if !b.committed {
		return Reply{}, b.blame(max(b.reached-1, 0), errors.New("a middleware answered it itself, which cannot be part of a batch"))
	}
	return Reply{Result: b.results, Receipt: b.receipt}, nil
}

func errNotRouted(cmd any) error {
	return fmt.Errorf("%w: %T has a handler of its own; only commands that are routed to a repository can be part of a batch",
		eventstore.ErrInvalid, cmd)
}

// blame returns the error as that of a command.
func (b *batch) blame(i int, err error) error {
	return &aggregate.BatchError{Index: i, Type: reflect.TypeOf(b.cmds[i]), Err: err}
}

// enter sends the command with this index, and with it those after it; after the
// last one, it carries all of them out. Only the end of ctx counts.
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
	var blamed *aggregate.BatchError
	switch {
	case err == nil:
		b.results[i] = reply.Result
		if t, err := b.d.target(b.cmds[i]); err == nil && t.part != nil {
			b.results[i] = t.part(reply.Result)
		}
	case b.reached == i+1 && !errors.As(err, &blamed):
		return b.blame(i, err) // no other command was reached
	}
	return err
}

// carryOut is the innermost handler of a command of a batch: it notes what is to be
// done, and goes on with the next.
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

// deciding reports whether all commands of the batch were let through, so that a
// panic is nobody's in particular.
func (b *batch) deciding() bool { return b.reached > len(b.cmds) }

// step is a command's place in its batch.
type step struct {
	batch *batch
	index int
}

type stepKey struct{}

// stepFrom returns the place in a batch of the command that ctx is for; nil for
// one that is in none.
func stepFrom(ctx context.Context) *step {
	s, _ := ctx.Value(stepKey{}).(*step)
	return s
}

// within ends as one context does and has the values of another.
type within struct {
	context.Context
	values context.Context
}

// Value implements [context.Context].
func (c within) Value(key any) any { return c.values.Value(key) }
