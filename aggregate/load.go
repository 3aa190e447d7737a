package aggregate

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/internal/quote"
)

// Load returns the aggregate's state and version. An aggregate without events has the
// initial state and version 0, which is no error. An event that cannot be decoded, or is
// not an E, is an error that names stream and position, because a state without it would be
// wrong. If upcasters split an event, each part evolves the state, in order; versions count
// stored events.
func (r *Repository[S, C, E]) Load(ctx context.Context, id string) (S, eventstore.Version, error) {
	stream, err := r.stream(id)
	if err != nil {
		var none S
		return none, 0, fmt.Errorf("load: %w", err)
	}
	at, err := r.latest(ctx, stream, r.start)
	if err != nil {
		var none S
		return none, 0, fmt.Errorf("load stream %s: %w", quote.Name(string(stream)), err)
	}
	return at.state, at.version, nil
}

// LoadAt returns the state at exactly this version; at version 0, the initial state. A
// version that the stream has not reached is an error that matches
// [eventstore.ErrInvalid].
func (r *Repository[S, C, E]) LoadAt(ctx context.Context, id string, version eventstore.Version) (S, error) {
	var none S
	if version == 0 {
		if _, err := r.stream(id); err != nil {
			return none, fmt.Errorf("load at version 0: %w", err)
		}
		return r.decider.Initial(), nil
	}
	state, reached, err := r.load(ctx, id, eventstore.ReadOptions{ToVersion: version})
	if err != nil {
		return none, err
	}
	if reached < version {
		return none, fmt.Errorf("load stream %s at version %d: %w: the stream is at version %d",
			quote.Name(string(r.Stream(id))), version, eventstore.ErrInvalid, reached)
	}
	return state, nil
}

// LoadAsOf returns the state and version at a time: of the events that were recorded at t
// or before, whatever their own Time. Before the first event they are the initial state and
// version 0. The zero Time is an error that matches [eventstore.ErrInvalid].
func (r *Repository[S, C, E]) LoadAsOf(ctx context.Context, id string, t time.Time) (S, eventstore.Version, error) {
	if t.IsZero() {
		var none S
		return none, 0, fmt.Errorf("load stream %s as of a time: %w: the time is zero", quote.Name(string(r.Stream(id))), eventstore.ErrInvalid)
	}
	return r.load(ctx, id, eventstore.ReadOptions{AsOf: t})
}

// History yields the aggregate's events by version, as a snapshot that is fixed when
// ranging starts. If an upcaster splits an event, each part is an element, in order, with
// the same version; an event that an upcaster drops is not yielded. The sequence can be
// ranged over more than once. An error is the last element and comes with the zero Event:
// for an empty id, for an event that cannot be decoded or is not an E, and those of
// [eventstore.Store].Read.
func (r *Repository[S, C, E]) History(ctx context.Context, id string) iter.Seq2[fold.Event[E], error] {
	return func(yield func(fold.Event[E], error) bool) {
		stream, err := r.stream(id)
		if err != nil {
			yield(fold.Event[E]{}, fmt.Errorf("history: %w", err))
			return
		}
		for event, err := range r.events(ctx, stream, 0, eventstore.ReadOptions{}) {
			if err != nil {
				yield(fold.Event[E]{}, fmt.Errorf("history of stream %s: %w", quote.Name(string(stream)), err))
				return
			}
			for _, data := range event.data {
				if !yield(fold.Event[E]{Event: event.Event, Data: data}, nil) {
					return
				}
			}
		}
	}
}

func (r *Repository[S, C, E]) load(ctx context.Context, id string, opts eventstore.ReadOptions) (S, eventstore.Version, error) {
	var none S
	stream, err := r.stream(id)
	if err != nil {
		return none, 0, fmt.Errorf("load: %w", err)
	}
	at, err := r.observed(ctx, stream, func(ctx context.Context) (image[S], error) {
		return r.fold(ctx, stream, r.start(), opts, nil)
	})
	if err != nil {
		return none, 0, fmt.Errorf("load stream %s: %w", quote.Name(string(stream)), err)
	}
	return at.state, at.version, nil
}

// image is a state and the last event that is folded into it.
type image[S any] struct {
	state    S
	version  eventstore.Version
	position eventstore.Position
	event    [16]byte // its id

	// shared is true if the cache holds the state, too: it must be cloned before it
	// is changed or returned.
	shared bool
	// from is the version that the last load began with. kept is the version of the
	// stored snapshot, as far as it is known.
	from, kept eventstore.Version
}

