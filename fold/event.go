package fold

import "github.com/yore-es/yore/eventstore"

// Event is a stored event with its decoded payload. A handler must not change it, because
// other handlers may be given it, too; a caller that iterates over events owns each of them.
type Event[T any] struct {
	// Event is the stored event: position, stream, version, times, metadata, tags
	// and id, and the type and schema version that it was stored with. The stored
	// payload is Event.Data.
	eventstore.Event
	// Data is the decoded payload, after upcasting.
	Data T
}
