// Package given checks the store that a constructor was given.
package given

import (
	"errors"
	"fmt"
	"reflect"
)

// Store returns an error if the store is nil, or is an interface that holds a nil pointer,
// on which every method call would panic. A caller passes a nil pointer with a variable of
// a concrete type that was never set, or was set by a call that returned an error. The
// parameter is an any, since package eventstore uses this package too.
func Store(store any) error {
	if store == nil {
		return errors.New("the store is nil")
	}
	if v := reflect.ValueOf(store); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("the store is a nil %v", v.Type())
	}
	return nil
}
