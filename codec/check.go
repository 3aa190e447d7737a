package codec

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// typeFaults returns the reasons why values of the entry's Go type cannot be encoded and
// decoded again. It knows only the type and its zero value.
func (e *entry) typeFaults() []string {
	switch e.Type.Kind() {
	case reflect.Interface:
		return []string{"an interface cannot be registered, only the types that implement it"}
	case reflect.Pointer:
		return []string{fmt.Sprintf("a pointer cannot be registered; register %v", e.Type.Elem())}
	}
	c := checker{seen: make(map[reflect.Type]bool)}
	c.walk(e.Type, e.Type.String())
	if len(c.faults) > 0 {
		return c.faults
	}
	if err := e.probe(); err != nil {
		return []string{err.Error()}
	}
	return nil
}

// probe encodes the zero value and decodes it again. An error of the type's own methods is
// no fault, because the zero value may not be a valid value of the type.
func (e *entry) probe() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its zero value: %w", panicked(p))
		}
	}()
	zero := reflect.New(e.Type)
	data, err := json.Marshal(zero.Interface())
	var own *json.MarshalerError
	if errors.As(err, &own) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("JSON cannot encode its zero value: %w", err)
	}
	back := reflect.New(e.Type)
	err = json.Unmarshal(data, back.Interface())
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return fmt.Errorf("JSON cannot decode the %s that its zero value encodes to: %w", data, err)
	}
	if err != nil {
		return nil
	}
	again, err := json.Marshal(back.Interface())
	if err != nil || !bytes.Equal(data, again) {
		return fmt.Errorf("its zero value does not round trip: %s comes back as %s", data, again)
	}
	return nil
}

// checker looks for parts of a type that encoding/json cannot decode. Unlike the zero
// value it shows the elements of slices and maps, and what pointers point to.
type checker struct {
	seen   map[reflect.Type]bool
	faults []string
}

func (c *checker) faultf(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *checker) walk(t reflect.Type, path string) {
	if c.seen[t] || ownJSON(t) {
		return
	}
	c.seen[t] = true
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		c.faultf("JSON has no %v (%s)", t, path)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			c.faultf("JSON cannot tell which %v to decode (%s)", t, path)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		c.walk(t.Elem(), path)
	case reflect.Map:
		if !mapKey(t.Key()) {
			c.faultf("JSON has no maps with %v keys (%s)", t.Key(), path)
		}
		c.walk(t.Elem(), path)
	case reflect.Struct:
		for i := range t.NumField() {
			c.field(t.Field(i), path)
		}
	}
}

func (c *checker) field(f reflect.StructField, path string) {
	if f.Tag.Get("json") == "-" || f.Name == "_" {
		return
	}
	path += "." + f.Name
	promotes := f.Anonymous && (f.Type.Kind() == reflect.Struct ||
		f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct)
	switch {
	case f.IsExported(), promotes && f.Type.Kind() == reflect.Struct:
		c.walk(f.Type, path)
	case promotes:
		c.faultf("JSON cannot decode into an embedded pointer to an unexported type (%s)", path)
	default:
		c.faultf("an unexported field is not stored; export it or tag it json:\"-\" (%s)", path)
	}
}

// ownJSON reports whether the type has a method that encodes or decodes it.
func ownJSON(t reflect.Type) bool {
	return t.Kind() != reflect.Interface && implements(t,
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]())
}

func mapKey(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return true
	}
	return t.Kind() != reflect.Interface && implements(t, reflect.TypeFor[encoding.TextMarshaler]())
}

// implements reports whether t or a pointer to it implements one of the interfaces.
func implements(t reflect.Type, interfaces ...reflect.Type) bool {
	for _, i := range interfaces {
		if t.Implements(i) || reflect.PointerTo(t).Implements(i) {
			return true
		}
	}
	return false
}
