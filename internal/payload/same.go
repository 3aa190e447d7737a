package payload

import (
	"math"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// sameness returns a function that reports whether a value of the type is read as it is
// written, to the last bit, and shares no memory that can change: it is made of numbers,
// bools, text that is UTF-8, times in UTC and nil, and all of its fields are stored. It
// returns nil if no value of the type is such a one.
func sameness(t reflect.Type) func(reflect.Value) bool {
	switch kind := t.Kind(); {
	case t == timeType:
		return func(v reflect.Value) bool {
			at := v.Interface().(time.Time)
			return at == at.UTC() //nolint:staticcheck // to the last bit
		}
	case kind == reflect.Slice, kind == reflect.Map, kind == reflect.Pointer, kind == reflect.Interface:
		if kind != reflect.Pointer && hasOwn(t) {
			return nil
		}
		return func(v reflect.Value) bool { return v.IsNil() }
	case hasOwn(t):
		return nil
	case kind == reflect.String:
		return func(v reflect.Value) bool { return utf8.ValidString(v.String()) }
	case kind == reflect.Struct:
		return sameFields(t)
	case kind == reflect.Float32, kind == reflect.Float64:
		return func(v reflect.Value) bool { return v.Float() != 0 || !math.Signbit(v.Float()) } // omitempty drops -0
	case kind == reflect.Bool, reflect.Int <= kind && kind <= reflect.Uintptr:
		return func(reflect.Value) bool { return true }
	}
	return nil
}

func sameFields(t reflect.Type) func(reflect.Value) bool {
	var changing []func(reflect.Value) bool // of the fields that may be read as another value
	for i := range t.NumField() {
		f := t.Field(i)
		same := sameness(f.Type)
		if tag := f.Tag.Get("json"); same == nil || !f.IsExported() || tag == "-" || strings.Contains(tag, "omitzero") {
			return nil
		}
		if kind := f.Type.Kind(); kind >= reflect.Float32 { // not an integer or a bool
			changing = append(changing, func(v reflect.Value) bool { return same(v.Field(i)) })
		}
	}
	return func(v reflect.Value) bool {
		for _, same := range changing {
			if !same(v) {
				return false
			}
		}
		return true
	}
}
