// Package given looks at what a constructor was given.
package given

import (
	"fmt"
	"reflect"
)

// Value returns an error that says so if an argument is nil, or is an interface that
// holds a nil pointer: what a variable of a concrete type is that was never set, or set
// from a call whose error was not looked at. Every method call on it would panic. What
// names the argument, such as "the store".
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
