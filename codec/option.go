package codec

import (
	"fmt"
	"reflect"
)

// RegisterOption says more about a registration than its name, version and Go
// type do. [Tags] makes one; the zero RegisterOption says nothing.
type RegisterOption struct {
	takes  reflect.Type // nil for the zero RegisterOption
	derive func(value any) []string
}

// Tags says which tags each value is stored with; without it a value has none.
// E is the Go type that is registered, derive is not nil, and a registration has
// one Tags: anything else is a fault that [Builder.Build] reports.
//
// Derive must be safe for concurrent use by multiple goroutines and depend on its
// argument only. The store judges the tags, not the codec.
func Tags[E any](derive func(E) []string) RegisterOption {
	o := RegisterOption{takes: reflect.TypeFor[E]()}
	if derive != nil {
		o.derive = func(value any) []string { return derive(value.(E)) }
	}
	return o
}

// apply puts what the option says into the entry, or what is wrong with it.
func (o RegisterOption) apply(e *entry) {
	if o.takes == nil {
		return
	}
	switch {
	case o.takes != e.Type:
		e.faults = append(e.faults, fmt.Sprintf("its Tags take a %v", o.takes))
	case o.derive == nil:
		e.faults = append(e.faults, "its Tags have no function")
	case e.tags != nil:
		e.faults = append(e.faults, "it has two Tags")
	default:
		e.tags = o.derive
	}
}
