package command

import (
	"context"

	"github.com/yore-es/yore/internal/hook"
)

// Hooks are told of each command and each batch before and after it is carried
// out, as a tracing module has to know it; [aggregate.Hooks] tell of what is done
// with the store meanwhile. Each is called before any middleware, returns the
// context to go on with, and may return a function to call with the outcome; it is
// called on the same goroutine, once, whatever happens, a panic included. Nil
// hooks cost nothing. Hooks must be safe for concurrent use.
type Hooks struct {
	// Dispatch surrounds each command, those of a batch too: there, each command
	// surrounds those after it, and its context is derived from the batch's.
	Dispatch func(ctx context.Context, cmd any) (context.Context, func(Reply, error))
	// Batch surrounds all commands of a DispatchAll. The Reply's result is the
	// []any that DispatchAll returns.
	Batch func(ctx context.Context, cmds []any) (context.Context, func(Reply, error))
}

// Observe adds hooks; those added first are the outermost.
func (d *Dispatcher) Observe(hooks Hooks) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if hooks.Dispatch != nil {
		d.onDispatch = append(d.onDispatch, hooks.Dispatch)
	}
	if hooks.Batch != nil {
		d.onBatch = append(d.onBatch, hooks.Batch)
	}
}

// observer is one of Hooks.
type observer[A any] func(ctx context.Context, about A) (context.Context, func(Reply, error))

// surrounded does what is to be done between the two halves of the hooks.
func surrounded[A any](
	ctx context.Context, hooks []observer[A], about A, do func(context.Context) (Reply, error),
) (Reply, error) {
	if len(hooks) == 0 {
		return do(ctx)
	}
	derived, end := hooks[0](ctx, about)
	return hook.Around(ctx, derived, end, func(ctx context.Context) (Reply, error) {
		return surrounded(ctx, hooks[1:], about, do)
	})
}
