// Package vocabulary finds the stored events that typed handlers take. It is the common core
// of the packages that have handlers by the Go type of their event: fold, aggregate, for its
// models, and projection.
//
// A [Vocabulary] is the names and Go types of a registry. [Resolve] resolves handlers
// against it, [Handlers.Select] turns a query into the one to read, and [LastPosition] finds
// the end of the log as of a position or a time:
//
//	v := vocabulary.New(registry)
//	handlers, err := vocabulary.Resolve(v, list)
//	selection, err := handlers.Select(query)
//	through, err := vocabulary.LastPosition(ctx, store, to, asOf)
//	for stored, err := range store.Read(ctx, selection.Stored, eventstore.ReadOptions{To: through}) {
//		values, err := v.Decode(stored)
//		for _, value := range values {
//			if handler, taken := handlers.For(value); taken && v.Asks(selection.Asked, stored, value) {
//				…
//			}
//		}
//	}
//
// An event type that is an interface stands for all registered types that implement it. An
// event that upcasters make into a type is taken by the handler of that type. So the store
// is asked for all names under which events of the type may be stored, and the decoded
// values are matched again, by today's names.
package vocabulary

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

// Vocabulary is the names and Go types of a registry. It never changes; it is safe for
// concurrent use by multiple goroutines.
type Vocabulary struct {
	registry *codec.Registry
	all      []codec.Registration // in the order of the registry
	names    map[reflect.Type]string
}

// New returns the vocabulary of a registry. For a nil registry it returns nil, which is a
// fault in [Resolve].
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

// Types returns the registered types that an event type stands for, at least one: the type
// itself, or those that implement it. It is an error if there are none: for a type that is no
// interface, a [*codec.UnregisteredTypeError].
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

// Decode returns the values that a stored event is decoded into, each of a registered type.
// Its error names the position and wraps that of the registry.
func (v *Vocabulary) Decode(stored eventstore.Event) ([]any, error) {
	values, err := v.registry.DecodeAll(stored.Type, stored.SchemaVersion, stored.Codec, stored.Data)
	if err != nil {
		return nil, fmt.Errorf("position %d: %w", stored.Position, err)
	}
	return values, nil
}

// Asks reports whether a query by today's names matches a value that a stored event was
// decoded into. The stored name is not matched, since upcasters may have made the event into
// values of other names.
func (v *Vocabulary) Asks(asked eventstore.Query, stored eventstore.Event, value any) bool {
	return asked.Matches(stored.Stream, v.names[reflect.TypeOf(value)], stored.Tags)
}
