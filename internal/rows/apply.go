package rows

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// ErrOverrun and ErrExited are reasons of faults.
var (
	ErrOverrun = errors.New("the view's time was up before Apply returned; if Apply appends or changes rows, the two wait for each other, so it must not")
	ErrExited  = errors.New("the goroutine of Apply ended without a return")
)

// panicError is the fault of a view that panicked. LogValue adds the stack.
type panicError struct {
	value any
	stack []byte
}

// panicked returns the fault of a view that panicked with value. It must be called
// while the panic is being recovered.
func panicked(value any) error { return &panicError{value, debug.Stack()} }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// LogValue returns the value and the stack.
func (e *panicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("panic", fmt.Sprint(e.value)), slog.String("stack", string(e.stack)))
}
