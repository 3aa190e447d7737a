package codec

import (
	"fmt"
	"reflect"

	"github.com/yore-es/yore/internal/quote"
)

// UnknownTypeError reports an event whose name and version are neither registered nor
// upcast.
type UnknownTypeError struct {
	// Name and Version are those of the event.
	Name    string
	Version uint32
	// Known are the versions of Name that are registered or upcast, in ascending order.
	// It is empty for an unknown name.
	Known []uint32
}

// Error implements error.
func (e *UnknownTypeError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("unknown event type %s (version %d): the name is not registered", quote.Name(e.Name), e.Version)
	}
	return fmt.Sprintf("unknown version %d of event type %s: known are %v", e.Version, quote.Name(e.Name), e.Known)
}

// UnregisteredTypeError reports a value whose Go type is not registered.
type UnregisteredTypeError struct {
	// Type is the Go type of the value, or nil for a nil value.
	Type reflect.Type
	// Pointer is true if Type is a pointer to a registered type.
	Pointer bool
}

// Error implements error.
func (e *UnregisteredTypeError) Error() string {
	switch {
	case e.Type == nil:
		return "nil is not an event"
	case e.Pointer:
		return fmt.Sprintf("Go type %v is not registered, but %v is: pass the value, not a pointer", e.Type, e.Type.Elem())
	default:
		return fmt.Sprintf("Go type %v is not registered (codec.Register)", e.Type)
	}
}

// ChangedError reports a value that cannot be stored, because it would be read back as another
// one: text that is not UTF-8, for instance, which JSON replaces.
type ChangedError struct {
	Registration
	// Part is the part of the value that would change, such as ".Lines[2].Name"; "" if it
	// is the whole value.
	Part string

	err error // what it is, what it would be read as, and the rule
}

// Error implements error.
func (e *ChangedError) Error() string { return fmt.Sprintf("encode %v: %v", e.Registration, e.err) }

// panicked returns an error for the value of a panic in the application's code.
func panicked(value any) error {
	if err, ok := value.(error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic: %v", value)
}
