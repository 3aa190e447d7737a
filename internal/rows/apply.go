package rows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/yore-es/yore/eventstore"
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

// Panicked returns the fault of a view that panicked with value. It must be called
// while the panic is being recovered.
func Panicked(value any) error { return &panicError{value, debug.Stack()} }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// LogValue returns the value and the stack.
func (e *panicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("panic", fmt.Sprint(e.value)), slog.String("stack", string(e.stack)))
}

// Apply calls a view's Apply on a goroutine of its own, and waits until it returns
// or ctx ends. ctx must carry the view's deadline and nothing of a caller's context.
// Apply closes tx and returns the reason of a fault, or nil: the error, the panic,
// or ErrOverrun. A view's Apply that has overrun its deadline is abandoned.
func Apply(ctx context.Context, v eventstore.InlineView, tx *Buffer, events []eventstore.Event) error {
	defer tx.Close()
	done := make(chan error, 1)
	go func() {
		err := ErrExited
		defer func() {
			if fault := recover(); fault != nil {
				err = Panicked(fault)
			}
			done <- err
		}()
		err = v.Apply(ctx, tx, events)
	}()
	select {
	case err := <-done:
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return ErrOverrun
		}
		return err
	case <-ctx.Done():
		return ErrOverrun
	}
}
