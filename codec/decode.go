package codec

import (
	"fmt"
	"slices"

	"github.com/yore-es/yore/internal/quote"
)

// DecodeAll decodes a stored event with this name and version, and applies the upcasters.
// It returns one value, none if the event is dropped, or several in order if it is split.
// Each value has a registered Go type; it is not a pointer.
//
// DecodeAll returns no values with an error. It returns an [*UnknownTypeError] for a name
// and version that is neither registered nor upcast. For a codec other than [JSON], data
// that are not one JSON value of the Go type, and an upcaster that fails, it returns an
// error that names the registration or upcaster and wraps the cause. DecodeAll keeps no
// reference to data.
func (r *Registry) DecodeAll(name string, version uint32, codec string, data []byte) ([]any, error) {
	p := pair{name, version}
	reader, ok := r.readers[p]
	if !ok {
		return nil, &UnknownTypeError{Name: name, Version: version, Known: r.versions(name)}
	}
	e := r.byName[name][version] // nil if it is upcast
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

// Decode is like [Registry.DecodeAll] for exactly one value. An event that is dropped, or
// split into several, is an error.
func (r *Registry) Decode(name string, version uint32, codec string, data []byte) (any, error) {
	values, err := r.DecodeAll(name, version, codec, data)
	if err != nil {
		return nil, err
	}
	if len(values) != 1 {
		return nil, fmt.Errorf("decode %v: the upcasters make %d events of it, expected 1; use DecodeAll", pair{name, version}, len(values))
	}
	return values[0], nil
}

// StoredNames returns all names under which events of these registered names may be
// stored: the names themselves, and then the names that upcasters convert to them, each
// once. To find events by registered names, query a store for their StoredNames, decode
// the events, and filter again: an event under one of these names may decode to an event
// of another name.
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

// FirstNames returns those of the StoredNames that no upcaster makes, sorted, each once.
// They identify a selection of events across renames: a [Rename] does not change them,
// but an upcaster that converts other events to these does.
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
