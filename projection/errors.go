package projection

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// What a caller can match with errors.Is, besides the sentinels of package
// eventstore.
var (
	// ErrNeverRun: no build of this version of the projection was begun.
	ErrNeverRun = errors.New("projection has never run")
	// ErrRebuilding: the build of the version was begun, is not complete, and
	// cannot be read yet. It comes as a *RebuildingError.
	ErrRebuilding = errors.New("projection is not built yet")
	// ErrReplaced: another version of the projection is live. It comes as a
	// *ReplacedError.
	ErrReplaced = errors.New("projection was replaced")
	// ErrLate: the view has not come as far as was waited for, or is not live yet.
	// It comes as a *LateError.
	ErrLate = errors.New("committed, view late")
	// ErrNotUnique: two rows have the same value in a unique index. It comes as a *UniqueError.
	ErrNotUnique = errors.New("not unique")
)

// HandlerError says that a projection could not apply an event. It wraps the
// cause: what the handler returned, a *PanicError, or what kept the event from
// being decoded.
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

// Error says all that the fields say.
func (e *HandlerError) Error() string {
	return fmt.Sprintf("projection %s version %d: type %s at position %d: %v",
		quote.Name(e.Projection), e.Version, quote.Name(e.Type), e.Position, e.Err)
}

// Unwrap returns the cause.
func (e *HandlerError) Unwrap() error { return e.Err }

// PanicError says that a handler panicked.
type PanicError struct {
	// Value is what it panicked with.
	Value any
	// Stack is the stack of the goroutine at that point, as text.
	Stack []byte
}

// Error says what value, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// LogValue says the value and the stack.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("panic", fmt.Sprint(e.Value)), slog.String("stack", string(e.Stack)))
}

// Unwrap returns the value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// RebuildingError says that a version of a projection cannot be read because it
// is not built yet: it is being built, or the build has stopped at an event that
// could not be applied, or with its program. It matches ErrRebuilding.
type RebuildingError struct {
	Projection string
	Version    uint32
	// Done is the position that the build has reached, Total the head.
	Done, Total eventstore.Position
	// Failure is what the build stopped at, if it has not gone on since; else
	// nil.
	Failure *Failure
}

// Error says all that the fields say.
func (e *RebuildingError) Error() string {
	return fmt.Sprintf("%v: %s version %d, at position %d of %d%s",
		ErrRebuilding, quote.Name(e.Projection), e.Version, e.Done, e.Total, e.Failure.aside())
}

// Is reports whether target is ErrRebuilding.
func (e *RebuildingError) Is(target error) bool { return target == ErrRebuilding }

// ReplacedError says that another version of a projection than this one is live.
// It matches ErrReplaced.
type ReplacedError struct {
	Projection string
	Version    uint32
	// By is the version that is live.
	By uint32
}

// Error says all that the fields say.
func (e *ReplacedError) Error() string {
	return fmt.Sprintf("%v: %s version %d, by version %d", ErrReplaced, quote.Name(e.Projection), e.Version, e.By)
}

// Is reports whether target is ErrReplaced.
func (e *ReplacedError) Is(target error) bool { return target == ErrReplaced }

// LateError says that a view does not show a position of the log yet, or is not
// live yet: what was committed is committed, only the view does not show it. It
// matches ErrLate and what ended the waiting.
type LateError struct {
	Projection string
	Version    uint32
	// Wanted is the position that was waited for; 0 if it was only waited for the
	// version to be live. Actual is the one that the view has reached, 0 if the
	// version is not live.
	Wanted, Actual eventstore.Position
	// State is that of the version: Live, or NeverRun or Rebuilding if it cannot
	// be read yet.
	State State
	// Failure is what the projection last failed on, if it has not gone on
	// since; else nil.
	Failure *Failure
	// Err is what ended the waiting: the context's error, or what the version's
	// run has stopped with.
	Err error
}

// Error says all that the fields say.
func (e *LateError) Error() string {
	at := "not live yet"
	if e.State == Live {
		at = fmt.Sprintf("at position %d", e.Actual)
	}
	text := fmt.Sprintf("projection %s version %d is %s", quote.Name(e.Projection), e.Version, at)
	if e.Wanted > 0 {
		text = fmt.Sprintf("%v: %s, waited for position %d", ErrLate, text, e.Wanted)
	}
	if failed := (*HandlerError)(nil); errors.As(e.Err, &failed) { // which says what the Failure does
		return fmt.Sprintf("%s: %v", text, e.Err)
	}
	return fmt.Sprintf("%s: %v%s", text, e.Err, e.Failure.aside())
}

// Is reports whether target is ErrLate.
func (e *LateError) Is(target error) bool { return target == ErrLate }

// Unwrap returns what ended the waiting.
func (e *LateError) Unwrap() error { return e.Err }

// UniqueError says that a row was not put because another one has the same
// value in a unique index. It matches ErrNotUnique.
type UniqueError struct {
	Projection, Table, Index string
	// Value is what both rows have in the index.
	Value any
	// Key is that of the row that was not put, Other that of the row that is there.
	Key, Other any
}

// Error says all that the fields say.
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
	// Reason is the text of the error, at most 4 KiB of it.
	Reason string `json:"reason"`
	// Time is when that was.
	Time time.Time `json:"time"`
}

// aside says the failure at the end of an error's text; "" for nil.
func (f *Failure) aside() string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf(" (it failed on type %s at position %d: %s)", quote.Name(f.Type), f.Position, f.Reason)
}

// wrap says what was done with the projection, and names it unless the error does.
func (p *Projection) wrap(verb string, err error) error {
	if failed := (*HandlerError)(nil); errors.As(err, &failed) {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if moved := (*eventstore.CheckpointError)(nil); errors.As(err, &moved) {
		err = fmt.Errorf("another process or goroutine runs the same projection: %w", err)
	}
	return fmt.Errorf("%s projection %s: %w", verb, quote.Name(p.name), err)
}

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{eventstore.ErrInvalid}, args...)...)
}
