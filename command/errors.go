package command

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/internal/quote"
)

// ErrForbidden means that the actor may not send the command. It comes as a [*ForbiddenError].
var ErrForbidden = errors.New("forbidden")

// ForbiddenError reports that an actor may not send a command. It matches ErrForbidden.
type ForbiddenError struct {
	// Type is the command's Go type.
	Type reflect.Type
	// Actor is the actor of the command's context; "" if there is none.
	Actor string
	// Err is the error of the function that was given to Authorize.
	Err error
}

// Error implements error.
func (e *ForbiddenError) Error() string {
	actor := "an unknown actor"
	if e.Actor != "" {
		actor = quote.Name(e.Actor)
	}
	return fmt.Sprintf("%v: %v by %s: %v", ErrForbidden, e.Type, actor, e.Err)
}

// Is reports whether target is ErrForbidden.
func (e *ForbiddenError) Is(target error) bool { return target == ErrForbidden }

// Unwrap returns the reason.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// Refuse returns err as the refusal of a command, for a function given to [Handle]: with it the
// reply is Refused. It has the text of err and wraps it. Refuse(nil) is nil.
func Refuse(err error) error {
	if err == nil {
		return nil
	}
	return &refusal{err}
}

// refusal is an error that Refuse has returned.
type refusal struct{ error }

// Unwrap returns the reason.
func (r *refusal) Unwrap() error { return r.error }

// isRefusal reports whether a function that returned these has refused its command.
func isRefusal(result any, err error) bool {
	decided, _ := result.(aggregate.Decided)
	return errors.As(err, new(*refusal)) || err != nil && decided.Refused
}

// UnknownCommandError reports that there is no handler for a command.
type UnknownCommandError struct {
	// Type is the command's Go type; nil for a nil command.
	Type reflect.Type
	// Pointer is true if Type is a pointer to a type that has a handler.
	Pointer bool
}

// Error implements error.
func (e *UnknownCommandError) Error() string {
	switch {
	case e.Type == nil:
		return "nil is not a command"
	case e.Pointer:
		return fmt.Sprintf("no handler for command %v, but one for %v: send the value, not a pointer", e.Type, e.Type.Elem())
	case e.Type == reflect.TypeFor[aggregate.Condition]():
		return fmt.Sprintf("%v is not a command: a batch takes no conditions, give them to Repository.Part", e.Type)
	default:
		return fmt.Sprintf("no handler for command %v", e.Type)
	}
}

// ValidationError reports that a command's own Validate method has failed.
type ValidationError struct {
	// Type is the command's Go type.
	Type reflect.Type
	// Err is the error of Validate.
	Err error
}

// Error implements error.
func (e *ValidationError) Error() string { return fmt.Sprintf("%v is not valid: %v", e.Type, e.Err) }

// Unwrap returns the error of Validate.
func (e *ValidationError) Unwrap() error { return e.Err }

// PanicError reports that a handler panicked.
type PanicError struct {
	// Type is the command's Go type; nil if it may be any command of a batch.
	Type reflect.Type
	// Value is the value of the panic.
	Value any
	// Stack is the stack of the goroutine at the panic, as text.
	Stack []byte
}

// Error returns the command's type and the value, without the stack.
func (e *PanicError) Error() string {
	if e.Type == nil {
		return fmt.Sprintf("a batch of commands: panic: %v", e.Value)
	}
	return fmt.Sprintf("%v: panic: %v", e.Type, e.Value)
}

// Unwrap returns the value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
