package aggregate

import (
	"context"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/hook"
)

// Hooks observe what a repository or Decisions do with the store, for tracing for instance.
// Each hook is called before the operation. It returns the context for the operation, and a
// function or nil. The function is called with the outcome, once, on the same goroutine,
// also after a panic. A nil hook costs nothing. Hooks must be safe for concurrent use by
// multiple goroutines.
type Hooks struct {
	// Load is called around the reading of the events that a state is folded from.
	// Each attempt of a command reads new events. For a decision the stream is "".
	Load func(ctx context.Context, stream eventstore.StreamID) (context.Context, func(Loaded, error))
	// Append is called around the append of decided events. The hook must neither
	// change nor keep the commit.
	Append func(ctx context.Context, commit eventstore.Commit) (context.Context, func(eventstore.Receipt, error))
}

// Loaded is the outcome of a load.
type Loaded struct {
	// Version is the stream's; 0 for a decision.
	Version eventstore.Version
	// From is the version of the state that the load began with, from memory or from
	// a snapshot; 0 if it began with the first event.
	From eventstore.Version
	// Events is the number of events that were folded.
	Events int
}

// load calls do within the hook.
func (h *Hooks) load(
	ctx context.Context, stream eventstore.StreamID, do func(context.Context) (Loaded, error),
) (Loaded, error) {
	if h.Load == nil {
		return do(ctx)
	}
	derived, end := h.Load(ctx, stream)
	return hook.Around(ctx, derived, end, do)
}

// append appends the commit within the hook.
func (h *Hooks) append(ctx context.Context, store eventstore.Store, commit eventstore.Commit) (eventstore.Receipt, error) {
	if h.Append == nil {
		return store.Append(ctx, commit)
	}
	derived, end := h.Append(ctx, commit)
	return hook.Around(ctx, derived, end, func(ctx context.Context) (eventstore.Receipt, error) {
		return store.Append(ctx, commit)
	})
}

// observed calls load within the hook.
func (r *Repository[S, C, E]) observed(
	ctx context.Context, stream eventstore.StreamID, load func(context.Context) (image[S], error),
) (at image[S], err error) {
	if r.hooks.Load == nil {
		return load(ctx)
	}
	_, err = r.hooks.load(ctx, stream, func(ctx context.Context) (Loaded, error) {
		if at, err = load(ctx); err != nil {
			return Loaded{}, err
		}
		return Loaded{Version: at.version, From: at.from, Events: int(at.version - at.from)}, nil
	})
	return at, err
}
