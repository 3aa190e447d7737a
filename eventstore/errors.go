package eventstore

import (
	"errors"
	"fmt"

	"github.com/yore-es/yore/internal/quote"
)

// Errors that a caller can match with errors.Is. Each condition has one sentinel.
var (
	// ErrConflict: an expectation or a guard does not hold, as a *ConflictError, or a
	// view's checkpoint is not the expected one, as a *CheckpointError.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the call breaks a rule. The message names the part and the rule.
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge: a limit is exceeded, as a *LimitError.
	ErrTooLarge = errors.New("too large")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")
	// ErrReadOnly: the store was opened for reading only.
	ErrReadOnly = errors.New("store is read-only")
	// ErrLocked: another opener has the file.
	ErrLocked = errors.New("store is locked by another opener")
	// ErrCorrupt: stored bytes differ from what was written. It is a *CorruptError if
	// the position is known.
	ErrCorrupt = errors.New("corrupt")
	// ErrFormat: the file is not a Yore log, or its format is unknown to this version.
	ErrFormat = errors.New("unknown format")
	// ErrUnknownOutcome: the commit may be durable or not; see [Store].
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrFaulted: a view stopped at a fault and must be rebuilt, as a *FaultedError.
	ErrFaulted = errors.New("view has a fault")
	// ErrFailed: the store accepts no more appends until it is closed and reopened. An
	// earlier commit ended with ErrUnknownOutcome; or the path does not name the store's
	// file any more, and the message says what to do before closing; or another program has
	// truncated or overwritten the file, or it cannot be mapped into memory, and then reads
	// return this error too.
	ErrFailed = errors.New("store has failed; close and reopen it")
)

// ConflictError reports the condition of a commit that did not hold: an expectation if
// Guard is nil, else a guard. It matches ErrConflict.
type ConflictError struct {
	// Stream and Expected are the failed expectation, and Actual is the stream's
	// version. They are zero for a guard.
	Stream   StreamID
	Expected Expectation
	Actual   Version

	// Guard is the failed guard, and GuardIndex its index in Commit.Guards.
	Guard      *Guard
	GuardIndex int

	// Position and Type are those of the first event that breaks the condition. They
	// are 0 and "" if no event breaks it: the stream is shorter than expected.
	Position Position
	Type     string
}

// Error implements error.
func (e *ConflictError) Error() string {
	if e.Guard != nil {
		return fmt.Sprintf("%v: guard %d (%v, after position %d): position %d, type %s matches",
			ErrConflict, e.GuardIndex, e.Guard.Query, e.Guard.After, e.Position, quote.Name(e.Type))
	}
	found := "has no events"
	if e.Actual > 0 {
		found = fmt.Sprintf("is at version %d", e.Actual)
	}
	message := fmt.Sprintf("%v: stream %s: expected %v, %s", ErrConflict, quote.Name(string(e.Stream)), e.Expected, found)
	if e.Position > 0 {
		message += fmt.Sprintf(" (first conflicting event: position %d, type %s)", e.Position, quote.Name(e.Type))
	}
	return message
}

// Is reports whether target is ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// LimitError reports an exceeded limit. It matches ErrTooLarge.
type LimitError struct {
	// What names the unit and the thing that are limited, such as "bytes of payload".
	What string
	// Size is the number found, Limit the highest number accepted.
	Size, Limit int
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: %d %s, at most %d", ErrTooLarge, e.Size, e.What, e.Limit)
}

// Is reports whether target is ErrTooLarge.
func (e *LimitError) Is(target error) bool { return target == ErrTooLarge }

// CorruptError reports the position of stored bytes that differ from what was written
// (I9). It matches ErrCorrupt.
type CorruptError struct {
	// Position is the place in the log.
	Position Position
	// Reason describes the damage in a few words.
	Reason string
}

// Error implements error.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v: position %d: %s", ErrCorrupt, e.Position, e.Reason)
}

// Is reports whether target is ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
