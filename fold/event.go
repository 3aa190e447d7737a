package fold

import "github.com/yore-es/yore/eventstore"

// Event is a decoded event. It is the handler's own copy.
type Event[T any] struct {
	// Event is what was stored: position, stream, version, times, metadata,
	// tags, id; type and schema version too, whatever it was upcast to. Its
	// Data are the bytes, hidden by the Data below.
	eventstore.Event
	// Data is the decoded payload.
	Data T
}
