package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/yore-es/yore/internal/payload"
)

// typeFaults returns the reasons why values of the entry's Go type cannot be events.
func (e *entry) typeFaults() []string {
	switch e.Type.Kind() {
	case reflect.Interface:
		return []string{"an interface cannot be registered, only the types that implement it"}
	case reflect.Pointer:
		return []string{fmt.Sprintf("a pointer cannot be registered; register %v", e.Type.Elem())}
	}
	return payload.Faults(e.Type)
}

var errNull = errors.New("it is null, which is no event")

// decoder returns a function that decodes the payload of an event. Null is an error, not the
// zero event; a type that can hold any JSON is given it.
func decoder[E any](c *payload.Codec[E]) func(data []byte) (E, error) {
	t := reflect.TypeFor[E]()
	holdsNull := t.Kind() == reflect.Interface || t == reflect.TypeFor[json.RawMessage]()
	return func(data []byte) (event E, err error) {
		if isNull(data) && !holdsNull {
			return event, errNull
		}
		return c.Decode(data)
	}
}

func isNull(data []byte) bool { return string(bytes.Trim(data, " \t\r\n")) == "null" }
