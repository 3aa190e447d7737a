package projection

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

// handledNames returns the stored names of the handled Go types, sorted, each
// once. That a type has no name, or that a name has a version without a
// handler, is an error.
func handledNames[H any](handlers map[reflect.Type]H, registry *codec.Registry) ([]string, error) {
	var faults []error
	var names []string
	registered := make(map[reflect.Type]bool)
	for r := range registry.All() {
		registered[r.Type] = true
		if _, handled := handlers[r.Type]; handled {
			names = append(names, r.Name)
		}
	}
	for t := range handlers {
		if !registered[t] {
			faults = append(faults, unregistered(t, registered))
		}
	}
	for r := range registry.All() {
		if _, handled := handlers[r.Type]; !handled && slices.Contains(names, r.Name) {
			faults = append(faults, fmt.Errorf("%q has a handler, but not for its version %d, which is %v", r.Name, r.Version, r.Type))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), errors.Join(faults...)
}

func unregistered(t reflect.Type, registered map[reflect.Type]bool) error {
	switch {
	case t.Kind() == reflect.Pointer && registered[t.Elem()]:
		return fmt.Errorf("%v has a handler but is not registered; %v is: handle the value", t, t.Elem())
	case t.Kind() == reflect.Interface:
		return fmt.Errorf("%v has a handler but is an interface: handle the types that implement it, one by one", t)
	default:
		return fmt.Errorf("%v has a handler but is not registered", t)
	}
}

// narrow returns the query for the events that have one of the names and match
// q: each item's types are cut down to the names, and an item that loses all of
// them matches nothing and is left out.
func narrow(q eventstore.Query, names []string) (eventstore.Query, error) {
	// Nil items are those of the zero Query. Match() without items has some,
	// none of them, and is refused below: it was meant to say something.
	if q.IsAll() || q.Items() == nil {
		return eventstore.Match(eventstore.Item{Types: names}), nil
	}
	if err := eventstore.ValidateRead(q, eventstore.ReadOptions{}); err != nil {
		return eventstore.Query{}, err
	}
	var items []eventstore.Item
	for _, item := range q.Items() {
		if len(item.Types) == 0 {
			item.Types = names
		} else {
			item.Types = intersection(item.Types, names)
		}
		if len(item.Types) > 0 {
			items = append(items, item)
		}
	}
	if len(items) == 0 {
		return eventstore.Query{}, fmt.Errorf("the query (%v) names none of the handled types %q", q, names)
	}
	return eventstore.Match(items...), nil
}

// intersection returns the types that are among the names.
func intersection(types, names []string) []string {
	var both []string
	for _, t := range types {
		if slices.Contains(names, t) {
			both = append(both, t)
		}
	}
	return both
}
