package vocabulary

import (
	"errors"
	"fmt"
	"slices"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

// Selection is a query narrowed to the types that have a handler.
type Selection struct {
	// Asked is the query by today's names. It has no items of the query that name
	// only types without a handler, and may have none.
	Asked eventstore.Query
	// Stored is the query by all names under which the same events may be stored. It
	// is the query to read and to guard.
	Stored eventstore.Query
	// Unhandled are the types that the query names and no handler takes.
	Unhandled []string
	// Unasked are the types that have a handler and that no item of the query
	// selects.
	Unasked []string
	// Untagged are the types that an item selects by tags, and that are registered
	// without tags: the item matches no event that the program writes.
	Untagged []string
}

// Select narrows a query to the types that have a handler. The query names types as they are
// registered today; an item without types selects all types that have a handler. Its error
// lists all faults: an invalid query; a type by an older name, which would match old events
// only; a handled name with a version that has no handler, whose events would be left out.
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
		if len(item.Tags) > 0 {
			h.addUntagged(item.Types, &s)
		}
	}
	for _, name := range h.names {
		if !slices.ContainsFunc(asked, func(item eventstore.Item) bool { return slices.Contains(item.Types, name) }) {
			s.Unasked = append(s.Unasked, name)
		}
	}
	s.Asked = eventstore.Match(asked...)
	s.Stored = h.stored(asked)
	if len(asked) > 0 && len(faults) == 0 { // it has more names than q
		if err := eventstore.ValidateRead(s.Stored, eventstore.ReadOptions{}); err != nil {
			faults = append(faults, fmt.Errorf("with all handled types under all their stored names: %w", err))
		}
	}
	return s, errors.Join(faults...)
}

// handled returns those of an item's types that have a handler. It adds the others to
// s.Unhandled, except older names, which are faults.
func (h *Handlers[H]) handled(types []string, s *Selection) (handled []string, fault error) {
	var faults []error
	for _, t := range types {
		if slices.Contains(h.names, t) {
			handled = append(handled, t)
		} else if today := h.today(t); today != "" {
			faults = append(faults, fmt.Errorf("the query names %q, which upcasters make into %q: use that name", t, today))
		} else if !slices.Contains(s.Unhandled, t) {
			s.Unhandled = append(s.Unhandled, t)
		}
	}
	return handled, errors.Join(faults...)
}

// addUntagged adds those of an item's types that are registered without tags, in all their
// versions.
func (h *Handlers[H]) addUntagged(types []string, s *Selection) {
	for _, name := range types {
		tagged := func(r codec.Registration) bool { return r.Name == name && r.Tagged }
		if !slices.ContainsFunc(h.vocabulary.all, tagged) && !slices.Contains(s.Untagged, name) {
			s.Untagged = append(s.Untagged, name)
		}
	}
}

// NoTags returns the fault of a query that asks for a type by tags that it is not given.
func NoTags(name string) error {
	return fmt.Errorf("its query asks by tag for type %q, which is registered without tags, so that none of its events that are written now would match: register it with codec.Tags", name)
}

// today returns the handled name that events of an older name have today; "" if old is a
// name of today, or no event of the handled names is stored under it.
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
		return nil // the vocabulary may be nil
	}
	for _, r := range h.vocabulary.all {
		if _, handled := h.byType[r.Type]; !handled && slices.Contains(h.names, r.Name) {
			faults = append(faults, fmt.Errorf("%q has a handler, but not for its version %d, which is %v", r.Name, r.Version, r.Type))
		}
	}
	return faults
}

// stored returns the query by all stored names for items by today's names.
func (h *Handlers[H]) stored(asked []eventstore.Item) eventstore.Query {
	items := slices.Clone(asked)
	for i := range items {
		items[i].Types = h.vocabulary.registry.StoredNames(items[i].Types...)
	}
	return eventstore.Match(items...)
}
