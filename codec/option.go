package codec

import (
	"fmt"
	"reflect"
)

// RegisterOption is an option of [Register]. [Tags] returns one. The zero RegisterOption
// has no effect.
type RegisterOption struct {
	takes  reflect.Type // nil for the zero RegisterOption
	derive func(value any) []string
}

// Tags returns the option to store each value with the tags that derive returns. Without
// it values have no tags. E must be the registered Go type, derive must not be nil, and a
// registration may have one Tags; otherwise [Builder.Build] reports a fault.
//
// Derive must be safe for concurrent use by multiple goroutines and must depend on its
// argument only. The codec does not check the tags; the store does.
func Tags[E any](derive func(E) []string) RegisterOption {
	o := RegisterOption{takes: reflect.TypeFor[E]()}
	if derive != nil {
		o.derive = func(value any) []string { return derive(value.(E)) }
	}
	return o
}

// apply sets the option in the entry, or adds its fault.
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
