package codec

import (
	"fmt"
	"reflect"

	"github.com/yore-es/yore/internal/quote"
)

// UnknownTypeError says that an event has a name, or a version of a name, that
// is neither registered nor upcast.
type UnknownTypeError struct {
	// Name and Version are the event's.
	Name    string
	Version uint32
	// Known are the versions of Name that are registered or upcast, ascending;
	// none when the name itself is unknown.
	Known []uint32
}

// Error says all that the fields say.
func (e *UnknownTypeError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("unknown event type %s (version %d): the name is not registered", quote.Name(e.Name), e.Version)
	}
	return fmt.Sprintf("unknown version %d of event type %s: known are %v", e.Version, quote.Name(e.Name), e.Known)
}

// UnregisteredTypeError says that a value has a Go type that is not registered.
type UnregisteredTypeError struct {
	// Type is the value's; nil for a nil value.
	Type reflect.Type
	// Pointer says that Type is a pointer to a registered type.
	Pointer bool
}

// Error says all that the fields say.
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

// panicked makes an error of what the application's own code panicked with.
func panicked(value any) error {
	if err, ok := value.(error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic: %v", value)
}
