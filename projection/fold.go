package projection

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
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
	through, err := end(ctx, store, opts)
	if err != nil {
		return none, 0, err
	}
	state := f.initial()
	if through == 0 {
		return state, 0, nil // as an option of Read, To 0 would be the head
	}
	for stored, err := range store.Read(ctx, plan.query, eventstore.ReadOptions{To: through}) {
		if err != nil {
			return none, 0, err
		}
		values, err := registry.DecodeAll(stored.Type, stored.SchemaVersion, stored.Codec, stored.Data)
		if err != nil {
			return none, 0, fmt.Errorf("position %d: %w", stored.Position, err)
		}
		for _, data := range values {
			if apply := plan.handler(stored, data); apply != nil {
				state = apply(state, stored, data)
			}
		}
	}
	return state, through, nil
}

// end returns the last position within the bounds.
func end(ctx context.Context, store eventstore.Store, opts FoldOptions) (eventstore.Position, error) {
	through, err := store.Head(ctx)
	if err != nil {
		return 0, err
	}
	if opts.To > 0 {
		through = min(through, opts.To)
	}
	if opts.AsOf.IsZero() || through == 0 {
		return through, nil
	}
	// Recorded never decreases along the log: the last event of that time ends it.
	last := eventstore.ReadOptions{To: through, AsOf: opts.AsOf, Backward: true, Limit: 1}
	for stored, err := range store.Read(ctx, eventstore.All(), last) {
		return stored.Position, err
	}
	return 0, nil
}

// plan is a fold that has met a registry.
type plan[S any] struct {
	query    eventstore.Query // for the store, in stored names
	handlers map[reflect.Type]Handler[S]
	asked    func(stored eventstore.Event, name string) bool // what the options ask for
	names    map[reflect.Type]string
}

// handler returns what is to be done with one of the values that a stored event
// is today; nil if there is no handler or the value was not asked for.
func (p *plan[S]) handler(stored eventstore.Event, data any) func(S, eventstore.Event, any) S {
	t := reflect.TypeOf(data)
	h, handled := p.handlers[t]
	if !handled || !p.asked(stored, p.names[t]) {
		return nil
	}
	return h.apply
}

// plan returns what to read and who handles it, or all that is wrong.
func (f *Fold[S]) plan(store eventstore.Store, registry *codec.Registry, query eventstore.Query) (plan[S], error) {
	var faults []error
	if store == nil {
		faults = append(faults, errors.New("the store is nil"))
	}
	handlers, err := f.byType()
	if err != nil {
		faults = append(faults, err)
	}
	var names []string
	if registry == nil {
		faults = append(faults, errors.New("the registry is nil"))
	} else if names, err = handledNames(handlers, registry); err != nil {
		faults = append(faults, err)
	}
	p := plan[S]{handlers: handlers, asked: asks(query), names: make(map[reflect.Type]string)}
	if len(faults) == 0 {
		for r := range registry.All() {
			p.names[r.Type] = r.Name
		}
		if p.query, err = narrow(query, names, registry); err != nil {
			faults = append(faults, err)
		}
	}
	return p, errors.Join(faults...)
}

// byType returns the handlers by the Go type they handle.
func (f *Fold[S]) byType() (map[reflect.Type]Handler[S], error) {
	var faults []error
	handlers := make(map[reflect.Type]Handler[S], len(f.handlers))
	for i, h := range f.handlers {
		if h.event == nil {
			faults = append(faults, fmt.Errorf("handler %d has no function", i))
			continue
		}
		if _, twice := handlers[h.event]; twice {
			faults = append(faults, fmt.Errorf("%v has two handlers", h.event))
		}
		handlers[h.event] = h
	}
	if len(f.handlers) == 0 {
		faults = append(faults, errors.New("the fold has no handlers"))
	}
	return handlers, errors.Join(faults...)
}
