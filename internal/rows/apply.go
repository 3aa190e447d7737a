package rows

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// ErrOverrun and ErrExited are reasons of faults.
var (
	ErrOverrun = errors.New("the view's time was up before Apply returned; if Apply appends or changes rows, that waits for it: it must not")
	ErrExited  = errors.New("the goroutine of Apply ended without a return")
)

// panicError is the fault of a view that panicked. For a log it has the stack.
type panicError struct {
	value any
	stack []byte
}

// panicked returns the fault of a view that panicked with a value. It is called while
// the panic is recovered from.
func panicked(value any) error { return &panicError{value, debug.Stack()} }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// LogValue says the value and the stack.
func (e *panicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("panic", fmt.Sprint(e.value)), slog.String("stack", string(e.stack)))
}
