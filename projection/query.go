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

// namesAll reports whether a query leaves out nothing. Nil items are those of the
// zero Query. Match() without items has some, none of them, and is refused by
// narrow: it was meant to say something.
func namesAll(q eventstore.Query) bool { return q.IsAll() || q.Items() == nil }

// asks returns whether q asks for what a stored event is today, by its name of
// today.
func asks(q eventstore.Query) func(eventstore.Event, string) bool {
	if namesAll(q) {
		return func(eventstore.Event, string) bool { return true }
	}
	return func(stored eventstore.Event, name string) bool { return q.Matches(stored.Stream, name, stored.Tags) }
}

// narrow returns the query for the events that are stored under one of the names,
// or an older one of it, and match q: each item's types are cut down to the names,
// and an item that loses all of them matches nothing and is left out.
func narrow(q eventstore.Query, names []string, registry *codec.Registry) (eventstore.Query, error) {
	if namesAll(q) {
		return eventstore.Match(eventstore.Item{Types: registry.StoredNames(names...)}), nil
	}
	if err := eventstore.ValidateRead(q, eventstore.ReadOptions{}); err != nil {
		return eventstore.Query{}, err
	}
	if err := oldNames(q, names, registry); err != nil {
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
			item.Types = registry.StoredNames(item.Types...)
			items = append(items, item)
		}
	}
	if len(items) == 0 {
		return eventstore.Query{}, fmt.Errorf("the query (%v) names none of the handled types %q", q, names)
	}
	return eventstore.Match(items...), nil
}

// oldNames reports as an error that the query names types by names that they no
// longer have: it would find the old events, and leave out the new ones.
func oldNames(q eventstore.Query, names []string, registry *codec.Registry) error {
	var faults []error
	for _, item := range q.Items() {
		for _, t := range item.Types {
			if isRegistered(t, registry) {
				continue
			}
			for _, name := range names {
				if slices.Contains(registry.StoredNames(name), t) {
					faults = append(faults, fmt.Errorf("the query names %q, which upcasters make into %q: name that", t, name))
				}
			}
		}
	}
	return errors.Join(faults...)
}

func isRegistered(name string, registry *codec.Registry) bool {
	for r := range registry.All() {
		if r.Name == name {
			return true
		}
	}
	return false
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
