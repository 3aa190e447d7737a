package rows

import (
	"unicode/utf8"

	"github.com/yore-es/yore/eventstore"
)

// reasonBytes is the longest reason of a fault, in bytes.
const reasonBytes = 4 << 10

// NewFault returns the fault of a view that failed on events of which first is the
// first. A long reason is cut.
func NewFault(first eventstore.Event, reason error) *eventstore.Fault {
	text := reason.Error()
	if len(text) > reasonBytes {
		end := reasonBytes
		for end > reasonBytes-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	return &eventstore.Fault{Position: first.Position, Type: first.Type, Reason: text}
}
