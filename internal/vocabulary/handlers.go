package vocabulary

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Handler is a handler of the events of one Go type.
type Handler interface {
	// Type returns the Go type of the events, which may be an interface. It is nil
	// for a handler without a function.
	Type() reflect.Type
}

// Handlers are handlers resolved against a vocabulary. They never change; they are safe for
// concurrent use by multiple goroutines if the handlers are.
type Handlers[H Handler] struct {
	vocabulary *Vocabulary
	byType     map[reflect.Type]H
	names      []string // today's names, in the order of the registry
}

// Resolve resolves handlers against a vocabulary. Its error lists all faults: a nil
// vocabulary, no handlers, a handler without a function, an event type that is not
// registered or that no registered type implements, a type with two handlers.
func Resolve[H Handler](v *Vocabulary, list []H) (*Handlers[H], error) {
	h := &Handlers[H]{vocabulary: v, byType: make(map[reflect.Type]H)}
	var faults []error
	if v == nil {
		faults = append(faults, errors.New("the registry is nil"))
	}
	if len(list) == 0 {
		faults = append(faults, errors.New("it has no handlers"))
	}
	for i, handler := range list {
		switch {
		case handler.Type() == nil:
			faults = append(faults, fmt.Errorf("handler %d has no function", i))
		case v != nil:
			faults = append(faults, h.add(handler)...)
		}
	}
	if v != nil {
		for _, r := range v.all {
			if _, handled := h.byType[r.Type]; handled && !slices.Contains(h.names, r.Name) {
				h.names = append(h.names, r.Name)
			}
		}
	}
	return h, errors.Join(faults...)
}

// add adds a handler for the types that it stands for.
func (h *Handlers[H]) add(handler H) (faults []error) {
	types, err := h.vocabulary.Types(handler.Type())
	if err != nil {
		return []error{fmt.Errorf("%v has a handler: %w", handler.Type(), err)}
	}
	for _, t := range types {
		other, twice := h.byType[t]
		switch {
		case twice && other.Type() == handler.Type():
			faults = append(faults, fmt.Errorf("%v has two handlers", t))
		case twice:
			faults = append(faults, fmt.Errorf("%v has two handlers, one of %v and one of %v", t, other.Type(), handler.Type()))
		}
		h.byType[t] = handler
	}
	return faults
}

// For returns the handler that takes a decoded value, and whether there is one.
func (h *Handlers[H]) For(value any) (handler H, taken bool) {
	handler, taken = h.byType[reflect.TypeOf(value)]
	return handler, taken
}

// Names returns today's names of the types that have a handler, each once. The caller must
// not change the slice.
func (h *Handlers[H]) Names() []string { return h.names }
