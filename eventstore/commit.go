package eventstore

import (
	"context"
	"time"

	"github.com/yore-es/yore/internal/given"
	"github.com/yore-es/yore/internal/quote"
)

// Commit is the unit of Append: all of it becomes durable, or nothing (I4). The caller
// must not change it while Append runs. Afterwards the store keeps none of its slices
// and maps.
type Commit struct {
	// Key is an idempotency key: a commit with a key is appended once. A key has 1 to
	// 255 bytes, is unique in the whole store, and is kept as long as the log. "" is no
	// key.
	Key string
	// Digest is kept beside the Key, and is in every Receipt of the commit, so that a caller
	// can tell a repeat from another commit that was given the same Key. The store does not
	// compare it. It has at most 32 bytes, usually a hash of what the commit is for, and
	// needs a Key. Nil and empty are no digest.
	Digest []byte
	// Events are appended in this order: 1 to 65,536 events, with at most 64 MiB of
	// payload and metadata together, and at most 64 MiB of streams, types, codecs and tags,
	// and 1,048,576 tags.
	Events []NewEvent
	// Expect has exactly one entry for each named stream that Events write. It may
	// have entries for other streams, at most one for each, and has at most 65,536.
	Expect []Expect
	// Guards are at most 1,024 conditions, with at most 65,536 names in their queries
	// together. All must hold.
	Guards []Guard
}

// Expect is an expectation on one stream.
type Expect struct {
	Stream StreamID
	At     Expectation
}

// Guard is the condition that no event after position After matches Query. With After 0
// no event of the log may match. A guard with After beyond the head holds. The events of
// a commit never break the commit's own guards.
type Guard struct {
	Query Query
	After Position
}

// Receipt describes an appended commit.
type Receipt struct {
	// First and Last are the positions of the commit's first and last event.
	First, Last Position
	// Recorded is the time recorded on all events of the commit.
	Recorded time.Time
	// Heads are the streams that the commit wrote, in the order of their first event in
	// it, each with its version right after the commit.
	Heads []StreamHead
	// Digest is the Digest of the commit that is in the log; nil if it has none. It belongs
	// to the caller.
	Digest []byte
	// Repeated is true if the commit was in the log already, and nothing was written.
	// The other fields are those of the first Receipt.
	Repeated bool
}

// StreamHead is a stream and the version of its last event.
type StreamHead struct {
	Stream  StreamID
	Version Version
}

// Head returns the version that the stream had right after the commit, and whether the
// commit wrote to the stream. The version is 0 if it did not.
func (r Receipt) Head(stream StreamID) (Version, bool) {
	for _, h := range r.Heads {
		if h.Stream == stream {
			return h.Version, true
		}
	}
	return 0, false
}

// AppendTo appends events to one stream under one expectation. It copies the events and
// sets their Stream. It returns the errors of [Store].Append, and ErrInvalid for an
// event that names another stream and for a store that is nil or a nil pointer.
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

// VersionOf returns the version of a stream's last event, or 0 for a stream without
// events. Other callers may append to the stream meanwhile, so an append that depends on
// the version needs an [Expectation]. VersionOf returns the errors of [Store].Read, and
// ErrInvalid for a store that is nil or a nil pointer.
func VersionOf(ctx context.Context, s Store, stream StreamID) (Version, error) {
	if err := given.Store(s); err != nil {
		return 0, invalidf("version of stream %s: %v", quote.Name(string(stream)), err)
	}
	for last, err := range s.Read(ctx, Stream(stream), ReadOptions{Backward: true, Limit: 1}) {
		return last.Version, err
	}
	return 0, nil
}
