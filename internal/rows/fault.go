package rows

import (
	"unicode/utf8"

	"github.com/yore-es/yore/eventstore"
)

// reasonBytes bounds the reason of a fault.
const reasonBytes = 4 << 10

// NewFault returns the fault of a view that was given events together, of which
// this is the first, and did not come to a good end. A long reason is cut.
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
