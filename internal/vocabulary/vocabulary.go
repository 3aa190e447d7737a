// Package vocabulary says which stored events typed handlers take. It is the one
// core of every package that is given handlers by the Go type of their event:
// package fold, the models of package aggregate, the handlers of package projection.
//
// A [Vocabulary] is what a registry says about names and Go types. [Resolve] gives
// a list of handlers a vocabulary, or says all that is wrong with them, and
// [Handlers.Select] turns a query into what is to be read:
//
//	v := vocabulary.New(registry)
//	handlers, err := vocabulary.Resolve(v, list)
//	selection, err := handlers.Select(query)
//	for stored, err := range store.Read(ctx, selection.Stored, eventstore.ReadOptions{}) {
//		values, err := v.Decode(stored)
//		for _, value := range values {
//			if handler, taken := handlers.For(value); taken && v.Asks(selection.Asked, stored, value) {
//				…
//			}
//		}
//	}
//
// An event type that is an interface stands for all registered types that
// implement it. An event that upcasters make into a type is taken by the handler of
// that type: so the store is asked for all names under which such events may be
// stored, and what comes is matched again, by the names of today.
package vocabulary

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

// Vocabulary is what a registry says about names and Go types. It never changes;
// it is safe for concurrent use by multiple goroutines.
type Vocabulary struct {
	registry *codec.Registry
	all      []codec.Registration // in their order
	names    map[reflect.Type]string
}

// New returns the vocabulary of a registry; nil for a nil registry, which [Resolve]
// reports.
func New(registry *codec.Registry) *Vocabulary {
	if registry == nil {
		return nil
	}
	v := &Vocabulary{registry: registry, names: make(map[reflect.Type]string)}
	for r := range registry.All() {
		v.all = append(v.all, r)
		v.names[r.Type] = r.Name
	}
	return v
}

// Types returns the registered types that an event type stands for: itself, or
// those that implement it, at least one. It is an error if there are none; that of
// a type which is no interface matches [*codec.UnregisteredTypeError].
func (v *Vocabulary) Types(event reflect.Type) ([]reflect.Type, error) {
	if event.Kind() != reflect.Interface {
		if _, registered := v.names[event]; registered {
			return []reflect.Type{event}, nil
		}
		err := &codec.UnregisteredTypeError{Type: event}
		if event.Kind() == reflect.Pointer {
			_, err.Pointer = v.names[event.Elem()]
		}
		return nil, err
	}
	var types []reflect.Type
	hint := ""
	for _, r := range v.all {
		if r.Type.Implements(event) {
			types = append(types, r.Type)
		} else if reflect.PointerTo(r.Type).Implements(event) {
			hint = fmt.Sprintf(" (%v does as a pointer only: give its methods value receivers)", r.Type)
		}
	}
	if len(types) == 0 {
		return nil, errors.New("no registered type implements it" + hint)
	}
	return types, nil
}

// Decode returns what a stored event is today, each a value of a registered type.
// Its error names the position and wraps that of the registry.
func (v *Vocabulary) Decode(stored eventstore.Event) ([]any, error) {
	values, err := v.registry.DecodeAll(stored.Type, stored.SchemaVersion, stored.Codec, stored.Data)
	if err != nil {
		return nil, fmt.Errorf("position %d: %w", stored.Position, err)
	}
	return values, nil
}

// Asks reports whether a query by today's names asks for a value that a stored
// event is today. A stored name may have become another one, or several: only
// today's says what a value is.
func (v *Vocabulary) Asks(asked eventstore.Query, stored eventstore.Event, value any) bool {
	return asked.Matches(stored.Stream, v.names[reflect.TypeOf(value)], stored.Tags)
}
