package vocabulary

import (
	"errors"
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
)

// Selection is a query narrowed to the types that have a handler.
type Selection struct {
	// Asked is the query by the names of today. An item that named only types
	// without a handler is left out: without items, nothing is asked for.
	Asked eventstore.Query
	// Stored is the query by all names under which the same may be stored: what
	// to read, and to guard.
	Stored eventstore.Query
	// Unhandled are the types that the query names and no handler takes.
	Unhandled []string
	// Unasked are the types that have a handler and that no item of the query
	// asks for.
	Unasked []string
}

// Select narrows a query to the types that have a handler. The query names types as
// they are registered today; an item that names no types asks for all of these. Its
// error is all that is wrong: a query that cannot be; a type under a name that it no
// longer has, which would find the old events and leave out the new ones; a handled
// name with a version that has no handler, whose events would be left out.
func (h *Handlers[H]) Select(q eventstore.Query) (Selection, error) {
	faults := h.versions()
	if err := eventstore.ValidateRead(q, eventstore.ReadOptions{}); err != nil {
		faults = append(faults, err)
	}
	if len(h.names) == 0 || len(faults) > 0 {
		return Selection{}, errors.Join(faults...)
	}
	items := q.Items()
	if q.IsAll() {
		items = []eventstore.Item{{}}
	}
	var s Selection
	var asked []eventstore.Item
	for _, item := range items {
		if len(item.Types) == 0 {
			item.Types = h.names
		} else {
			var err error
			if item.Types, err = h.handled(item.Types, &s); err != nil {
				faults = append(faults, err)
			}
		}
		if len(item.Types) > 0 {
			asked = append(asked, item)
		}
	}
	for _, name := range h.names {
		if !slices.ContainsFunc(asked, func(item eventstore.Item) bool { return slices.Contains(item.Types, name) }) {
			s.Unasked = append(s.Unasked, name)
		}
	}
	s.Asked = eventstore.Match(asked...)
	s.Stored = h.stored(asked)
	return s, errors.Join(faults...)
}

// handled returns those of an item's types that have a handler. Of the others, those
// that are names of the past are faults.
func (h *Handlers[H]) handled(types []string, s *Selection) (handled []string, fault error) {
	var faults []error
	for _, t := range types {
		if slices.Contains(h.names, t) {
			handled = append(handled, t)
		} else if today := h.today(t); today != "" {
			faults = append(faults, fmt.Errorf("the query names %q, which upcasters make into %q: name that", t, today))
		} else if !slices.Contains(s.Unhandled, t) {
			s.Unhandled = append(s.Unhandled, t)
		}
	}
	return handled, errors.Join(faults...)
}

// today returns the handled name that events of a name of the past have today; ""
// if the name is one of today, or none of them.
func (h *Handlers[H]) today(old string) string {
	for _, r := range h.vocabulary.all {
		if r.Name == old {
			return ""
		}
	}
	for _, name := range h.names {
		if slices.Contains(h.vocabulary.registry.StoredNames(name), old) {
			return name
		}
	}
	return ""
}

// versions returns a fault for each version of a handled name that has no handler.
func (h *Handlers[H]) versions() (faults []error) {
	if len(h.names) == 0 {
		return nil // and perhaps no vocabulary
	}
	for _, r := range h.vocabulary.all {
		if _, handled := h.byType[r.Type]; !handled && slices.Contains(h.names, r.Name) {
			faults = append(faults, fmt.Errorf("%q has a handler, but not for its version %d, which is %v", r.Name, r.Version, r.Type))
		}
	}
	return faults
}

// stored returns the query for what the items ask for by names of today.
func (h *Handlers[H]) stored(asked []eventstore.Item) eventstore.Query {
	items := slices.Clone(asked)
	for i := range items {
		items[i].Types = h.vocabulary.registry.StoredNames(items[i].Types...)
	}
	return eventstore.Match(items...)
}
