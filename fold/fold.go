package fold

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/vocabulary"
	"github.com/yore-es/yore/internal/window"
)

// Fold is a question to the log: handlers that fold events into an S. It never
// changes; it is safe for concurrent use by multiple goroutines if its handlers
// are, as pure functions are. Make one with [NewFold].
type Fold[S any] struct {
	initial  func() S
	handlers []Handler[S]
}

// Handler folds the events of one Go type into an S. Make one with [When].
type Handler[S any] struct {
	event reflect.Type // nil for one without a function
	apply func(S, eventstore.Event, any) S
}

// Type returns the Go type of the events that the handler takes; nil for one without
// a function.
func (h Handler[S]) Type() reflect.Type { return h.event }

// FoldOptions bound a fold. Nil and the zero FoldOptions mean all handled
// events, up to the head.
type FoldOptions struct {
	// Query leaves out the handled events that do not match it; the zero Query
	// leaves out none. It names types as they are registered today, and finds
	// older events that upcasters make into them. Types that no handler takes
	// are passed over.
	Query eventstore.Query
	// To is the highest position folded, inclusive; 0 is the head.
	To eventstore.Position
	// AsOf leaves out the events recorded after this time; the zero Time
	// leaves out none.
	AsOf time.Time
}

// NewFold returns a fold that begins with what initial makes, or with the zero S
// if it is nil, and applies the handler of each event's type. Initial must make
// a value of its own each time if handlers change what they are given.
func NewFold[S any](initial func() S, handlers ...Handler[S]) *Fold[S] {
	if initial == nil {
		initial = func() (zero S) { return zero }
	}
	return &Fold[S]{initial: initial, handlers: slices.Clone(handlers)}
}

// When returns a handler for the events of the Go type T, exactly that one, and
// for older events that the registry's upcasters make into a T. It
// may change the S it is given and return it. It cannot fail: what an event
// means for the value is a matter of course, and to say that an event makes no
// sense is part of the answer, in S.
func When[S, T any](handle func(S, Event[T]) S) Handler[S] {
	if handle == nil {
		return Handler[S]{}
	}
	return Handler[S]{
		event: reflect.TypeFor[T](),
		apply: func(s S, stored eventstore.Event, data any) S {
			return handle(s, Event[T]{Event: stored, Data: data.(T)})
		},
	}
}

// Run folds the log and returns the value and the position that it is true for:
// the head when Run began, or the last position within the options' bounds.
//
// What is wrong with the fold or the options is returned before anything is
// read, all of it at once, in an error that matches [eventstore.ErrInvalid]: a
// nil store or registry, no handlers, a handler without a function, a Go type
// that is not registered or has two handlers, a handled name with a version
// that has no handler, a query that cannot be, names none of the handled types,
// or names one as it was named before an upcaster. An event that cannot be decoded ends the fold with an error that names
// its position and type.
func (f *Fold[S]) Run(
	ctx context.Context, store eventstore.Store, registry *codec.Registry, opts *FoldOptions,
) (S, eventstore.Position, error) {
	if opts == nil {
		opts = &FoldOptions{}
	}
	state, through, err := f.run(ctx, store, registry, *opts)
	if err != nil {
		var none S
		return none, 0, fmt.Errorf("fold into %v: %w", reflect.TypeFor[S](), err)
	}
	return state, through, nil
}

func (f *Fold[S]) run(
	ctx context.Context, store eventstore.Store, registry *codec.Registry, opts FoldOptions,
) (S, eventstore.Position, error) {
	var none S
	plan, err := f.plan(store, registry, opts.Query)
	if err != nil {
		return none, 0, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	through, err := window.End(ctx, store, opts.To, opts.AsOf)
	if err != nil {
		return none, 0, err
	}
	state := f.initial()
	if through == 0 {
		return state, 0, nil // as an option of Read, To 0 would be the head
	}
	for stored, err := range store.Read(ctx, plan.selection.Stored, eventstore.ReadOptions{To: through}) {
		if err != nil {
			return none, 0, err
		}
		values, err := plan.vocabulary.Decode(stored)
		if err != nil {
			return none, 0, err
		}
		for _, data := range values {
			if h, taken := plan.handlers.For(data); taken && plan.vocabulary.Asks(plan.selection.Asked, stored, data) {
				state = h.apply(state, stored, data)
			}
		}
	}
	return state, through, nil
}

// plan is a fold that has met a registry.
type plan[S any] struct {
	vocabulary *vocabulary.Vocabulary
	handlers   *vocabulary.Handlers[Handler[S]]
	selection  vocabulary.Selection
}

// plan returns what to read and who handles it, or all that is wrong.
func (f *Fold[S]) plan(store eventstore.Store, registry *codec.Registry, query eventstore.Query) (plan[S], error) {
	var faults []error
	if store == nil {
		faults = append(faults, errors.New("the store is nil"))
	}
	// Nil items are those of the zero Query. Match() without items has some, none of
	// them, and is refused: it was meant to say something.
	if !query.IsAll() && query.Items() == nil {
		query = eventstore.All()
	}
	p := plan[S]{vocabulary: vocabulary.New(registry)}
	var err error
	if p.handlers, err = vocabulary.Resolve(p.vocabulary, f.handlers); err != nil {
		faults = append(faults, err)
	}
	if p.selection, err = p.handlers.Select(query); err != nil {
		faults = append(faults, err)
	}
	if len(faults) == 0 && len(p.selection.Asked.Items()) == 0 {
		faults = append(faults, fmt.Errorf("the query (%v) names none of the handled types %q", query, p.handlers.Names()))
	}
	return p, errors.Join(faults...)
}
