// Package given looks at what a constructor was given.
package given

import (
	"fmt"
	"reflect"
)

// Value returns an error if an argument is nil, or is an interface that holds a nil
// pointer. That is what a caller passes with a variable of a concrete type that was never
// set, or was set by a call that returned an error; every method call on it would panic.
// What names the argument in the error, such as "the store".
func Value(what string, value any) error {
	v := reflect.ValueOf(value)
	switch {
	case !v.IsValid():
		return fmt.Errorf("%s is nil", what)
	case v.Kind() == reflect.Pointer && v.IsNil():
		return fmt.Errorf("%s is a nil %v", what, v.Type())
	}
	return nil
}
