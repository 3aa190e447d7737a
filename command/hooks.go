package command

import (
	"context"

	"github.com/yore-es/yore/internal/hook"
)

// Hooks observe commands and batches, for tracing for instance; [aggregate.Hooks] observe
// what is done with the store. Each hook is called before any middleware. It returns the
// context for the command, and a function or nil. The function is called with the outcome,
// once, on the same goroutine, also after a panic. A nil hook costs nothing. Hooks must be
// safe for concurrent use by multiple goroutines.
type Hooks struct {
	// Dispatch is called around each command, also of a batch: there, around the
	// later commands, too, and with a context derived from that of Batch.
	Dispatch func(ctx context.Context, cmd any) (context.Context, func(Reply, error))
	// Batch is called around all commands of a DispatchAll. The Result in the Reply
	// is the []any that DispatchAll returns.
	Batch func(ctx context.Context, cmds []any) (context.Context, func(Reply, error))
}

// Observe adds hooks. Those that were added first are the outermost.
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

// observer is one hook.
type observer[A any] func(ctx context.Context, about A) (context.Context, func(Reply, error))

// surrounded calls do within the hooks.
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
