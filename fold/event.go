package fold

import "github.com/yore-es/yore/eventstore"

// Event is a stored event and what it is today. A reader of events has a copy of its
// own; a handler must not change what it is given, which other handlers may be given too.
type Event[T any] struct {
	// Event is what was stored: position, stream, version, times, metadata,
	// tags, id; type and schema version too, whatever it was upcast to. Its
	// Data are the bytes, hidden by the Data below.
	eventstore.Event
	// Data is the decoded payload.
	Data T
}
