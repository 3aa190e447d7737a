package rows

import (
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
