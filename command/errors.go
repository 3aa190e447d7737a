package command

import (
	"fmt"
	"reflect"
)

// UnknownCommandError says that a command has no handler.
type UnknownCommandError struct {
	// Type is the command's Go type; nil for a nil command.
	Type reflect.Type
	// Pointer says that Type is a pointer to a type that has a handler.
	Pointer bool
}

// Error says all that the fields say.
func (e *UnknownCommandError) Error() string {
	switch {
	case e.Type == nil:
		return "nil is not a command"
	case e.Pointer:
		return fmt.Sprintf("no handler for command %v, but one for %v: send the value, not a pointer", e.Type, e.Type.Elem())
	default:
		return fmt.Sprintf("no handler for command %v", e.Type)
	}
}

// ValidationError says that a command is not valid, by its own Validate method.
type ValidationError struct {
	// Type is the command's Go type.
	Type reflect.Type
	// Err is what Validate returned.
	Err error
}

// Error says all that the fields say.
func (e *ValidationError) Error() string { return fmt.Sprintf("%v is not valid: %v", e.Type, e.Err) }

// Unwrap returns what Validate returned.
func (e *ValidationError) Unwrap() error { return e.Err }

// PanicError says that a handler panicked.
type PanicError struct {
	// Type is the command's Go type.
	Type reflect.Type
	// Value is what it panicked with.
	Value any
	// Stack is the stack of the goroutine at that point, as text.
	Stack []byte
}

// Error says which command and what value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("%v: panic: %v", e.Type, e.Value) }

// Unwrap returns the value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
