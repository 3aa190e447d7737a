package payload

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Faults returns the reasons why values of a type cannot be written and read back, each with
// the part of the type that it is about. It knows the type only: values may have faults
// besides.
func Faults(t reflect.Type) []string {
	faults := newChecker(both).check(t)
	if len(faults) == 0 {
		if err := probeZero(t); err != nil {
			return []string{err.Error()}
		}
	}
	return faults
}

// DecodeFaults returns the reasons why values of a type cannot be read. It is for types that
// are never written.
func DecodeFaults(t reflect.Type) []string { return newChecker(reading).check(t) }

// direction is what a type is checked for.
type direction int

const (
	both direction = iota
	reading
	writing // of a value in an any, which is decoded into other types
)

// checker looks for parts of a type that encoding/json leaves out or cannot decode.
type checker struct {
	direction direction
	seen      map[place]bool
	faults    []string
}

// place is a type where its values are, or are not, addressable.
type place struct {
	t           reflect.Type
	addressable bool
}

func newChecker(d direction) *checker { return &checker{direction: d, seen: make(map[place]bool)} }

func (c *checker) check(t reflect.Type) []string {
	c.walk(t, t.String(), c.direction != writing)
	return c.faults
}

func (c *checker) faultf(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *checker) walk(t reflect.Type, path string, addressable bool) {
	at := place{t, addressable}
	if c.seen[at] {
		return
	}
	c.seen[at] = true
	if c.ownForm(t, path, addressable) {
		return
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		c.faultf("JSON has no %v (%s)", t, path)
	case reflect.Interface:
		if t.NumMethod() > 0 && c.direction != writing {
			c.faultf("JSON cannot tell which %v to decode (%s)", t, path)
		}
	case reflect.Pointer, reflect.Slice:
		c.walk(t.Elem(), path, true)
	case reflect.Array:
		c.walk(t.Elem(), path, addressable)
	case reflect.Map:
		c.key(t.Key(), path)
		c.walk(t.Elem(), path, false)
	case reflect.Struct:
		fields := c.fields(t, path, addressable)
		c.collisions(fields)
		for _, f := range fields {
			c.walk(f.Type, f.path, f.addressable)
		}
	}
}

// ownForm reports whether the type is written and read by its own methods, so that its kind
// does not matter, and checks that these belong together.
func (c *checker) ownForm(t reflect.Type, path string, addressable bool) bool {
	enc, dec := encoded(t, addressable), decoded(t)
	if t.Kind() == reflect.Pointer {
		return false // the type that it points to is checked
	}
	if c.direction == reading {
		return dec != byKind && !c.swallows(t, path, byKind, dec)
	}
	if c.direction == writing {
		return enc != byKind && !c.swallows(t, path, enc, byKind)
	}
	if enc == byKind && dec == byKind {
		return false
	}
	if c.swallows(t, path, enc, dec) {
		return true
	}
	if enc == byKind && !addressable && encoded(t, true) != byKind {
		c.faultf("%v has Marshal%s with a pointer receiver, which JSON does not call for the elements of a map: "+
			"give it a value receiver, or use a map of pointers (%s)", t, encoded(t, true), path)
		return true
	}
	if enc != byKind && dec != byKind {
		return true
	}
	if fault := probe(t, enc, dec); fault != "" {
		c.faultf("%s (%s)", fault, path)
		return true
	}
	return false
}

// swallows reports a struct that is written or read by a method of an embedded field, which
// knows nothing of the other fields.
func (c *checker) swallows(t reflect.Type, path string, enc, dec form) bool {
	name := "Marshal"
	from, is := promoted(t, enc, true)
	if !is {
		name, enc = "Unmarshal", dec
		from, is = promoted(t, dec, false)
	}
	if !is {
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == from.Name || f.Name == "_" || f.Tag.Get("json") == "-" {
			continue
		}
		c.faultf("%v has %s%s from the embedded %v, which does not store the other fields: "+
			"make it a field with a name, or give %v its own Marshal%s and Unmarshal%s (%s.%s)",
			t, name, enc, from.Type, t, enc, enc, path, f.Name)
		return true
	}
	return false
}

