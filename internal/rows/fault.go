package rows

import (
	"errors"
	"log/slog"
	"unicode/utf8"

	"github.com/yore-es/yore/eventstore"
)

// reasonBytes is the longest reason of a fault, in bytes.
const reasonBytes = 4 << 10

// NewFault returns the fault of a view that failed on events: position and kind are the
// position and the type of the first of them. A long reason is cut.
func NewFault(position eventstore.Position, kind string, reason error) *eventstore.Fault {
	text := reason.Error()
	if len(text) > reasonBytes {
		end := reasonBytes
		for end > reasonBytes-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	return &eventstore.Fault{Position: position, Type: kind, Reason: text}
}

// FaultAttrs returns the attributes with which a store logs the fault of an attached view.
// Cause is the error that the fault was made from.
func FaultAttrs(view eventstore.ViewID, fault *eventstore.Fault, cause error) []any {
	attrs := []any{"view", view, "position", fault.Position, "type", fault.Type, "error", fault.Reason}
	var more slog.LogValuer // such as the stack of a panic
	if errors.As(cause, &more) {
		attrs = append(attrs, "cause", more)
	}
	return attrs
}
