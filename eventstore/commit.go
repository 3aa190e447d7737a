package eventstore

import (
	"context"
	"time"

	"github.com/yore-es/yore/internal/given"
	"github.com/yore-es/yore/internal/quote"
)

// Commit is what one Append makes durable, all or nothing. It must not be
// changed while Append runs; afterwards the store keeps none of its slices and
// maps.
type Commit struct {
	// Key makes the commit one that is appended once: 1 to 255 bytes, one
	// namespace for the whole store, remembered as long as the log. "" is no key.
	Key string
	// Events are appended in this order: 1 to 65,536 of them, 64 MiB of
	// payload and metadata together.
	Events []NewEvent
	// Expect has exactly one entry for every named stream that Events write,
	// and may have others, one for each stream at most.
	Expect []Expect
	// Guards must all hold: at most 1,024.
	Guards []Guard
}

// Expect is an expectation on one stream.
type Expect struct {
	Stream StreamID
	At     Expectation
}

// Guard is the condition that no event after a position matches a query. After
// 0 means: no event anywhere. After beyond the head holds. Events of the commit
// itself never break its own guards.
type Guard struct {
	Query Query
	After Position
}

// Receipt says what a commit became.
type Receipt struct {
	// First and Last are the positions of the commit's first and last event.
	First, Last Position
	// Recorded is the time recorded on all events of the commit.
	Recorded time.Time
	// Heads are the versions that the written streams had right after the
	// commit, in the order in which the commit first writes them.
	Heads []StreamHead
	// Repeated says that the commit was in the log already and nothing was
	// written. The other fields are those of the first time.
	Repeated bool
}

// StreamHead is a stream and the version of its last event.
type StreamHead struct {
	Stream  StreamID
	Version Version
}

// Head returns the version that the stream had right after the commit, and
// whether the commit wrote to it.
func (r Receipt) Head(stream StreamID) (Version, bool) {
	for _, h := range r.Heads {
		if h.Stream == stream {
			return h.Version, true
		}
	}
	return 0, false
}

// AppendTo appends events to one stream under one expectation: the short form
// of Append for the common case. It copies the events and sets their Stream; an
// event that names another stream is ErrInvalid. Its errors are those of
// [Store].Append; a store that is nil or a nil pointer is ErrInvalid.
func AppendTo(ctx context.Context, s Store, stream StreamID, at Expectation, events ...NewEvent) (Receipt, error) {
	if err := given.Store(s); err != nil {
		return Receipt{}, invalidf("append to stream %s: %v", quote.Name(string(stream)), err)
	}
	if stream == "" {
		return Receipt{}, invalidf("append to a stream without a name")
	}
	copies := make([]NewEvent, len(events))
	for i, event := range events {
		if event.Stream != "" && event.Stream != stream {
			return Receipt{}, invalidf("append to stream %s: event %d names stream %s", quote.Name(string(stream)), i, quote.Name(string(event.Stream)))
		}
		event.Stream = stream
		copies[i] = event
	}
	return s.Append(ctx, Commit{Events: copies, Expect: []Expect{{Stream: stream, At: at}}})
}

// VersionOf returns the version of a stream's last event; 0 if it has none. Others may
// append meanwhile: what holds when events are appended is for an [Expectation] to
// say. Its errors are those of [Store].Read; a store that is nil or a nil pointer
// is ErrInvalid.
func VersionOf(ctx context.Context, s Store, stream StreamID) (Version, error) {
	if err := given.Store(s); err != nil {
		return 0, invalidf("version of stream %s: %v", quote.Name(string(stream)), err)
	}
	for last, err := range s.Read(ctx, Stream(stream), ReadOptions{Backward: true, Limit: 1}) {
		return last.Version, err
	}
	return 0, nil
}
