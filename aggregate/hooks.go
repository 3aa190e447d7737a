package aggregate

import (
	"context"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/hook"
)

// Hooks are told what a repository or decisions do with the store, before and
// after it, as a tracing module has to know it. Each is called before, returns the
// context to go on with, and may return a function to call with the outcome; it is
// called on the same goroutine, once, whatever happens, a panic included. A nil
// hook costs nothing. Hooks must be safe for concurrent use.
type Hooks struct {
	// Load surrounds the reading of the events that a state is folded from: each
	// attempt of a command reads what is new. For a decision the stream is "".
	Load func(ctx context.Context, stream eventstore.StreamID) (context.Context, func(Loaded, error))
	// Append surrounds the append of what was decided. The commit must not be
	// changed, nor kept.
	Append func(ctx context.Context, commit eventstore.Commit) (context.Context, func(eventstore.Receipt, error))
}

// Loaded says what a load came to.
type Loaded struct {
	// Version is the stream's; 0 for a decision.
	Version eventstore.Version
	// From is the version of the state that it began with: one in memory or in a
	// snapshot; 0 if it began with the first event.
	From eventstore.Version
	// Events is how many events it folded.
	Events int
}

// load does what is to be done between the two halves of the hook.
func (h *Hooks) load(
	ctx context.Context, stream eventstore.StreamID, do func(context.Context) (Loaded, error),
) (Loaded, error) {
	if h.Load == nil {
		return do(ctx)
	}
	derived, end := h.Load(ctx, stream)
	return hook.Around(ctx, derived, end, do)
}

// append appends the commit between the two halves of the hook.
func (h *Hooks) append(ctx context.Context, store eventstore.Store, commit eventstore.Commit) (eventstore.Receipt, error) {
	if h.Append == nil {
		return store.Append(ctx, commit)
	}
	derived, end := h.Append(ctx, commit)
	return hook.Around(ctx, derived, end, func(ctx context.Context) (eventstore.Receipt, error) {
		return store.Append(ctx, commit)
	})
}

// observed is a load between the two halves of the hook.
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
