package projection

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// Errors that a caller can match with errors.Is, besides those of package eventstore.
var (
	// ErrNeverRun: no build of this version of the projection was begun.
	ErrNeverRun = errors.New("projection has never run")
	// ErrRebuilding: the version is not built yet and cannot be read. It comes as a
	// *RebuildingError.
	ErrRebuilding = errors.New("projection is not built yet")
	// ErrReplaced: another version of the projection is live. It comes as a
	// *ReplacedError.
	ErrReplaced = errors.New("projection was replaced")
	// ErrLate: the view does not show the wanted position yet, or is not live yet. It
	// comes as a *LateError.
	ErrLate = errors.New("committed, view late")
	// ErrNotUnique: two rows have the same value in a unique index. It comes as a *UniqueError.
	ErrNotUnique = errors.New("not unique")
)

// HandlerError reports that a projection could not apply an event. It wraps the cause: the
// error of the handler, a *PanicError, or the error of decoding the event.
type HandlerError struct {
	// Projection and Version are those of the projection.
	Projection string
	Version    uint32
	// Position and Type are those of the event.
	Position eventstore.Position
	Type     string
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *HandlerError) Error() string {
	return fmt.Sprintf("projection %s version %d: type %s at position %d: %v",
		quote.Name(e.Projection), e.Version, quote.Name(e.Type), e.Position, e.Err)
}

// Unwrap returns the cause.
func (e *HandlerError) Unwrap() error { return e.Err }

// PanicError reports that a handler panicked.
type PanicError struct {
	// Value is the value of the panic.
	Value any
	// Stack is the stack of the goroutine at the panic, as text.
	Stack []byte
}

// Error returns the value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// LogValue returns the value and the stack, for slog.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("panic", fmt.Sprint(e.Value)), slog.String("stack", string(e.Stack)))
}

// Unwrap returns the value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// RebuildingError reports that a version of a projection cannot be read because it is not
// built yet: a program is building it, or the build has stopped, at an event that could
// not be applied or with its program. It matches ErrRebuilding.
type RebuildingError struct {
	Projection string
	Version    uint32
	// Done is the position that the build has reached, Total the head.
	Done, Total eventstore.Position
	// Failure is the event after Done if it could not be applied, else nil.
	Failure *Failure
}

// Error implements error.
func (e *RebuildingError) Error() string {
	return fmt.Sprintf("%v: %s version %d, at position %d of %d%s",
		ErrRebuilding, quote.Name(e.Projection), e.Version, e.Done, e.Total, e.Failure.aside())
}

// Is reports whether target is ErrRebuilding.
func (e *RebuildingError) Is(target error) bool { return target == ErrRebuilding }

// ReplacedError reports that another version of the projection is live. It matches
// ErrReplaced.
type ReplacedError struct {
	Projection string
	Version    uint32
	// By is the version that is live.
	By uint32
}

// Error implements error.
func (e *ReplacedError) Error() string {
	return fmt.Sprintf("%v: %s version %d, by version %d", ErrReplaced, quote.Name(e.Projection), e.Version, e.By)
}

// Is reports whether target is ErrReplaced.
func (e *ReplacedError) Is(target error) bool { return target == ErrReplaced }

// LateError reports that a view does not show a position of the log yet, or is not live yet;
// to readers, that an attached view has run out of time and does not show all events (see
// [Host.Attach]). The events are committed all the same. It matches ErrLate and Err.
type LateError struct {
	Projection string
	Version    uint32
	// Wanted is the position that the caller waited for; 0 for a reader, and if the caller
	// waited only for the version to be live. Actual is the position that the view shows; 0 if the
	// version is not live.
	Wanted, Actual eventstore.Position
	// State is that of the version: Live, or NeverRun or Rebuilding if it cannot be
	// read yet.
	State State
	// Failure is the event that the projection could not apply, if it has stopped at
	// one; else nil.
	Failure *Failure
	// Err is the reason for the end of the wait: the cause of the context, or the error
	// that the version's run has stopped with. For a reader it says why the view is late.
	Err error
}

// Error implements error.
func (e *LateError) Error() string {
	at := "not live yet"
	if e.State == Live {
		at = fmt.Sprintf("at position %d", e.Actual)
	}
	text := fmt.Sprintf("projection %s version %d is %s", quote.Name(e.Projection), e.Version, at)
	if e.Wanted > 0 {
		text = fmt.Sprintf("%v: %s, waited for position %d", ErrLate, text, e.Wanted)
	}
	if failed := (*HandlerError)(nil); errors.As(e.Err, &failed) { // the Failure would repeat it
		return fmt.Sprintf("%s: %v", text, e.Err)
	}
	return fmt.Sprintf("%s: %v%s", text, e.Err, e.Failure.aside())
}

// Is reports whether target is ErrLate.
func (e *LateError) Is(target error) bool { return target == ErrLate }

// Unwrap returns what ended the wait.
func (e *LateError) Unwrap() error { return e.Err }

// UniqueError reports that a row was not put because another row has the same value in a
// unique index. It matches ErrNotUnique.
type UniqueError struct {
	Projection, Table, Index string
	// Value is the value that both rows have in the index.
	Value any
	// Key is the key of the row that was not put, Other that of the row in the table.
	Key, Other any
}

// Error implements error.
func (e *UniqueError) Error() string {
	return fmt.Sprintf("%v: projection %s, table %s: rows %s and %s both have %s in index %s",
		ErrNotUnique, quote.Name(e.Projection), quote.Name(e.Table), keyText(e.Other), keyText(e.Key), keyText(e.Value), quote.Name(e.Index))
}

// Is reports whether target is ErrNotUnique.
func (e *UniqueError) Is(target error) bool { return target == ErrNotUnique }

// Failure is an event that a projection could not apply.
type Failure struct {
	// Position and Type are those of the event.
	Position eventstore.Position `json:"position"`
	Type     string              `json:"type"`
	// Reason is the text of the error, cut after 4 KiB.
	Reason string `json:"reason"`
	// Time is when the projection failed on the event.
	Time time.Time `json:"time"`
}

// aside returns the failure in parentheses, for the end of an error's text; "" for nil.
func (f *Failure) aside() string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf(" (it failed on type %s at position %d: %s)", quote.Name(f.Type), f.Position, f.Reason)
}

// wrap adds the operation to an error, and the projection unless the error names it.
func (p *Projection) wrap(verb string, err error) error {
	if failed := (*HandlerError)(nil); errors.As(err, &failed) {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if other := (*eventstore.CheckpointError)(nil); errors.As(err, &other) {
		err = fmt.Errorf("another process or goroutine runs the same projection: %w", err)
	}
	return fmt.Errorf("%s projection %s: %w", verb, quote.Name(p.name), err)
}

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{eventstore.ErrInvalid}, args...)...)
}