// key checks the type of the keys of a map.
func (c *checker) key(t reflect.Type, path string) {
	enc, dec := encodedKey(t), decodedKey(t)
	plain := t.Kind() == reflect.String || reflect.Int <= t.Kind() && t.Kind() <= reflect.Uintptr
	switch {
	case c.direction == reading && dec == byKind && !plain, c.direction != reading && enc == byKind && !plain:
		c.faultf("JSON has no maps with %v keys (%s)", t, path)
	case c.swallows(t, path, enc, dec):
	case c.direction != both:
	case enc == byText && dec == byKind:
		c.faultf("%v has MarshalText, and as the key of a map no UnmarshalText (%s)", t, path)
	case enc == byKind && dec == byText && t.Kind() != reflect.String && reflect.PointerTo(t).Implements(textMarshaler):
		c.faultf("%v has MarshalText with a pointer receiver, which JSON does not call for the keys of a map: give it a value receiver (%s)", t, path)
	case enc == byKind && dec == byText && t.Kind() != reflect.String:
		c.faultf("%v has UnmarshalText, and as the key of a map no MarshalText (%s)", t, path)
	}
}

// probe returns why a type with one method of a pair is not read as it is written, as far as
// its zero value and one of another value show it; "" if they are. An error of the type's own
// method is no fault, because the value may not be a valid one.
func probe(t reflect.Type, enc, dec form) (fault string) {
	missing := "Marshal" + string(dec)
	if enc != byKind {
		missing = "Unmarshal" + string(enc)
	}
	defer func() {
		if recover() != nil {
			fault = "" // of the type's own method
		}
	}()
	for _, written := range []reflect.Value{reflect.New(t), sample(t)} {
		data, err := json.Marshal(written.Interface())
		if err != nil {
			continue
		}
		read := reflect.New(t)
		err = json.Unmarshal(data, read.Interface())
		var mismatch *json.UnmarshalTypeError
		if errors.As(err, &mismatch) {
			return fmt.Sprintf("%v has no %s, and JSON cannot decode the %s that it is written as: %v", t, missing, data, err)
		}
		if err == nil && enc != byKind && !alike(written.Elem(), read.Elem()) {
			return fmt.Sprintf("%v has no %s, and the %s that it is written as is read as another value", t, missing, data)
		}
	}
	return ""
}

// alike reports whether two values are equal, nil and empty slices and maps being the same.
func alike(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Slice, reflect.Map:
		if a.Len() == 0 && b.Len() == 0 {
			return true
		}
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Type().Field(i).IsExported() && !alike(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// probeZero encodes the zero value of a type and decodes it again. An error of the type's own
// methods is no fault, because the zero value may not be a valid value of the type.
func probeZero(t reflect.Type) (err error) {
	defer func() {
		if recover() != nil {
			err = nil // of a method of its own, too
		}
	}()
	data, err := json.Marshal(reflect.New(t).Interface())
	var own *json.MarshalerError
	if errors.As(err, &own) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("JSON cannot encode its zero value: %w", err)
	}
	read := reflect.New(t)
	if json.Unmarshal(data, read.Interface()) != nil {
		return nil
	}
	again, err := json.Marshal(read.Interface())
	if err != nil || !bytes.Equal(data, again) {
		return fmt.Errorf("its zero value does not round trip: %s comes back as %s", data, again)
	}
	return nil
}

// sample returns a pointer to a value of the type whose exported parts are not zero, as far
// as that is simple.
func sample(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	fill(v.Elem())
	return v
}

func fill(v reflect.Value) {
	switch {
	case !v.CanSet() || v.Type() == timeType:
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(1)
	case v.CanUint():
		v.SetUint(1)
	case v.CanFloat():
		v.SetFloat(1)
	case v.Kind() == reflect.String:
		v.SetString("1")
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	}
}
