package codec

import (
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/yore-es/yore/internal/payload"
)

// JSON is the name of the codec.
const JSON = "json"

// Registry has the event types of an application and their upcasters. Build one with a
// [Builder]. It never changes; it is safe for concurrent use by multiple goroutines.
type Registry struct {
	entries []*entry // in the order of registration
	byType  map[reflect.Type]*entry
	byName  map[string]map[uint32]*entry
	readers map[pair]*reader    // of all pairs that are registered or upcast
	stored  map[string][]string // by registered name, the older names
	first   map[string][]string // by registered name, the oldest names
}

// Encoded is an encoded event, as a store accepts it. It belongs to the caller.
type Encoded struct {
	// Type and SchemaVersion are the registered name and version.
	Type          string
	SchemaVersion uint32
	// Codec is JSON.
	Codec string
	// Data is the payload.
	Data []byte
	// Tags are the tags that the function of [Tags] returned for Value, unchecked. The
	// store checks them.
	Tags []string
	// Value is the value as Data is decoded. It shares no memory with the value that was
	// encoded; fields that are not stored are zero in it.
	Value any
}

// Encode encodes a value of a registered Go type. It returns an [*UnregisteredTypeError]
// for a value of another type, a pointer to a registered type, and nil. For a value that
// JSON cannot encode, such as a NaN, and for one that could not be read back, it returns an
// error that names the registration and wraps the cause. A value that would be read back as
// another one, such as text that is not UTF-8, is a [*ChangedError].
func (r *Registry) Encode(value any) (encoded Encoded, err error) {
	t := reflect.TypeOf(value)
	e, ok := r.byType[t]
	if !ok {
		return Encoded{}, r.unregistered(t)
	}
	defer func() {
		if p := recover(); p != nil {
			encoded, err = Encoded{}, fmt.Errorf("encode %v: %w", e.Registration, panicked(p))
		}
	}()
	data, read, err := e.encode(value)
	var changed *payload.Change
	if errors.As(err, &changed) {
		return Encoded{}, &ChangedError{Registration: e.Registration, Part: changed.Path, err: changed}
	}
	if err != nil {
		return Encoded{}, fmt.Errorf("encode %v: %w", e.Registration, err)
	}
	encoded = Encoded{Type: e.Name, SchemaVersion: e.Version, Codec: JSON, Data: data, Value: read}
	if e.tags != nil {
		encoded.Tags = e.tags(read)
	}
	return encoded, nil
}

// All yields the registrations in the order of their Register calls. The sequence can be
// ranged over more than once.
func (r *Registry) All() iter.Seq[Registration] {
	return func(yield func(Registration) bool) {
		for _, e := range r.entries {
			if !yield(e.Registration) {
				return
			}
		}
	}
}

func (r *Registry) unregistered(t reflect.Type) error {
	err := &UnregisteredTypeError{Type: t}
	if t != nil && t.Kind() == reflect.Pointer {
		_, err.Pointer = r.byType[t.Elem()]
	}
	return err
}