// latest returns the aggregate as of now, for the caller to change. Without a cache it
// folds the new events into the image that at returns, which it may change.
func (r *Repository[S, C, E]) latest(
	ctx context.Context, stream eventstore.StreamID, at func() image[S],
) (image[S], error) {
	return r.observed(ctx, stream, func(ctx context.Context) (image[S], error) {
		if r.cache == nil {
			return r.advance(ctx, stream, at())
		}
		return r.cache.load(ctx, stream, r.start, func(at image[S]) (image[S], error) {
			return r.advance(ctx, stream, at)
		})
	})
}

// advance folds the events after the image into it. If the image has no events it begins
// with the snapshot, if there is a usable one.
func (r *Repository[S, C, E]) advance(ctx context.Context, stream eventstore.StreamID, at image[S]) (image[S], error) {
	if r.snapshots == nil {
		at.from = at.version
		return r.fold(ctx, stream, at, eventstore.ReadOptions{From: at.position + 1}, nil)
	}
	began := time.Now()
	if at.version == 0 {
		snapshot, usable, err := r.fromSnapshot(ctx, stream)
		if err != nil {
			return image[S]{}, err
		}
		if usable {
			at = snapshot
		}
	}
	at.from = at.version
	at, err := r.fold(ctx, stream, at, eventstore.ReadOptions{From: at.position + 1}, nil)
	if err == nil {
		r.snapshots.consider(stream, at.version, at.kept, time.Since(began))
	}
	return at, err
}

func (r *Repository[S, C, E]) start() image[S] { return image[S]{state: r.decider.Initial()} }

// fold folds the stream's next events, within opts, into at, which it may change, and calls
// visit with each if visit is not nil.
func (r *Repository[S, C, E]) fold(
	ctx context.Context, stream eventstore.StreamID, at image[S], opts eventstore.ReadOptions,
	visit func(fold.Event[E]),
) (image[S], error) {
	for event, err := range r.events(ctx, stream, at.version, opts) {
		if err != nil {
			return image[S]{}, err
		}
		for _, data := range event.data {
			if at.shared {
				at.state, at.shared = r.decider.Clone(at.state), false
			}
			at.state = r.decider.Evolve(at.state, data)
			if visit != nil {
				visit(fold.Event[E]{Event: event.Event, Data: data})
			}
		}
		at.version, at.position, at.event = event.Version, event.Position, event.ID
	}
	return at, nil
}

// storedEvent is a stored event and what it is decoded into.
type storedEvent[E any] struct {
	eventstore.Event
	data []E // valid until the next event is read
}

// events yields the stream's events within opts, decoded. The first one must have the next
// version after version, and each later one the next.
func (r *Repository[S, C, E]) events(
	ctx context.Context, stream eventstore.StreamID, version eventstore.Version, opts eventstore.ReadOptions,
) iter.Seq2[storedEvent[E], error] {
	return func(yield func(storedEvent[E], error) bool) {
		var data []E
		for stored, err := range r.store.Read(ctx, eventstore.Stream(stream), opts) {
			if version++; err == nil && (stored.Stream != stream || stored.Version != version) {
				err = &eventstore.CorruptError{
					Position: stored.Position,
					Reason: fmt.Sprintf("found version %d of stream %s instead of version %d of stream %s",
						stored.Version, quote.Name(string(stored.Stream)), version, quote.Name(string(stream))),
				}
			}
			if err == nil {
				if data, err = r.decode(stored, data[:0]); err != nil {
					err = fmt.Errorf("position %d: %w", stored.Position, err)
				}
			}
			if err != nil {
				yield(storedEvent[E]{}, err)
				return
			}
			if !yield(storedEvent[E]{Event: stored, data: data}, nil) {
				return
			}
		}
	}
}

// decode appends the decoded event to events: any number of values, by the upcasters.
func (r *Repository[S, C, E]) decode(stored eventstore.Event, events []E) ([]E, error) {
	values, err := r.registry.DecodeAll(stored.Type, stored.SchemaVersion, stored.Codec, stored.Data)
	if err != nil {
		return nil, err
	}
	for _, value := range values {
		event, ok := value.(E)
		if !ok {
			return nil, fmt.Errorf("event type %s version %d is %T, which is not a %v",
				quote.Name(stored.Type), stored.SchemaVersion, value, reflect.TypeFor[E]())
		}
		events = append(events, event)
	}
	return events, nil
}
