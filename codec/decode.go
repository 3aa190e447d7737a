package codec

import (
	"fmt"
	"slices"

	"github.com/yore-es/yore/internal/quote"
)

// DecodeAll decodes what was stored under this name and version into today's
// values: one, none if the event was dropped, several if it was split, in their
// order. Each has a registered Go type and is no pointer to it.
//
// A name or version that is neither registered nor upcast is an
// [*UnknownTypeError]. Another codec than [JSON], data that are not one JSON value
// of the type's shape, and an upcaster that fails, are errors that name the
// registration or upcaster and wrap the cause; then there are no values.
// DecodeAll keeps no reference to data.
func (r *Registry) DecodeAll(name string, version uint32, codec string, data []byte) ([]any, error) {
	p := pair{name, version}
	reader, ok := r.readers[p]
	if !ok {
		return nil, &UnknownTypeError{Name: name, Version: version, Known: r.versions(name)}
	}
	e := r.byName[name][version] // nil for what is upcast
	switch {
	case codec == JSON:
	case e != nil:
		return nil, fmt.Errorf("decode %v: the codec is %s, only %q is known", e.Registration, quote.Name(codec), JSON)
	default:
		return nil, fmt.Errorf("decode %v: the codec is %s, only %q is known", p, quote.Name(codec), JSON)
	}
	values, err := reader.data(data, nil)
	if err != nil && e == nil {
		err = fmt.Errorf("decode %v: %w", p, err)
	}
	return values, err
}

// Decode is [Registry.DecodeAll] for who wants exactly one value: an event that
// was dropped, or split into another number, is an error that says so.
func (r *Registry) Decode(name string, version uint32, codec string, data []byte) (any, error) {
	values, err := r.DecodeAll(name, version, codec, data)
	if err != nil {
		return nil, err
	}
	if len(values) != 1 {
		return nil, fmt.Errorf("decode %v: the upcasters make %d events of it, and one is wanted (DecodeAll)", pair{name, version}, len(values))
	}
	return values[0], nil
}

// StoredNames returns the names under which events may be stored that are, or by
// upcasting become, events of these registered names, each once, the given ones
// first. Who queries a store for events by their names asks for these, decodes
// what comes, and leaves out what is of other names: not every event that is
// stored under one of them need become one that was asked for.
func (r *Registry) StoredNames(names ...string) []string {
	var all []string
	for _, name := range names {
		all = appendOnce(all, name)
	}
	for _, name := range names {
		for _, older := range r.stored[name] {
			all = appendOnce(all, older)
		}
	}
	return all
}

// FirstNames returns, of the StoredNames, those under which the events were
// stored first: before any upcaster, sorted, each once. They tell which events
// are meant in a way that a [Rename] does not change, and that changes when
// events of another kind are made into these.
func (r *Registry) FirstNames(names ...string) []string {
	var all []string
	for _, name := range names {
		first, registered := r.first[name]
		if !registered {
			first = []string{name}
		}
		all = append(all, first...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// versions returns the versions of a name that can be decoded, ascending.
func (r *Registry) versions(name string) []uint32 {
	var versions []uint32
	for p := range r.readers {
		if p.name == name {
			versions = append(versions, p.version)
		}
	}
	slices.Sort(versions)
	return versions
}
