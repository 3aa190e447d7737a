package eventstore

import (
	"errors"
	"fmt"

	"github.com/yore-es/yore/internal/quote"
)

// What a caller can match with errors.Is. Each condition has one sentinel.
var (
	// ErrConflict: an expectation or a guard does not hold. It comes as a *ConflictError.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the call can never succeed as it is; the message names the part and the rule.
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge: a limit is exceeded. It comes as a *LimitError.
	ErrTooLarge = errors.New("too large")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")
	// ErrReadOnly: the store was opened for reading only.
	ErrReadOnly = errors.New("store is read-only")
	// ErrLocked: another opener has the file.
	ErrLocked = errors.New("store is locked by another opener")
	// ErrCorrupt: stored bytes are not what was written. Where the place is
	// known it comes as a *CorruptError.
	ErrCorrupt = errors.New("corrupt")
	// ErrFormat: the file is not a Yore log, or one of a format that this version cannot read.
	ErrFormat = errors.New("unknown format")
	// ErrUnknownOutcome: the commit may have become durable or not; see [Store].
	ErrUnknownOutcome = errors.New("outcome unknown")
	// ErrFaulted: a view stopped at a fault and must be rebuilt. It comes as a *FaultedError.
	ErrFaulted = errors.New("view has a fault")
	// ErrFailed: an earlier commit ended with ErrUnknownOutcome; the store
	// takes no more appends until it is closed and opened again. Or its file is
	// not where it was, and the message says what to do before it is closed.
	ErrFailed = errors.New("store has failed; close and reopen it")
)

// ConflictError says which condition of a commit did not hold: an expectation
// (Guard is nil) or a guard (Guard is not). It matches ErrConflict.
type ConflictError struct {
	// Stream, Expected and Actual are the failed expectation's stream, what
	// was expected of it, and the version it is at.
	Stream   StreamID
	Expected Expectation
	Actual   Version

	// Guard is the failed guard, and GuardIndex its index in Commit.Guards.
	Guard      *Guard
	GuardIndex int

	// Position and Type are those of the first event that breaks the
	// condition; 0 and "" where there is none, as when a stream is shorter
	// than expected.
	Position Position
	Type     string
}

// Error says all that the fields say.
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

// LimitError says which limit was exceeded, and by what. It matches ErrTooLarge.
type LimitError struct {
	// What is counted, such as "bytes of payload".
	What string
	// Size is how many there are, Limit how many there may be.
	Size, Limit int
}

// Error says all that the fields say.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: %d %s, at most %d", ErrTooLarge, e.Size, e.What, e.Limit)
}

// Is reports whether target is ErrTooLarge.
func (e *LimitError) Is(target error) bool { return target == ErrTooLarge }

// CorruptError says where stored bytes are not what was written. It matches ErrCorrupt.
type CorruptError struct {
	// Position is the place in the log.
	Position Position
	// Reason says what is wrong there.
	Reason string
}

// Error says all that the fields say.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v: position %d: %s", ErrCorrupt, e.Position, e.Reason)
}

// Is reports whether target is ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
