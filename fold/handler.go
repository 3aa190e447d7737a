package fold

import "reflect"

// Handler folds the events of one Go type into an S. Make one with [On] or [OnEvent]. The
// zero Handler has no function, which is a fault where it is used.
type Handler[S any] struct {
	event reflect.Type // nil for a handler without a function
	apply func(S, Event[any]) S
}

// On returns a handler for the events of the Go type E, and for older events that the
// registry's upcasters make into an E. An interface stands for all registered types that
// implement it, so one function with a switch can take all of them. It is a fault if a type
// has two handlers, also if one of them is of an interface.
//
// The handler may change the S that it is given and return it. It must not change the event,
// because other handlers may be given it, too. It cannot fail, because the event has
// happened: if an event makes no sense, the S can say so.
func On[S, E any](evolve func(S, E) S) Handler[S] {
	if evolve == nil {
		return Handler[S]{}
	}
	return Handler[S]{
		event: reflect.TypeFor[E](),
		apply: func(state S, e Event[any]) S { return evolve(state, e.Data.(E)) },
	}
}

// OnEvent is [On] for a handler that needs what is stored with the event, such as its
// position, time, stream or actor.
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

// Type returns the Go type of the events that the handler takes, E. It is nil for the zero
// Handler.
func (h Handler[S]) Type() reflect.Type { return h.event }

// Apply returns the state after the event. It is for folds over events that do not come from
// a store. The event's Data must be an E: Apply panics for any other Data, and so does the
// zero Handler.
func (h Handler[S]) Apply(state S, e Event[any]) S { return h.apply(state, e) }
