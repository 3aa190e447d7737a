package codec

import (
	"fmt"
	"iter"
	"reflect"
)

// JSON is the name of the codec that payloads are encoded with.
const JSON = "json"

// Registry knows an application's event types. It never changes; it is safe for
// concurrent use by multiple goroutines. Build one with a [Builder].
type Registry struct {
	entries []*entry // in the order of registration
	byType  map[reflect.Type]*entry
	byName  map[string]map[uint32]*entry
	readers map[pair]*reader    // of all that is registered or upcast
	stored  map[string][]string // by registered name, the older names
	first   map[string][]string // by registered name, the oldest names
}

// Encoded is an event value in the form in which a store takes it. It is the
// caller's own.
type Encoded struct {
	// Type and SchemaVersion are the registered name and version.
	Type          string
	SchemaVersion uint32
	// Codec says how Data is encoded: JSON.
	Codec string
	// Data is the payload.
	Data []byte
	// Tags are what the function of [Tags] derived from the value, as it returned
	// them; the store judges them.
	Tags []string
}

// Encode encodes a value of a registered Go type. Another type, a pointer to a
// registered one and nil are an [*UnregisteredTypeError]; a value that JSON
// cannot hold (a NaN, say) is an error that names the registration and wraps
// the cause.
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
	data, err := e.encode(value)
	if err != nil {
		return Encoded{}, fmt.Errorf("encode %v: %w", e.Registration, err)
	}
	encoded = Encoded{Type: e.Name, SchemaVersion: e.Version, Codec: JSON, Data: data}
	if e.tags != nil {
		encoded.Tags = e.tags(value)
	}
	return encoded, nil
}

// All yields the registrations in the order in which they were made. The
// sequence can be ranged over more than once.
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
