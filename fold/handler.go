package fold

import "reflect"

// Handler folds the events of one Go type into an S. Make one with [On] or
// [OnEvent]; the zero Handler has no function, and is a fault where it is used.
type Handler[S any] struct {
	event reflect.Type // nil for one without a function
	apply func(S, Event[any]) S
}

// On returns a handler for the events of the Go type E, and for older events that
// the registry's upcasters make into an E. An interface stands for all registered
// types that implement it, so one function with a switch can take them all. A type
// with a handler of its own and one by an interface has two handlers, which is a fault.
//
// The handler may change the S it is given and return it. It must not change the
// event, which other handlers may be given too. It cannot fail, because the event has
// happened: an event that makes no sense is part of the answer, in S.
func On[S, E any](evolve func(S, E) S) Handler[S] {
	if evolve == nil {
		return Handler[S]{}
	}
	return Handler[S]{
		event: reflect.TypeFor[E](),
		apply: func(state S, e Event[any]) S { return evolve(state, e.Data.(E)) },
	}
}

// OnEvent is [On] for a handler that looks at what is stored with the event: its
// position, its time, its stream, its actor.
func OnEvent[S, E any](evolve func(S, Event[E]) S) Handler[S] {
	if evolve == nil {
		return Handler[S]{}
	}
	return Handler[S]{
		event: reflect.TypeFor[E](),
		apply: func(state S, e Event[any]) S {
			return evolve(state, Event[E]{Event: e.Event, Data: e.Data.(E)})
		},
	}
}

// Type returns the Go type of the events that the handler takes, E; nil for the zero
// Handler.
func (h Handler[S]) Type() reflect.Type { return h.event }

// Apply returns the state after the event, for folds over events that do not come from
// a store. The event's Data must be an E; Apply panics for any other Data, and for the
// zero Handler.
func (h Handler[S]) Apply(state S, e Event[any]) S { return h.apply(state, e) }
