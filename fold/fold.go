package fold

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/given"
	"github.com/yore-es/yore/internal/vocabulary"
)

// Fold folds events of the log into an S. It is safe for concurrent use by multiple
// goroutines while it is not changed, if its functions are, which pure functions are.
type Fold[S any] struct {
	// Initial returns the state before the first event. Nil means the zero S. It
	// must return a new state each time if a handler changes the state.
	Initial func() S
	// Evolve are the handlers, made by [On] and [OnEvent]: at least one, and no two
	// for one event type.
	Evolve []Handler[S]
}

// New returns the fold with these handlers whose first state is the zero S.
func New[S any](evolve ...Handler[S]) Fold[S] { return Fold[S]{Evolve: evolve} }

// Options bound a run of a fold. Nil and the zero Options mean all handled events, up to the
// head.
type Options struct {
	// Query leaves out the handled events that do not match it. The zero Query
	// leaves out none. It names types as they are registered today, and matches
	// older events that upcasters make into these types. Types without a handler are
	// ignored. A handled type that it asks for by tag, and that is registered without
	// tags, is a fault.
	Query eventstore.Query
	// To is the highest position to fold, inclusive. 0 means the head.
	To eventstore.Position
	// AsOf leaves out the events that were recorded after this time. The zero Time
	// leaves out none.
	AsOf time.Time
}

// Run folds the log. It returns the state and the position that it is true for: the head
// when Run began, or the last position within the options.
//
// All faults of the fold and the options are returned at once, before anything is read, in
// an error that matches [eventstore.ErrInvalid]: a nil store or registry, no handlers, a
// handler without a function; an event type that is not registered, that no registered type
// implements, or that has two handlers; a handled name with a version that has no handler;
// and a query that is invalid, names none of the handled types, or names one by an older
// name. An event that cannot be decoded ends the fold with an error that names its position
// and type.
func (f Fold[S]) Run(
	ctx context.Context, store eventstore.Store, registry *codec.Registry, opts *Options,
) (S, eventstore.Position, error) {
	if opts == nil {
		opts = &Options{}
	}
	state, through, err := f.run(ctx, store, registry, *opts)
	if err != nil {
		var none S
		return none, 0, fmt.Errorf("fold into %v: %w", reflect.TypeFor[S](), err)
	}
	return state, through, nil
}

func (f Fold[S]) run(
	ctx context.Context, store eventstore.Store, registry *codec.Registry, opts Options,
) (S, eventstore.Position, error) {
	var state S
	p, err := f.plan(store, registry, opts.Query)
	if err != nil {
		return state, 0, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	through, err := vocabulary.LastPosition(ctx, store, opts.To, opts.AsOf)
	if err != nil {
		return state, 0, err
	}
	if f.Initial != nil {
		state = f.Initial()
	}
	if through == 0 {
		return state, 0, nil // ReadOptions.To 0 would mean the head
	}
	for stored, err := range store.Read(ctx, p.selection.Stored, eventstore.ReadOptions{To: through}) {
		if err != nil {
			return state, 0, err
		}
		values, err := p.vocabulary.Decode(stored)
		if err != nil {
			return state, 0, err
		}
		for _, value := range values {
			if h, taken := p.handlers.For(value); taken && p.vocabulary.Asks(p.selection.Asked, stored, value) {
				state = h.Apply(state, Event[any]{Event: stored, Data: value})
			}
		}
	}
	return state, through, nil
}

// plan is a fold resolved against a registry.
type plan[S any] struct {
	vocabulary *vocabulary.Vocabulary
	handlers   *vocabulary.Handlers[Handler[S]]
	selection  vocabulary.Selection
}

// plan returns the plan of the fold, or all its faults.
func (f Fold[S]) plan(store eventstore.Store, registry *codec.Registry, query eventstore.Query) (plan[S], error) {
	var faults []error
	if err := given.Store(store); err != nil {
		faults = append(faults, err)
	}
	// The zero Query has nil items and means all. Match() has empty ones and is refused,
	// as its caller meant to select something.
	if !query.IsAll() && query.Items() == nil {
		query = eventstore.All()
	}
	p := plan[S]{vocabulary: vocabulary.New(registry)}
	var err error
	if p.handlers, err = vocabulary.Resolve(p.vocabulary, f.Evolve); err != nil {
		faults = append(faults, err)
	}
	if p.selection, err = p.handlers.Select(query); err != nil {
		faults = append(faults, err)
	}
	for _, name := range p.selection.Untagged {
		faults = append(faults, vocabulary.NoTags(name))
	}
	if len(faults) == 0 && len(p.selection.Asked.Items()) == 0 {
		faults = append(faults, fmt.Errorf("the query (%v) names none of the handled types %q", query, p.handlers.Names()))
	}
	return p, errors.Join(faults...)
}
