package aggregate

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// Load returns the aggregate's state and version. One that has no events has
// the initial state and version 0, and is no error. An event that cannot be
// decoded or is not an E is an error that names stream and position: a state
// without it would be a lie.
func (r *Repository[S, C, E]) Load(ctx context.Context, id string) (S, eventstore.Version, error) {
	return r.load(ctx, id, eventstore.ReadOptions{})
}

// LoadAt returns the state that the aggregate had at exactly this version; at 0
// it is the initial state. A version that the stream has not reached is an error
// that matches [eventstore.ErrInvalid].
func (r *Repository[S, C, E]) LoadAt(ctx context.Context, id string, version eventstore.Version) (S, error) {
	var none S
	if version == 0 {
		if _, err := r.stream(id); err != nil {
			return none, fmt.Errorf("load at version 0: %w", err)
		}
		return r.decider.Initial(), nil
	}
	state, reached, err := r.load(ctx, id, eventstore.ReadOptions{Limit: int(min(version, math.MaxInt))})
	if err != nil {
		return none, err
	}
	if reached < version {
		return none, fmt.Errorf("load stream %q at version %d: %w: the stream is at version %d",
			r.Stream(id), version, eventstore.ErrInvalid, reached)
	}
	return state, nil
}

// LoadAsOf returns the state and version that the aggregate had at a time: by
// the events recorded then or before, whatever time they say they happened at.
// Before its first event, that is the initial state and version 0. The zero
// Time is an error that matches [eventstore.ErrInvalid].
func (r *Repository[S, C, E]) LoadAsOf(ctx context.Context, id string, t time.Time) (S, eventstore.Version, error) {
	if t.IsZero() {
		var none S
		return none, 0, fmt.Errorf("load stream %q as of a time: %w: the time is zero", r.Stream(id), eventstore.ErrInvalid)
	}
	return r.load(ctx, id, eventstore.ReadOptions{AsOf: t})
}

func (r *Repository[S, C, E]) load(ctx context.Context, id string, opts eventstore.ReadOptions) (S, eventstore.Version, error) {
	var none S
	stream, err := r.stream(id)
	if err != nil {
		return none, 0, fmt.Errorf("load: %w", err)
	}
	at, err := r.fold(ctx, stream, r.start(), opts, nil)
	if err != nil {
		return none, 0, fmt.Errorf("load stream %q: %w", stream, err)
	}
	return at.state, at.version, nil
}

// image is a state and the place in the stream and in the log through which it
// has been folded.
type image[S any] struct {
	state    S
	version  eventstore.Version
	position eventstore.Position
}

func (r *Repository[S, C, E]) start() image[S] { return image[S]{state: r.decider.Initial()} }

// fold folds the stream's next events, as far as opts let it see them, into at,
// and shows each to the visitor if there is one. It uses up at.
func (r *Repository[S, C, E]) fold(
	ctx context.Context, stream eventstore.StreamID, at image[S], opts eventstore.ReadOptions,
	visit func(eventstore.Position, E),
) (image[S], error) {
	for stored, err := range r.store.Read(ctx, eventstore.Stream(stream), opts) {
		if err != nil {
			return image[S]{}, err
		}
		if stored.Stream != stream || stored.Version != at.version+1 {
			return image[S]{}, &eventstore.CorruptError{
				Position: stored.Position,
				Reason: fmt.Sprintf("version %d of stream %q where version %d of stream %q comes next",
					stored.Version, stored.Stream, at.version+1, stream),
			}
		}
		event, err := r.decode(stored)
		if err != nil {
			return image[S]{}, fmt.Errorf("position %d: %w", stored.Position, err)
		}
		at.state = r.decider.Evolve(at.state, event)
		at.version, at.position = stored.Version, stored.Position
		if visit != nil {
			visit(stored.Position, event)
		}
	}
	return at, nil
}

func (r *Repository[S, C, E]) decode(stored eventstore.Event) (E, error) {
	var none E
	value, err := r.registry.Decode(stored.Type, stored.SchemaVersion, stored.Codec, stored.Data)
	if err != nil {
		return none, err
	}
	event, ok := value.(E)
	if !ok {
		return none, fmt.Errorf("event type %q version %d is %T, which is not a %v",
			stored.Type, stored.SchemaVersion, value, reflect.TypeFor[E]())
	}
	return event, nil
}
