package eventstore

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Position is an event's place in the log, starting at 1. Position order is
// commit order. Zero is before the first event: the head of an empty log, and
// the place to follow everything from.
type Position uint64

// Version is an event's place in its stream: 1, 2, 3 … without gaps. Zero is
// the version of a stream without events.
type Version uint64

// Tag is a string on an event by which it can be found and guarded, such as
// "customer:42". The store gives no meaning to what is inside it; tags are
// compared byte for byte.
type Tag string

// StreamID names a stream, such as "cart-7": its Category is "cart", its ID "7".
// Names are compared byte for byte, may hold any UTF-8 text but NUL, and do not
// start with a dash.
type StreamID string

// Category returns the part of the name before the first dash: "cart" for
// "cart-7". A name without a dash is its own category.
func (s StreamID) Category() string {
	category, _, _ := strings.Cut(string(s), "-")
	return category
}

// ID returns the part of the name after the first dash: "7" for "cart-7". A name
// without a dash has none.
func (s StreamID) ID() string {
	_, id, _ := strings.Cut(string(s), "-")
	return id
}

// Event is a fact in the log. A store hands each reader its own copy: Data,
// Metadata and Tags may be kept and changed.
type Event struct {
	// Position is the place in the log, from 1.
	Position Position
	// Stream is the stream's name, or "" for an event in no stream.
	Stream StreamID
	// Version is the place in the stream, from 1; 0 for an event in no stream.
	Version Version
	// ID is the event's own, from the writer or else made by the store.
	ID uuid.UUID
	// Type is the event type's stable name, such as "cart.item-added".
	Type string
	// SchemaVersion is the version of the payload's shape, as given by the writer.
	SchemaVersion uint32
	// Codec says how Data is encoded, such as "json"; "" when the writer did not say.
	Codec string
	// Data is the payload, byte for byte as written. It is never nil.
	Data []byte
	// Metadata is the writer's, or nil if there was none.
	Metadata Metadata
	// Tags are the writer's, in order and without repeats; nil if there were none.
	Tags []Tag
	// Recorded is when the store took the event, by the store's clock, in UTC.
	// It is the same for a whole commit and never decreases along the log.
	Recorded time.Time
	// Time is when the event happened, in UTC: what the writer said, or else Recorded.
	Time time.Time
}

// NewEvent is an event to be appended. Only Type is required.
type NewEvent struct {
	// Stream is the stream to append to; "" puts the event in no stream, where
	// it has no version and is found by its type and tags only.
	Stream StreamID
	// ID is the event's own; the zero UUID asks the store for a new one
	// (version 7). Set it to make a commit without a Key safe to send again
	// (see [Store]); it is then the caller's part to use no ID twice, the
	// store does not check.
	ID uuid.UUID
	// Type is the event type's stable name: 1 to 255 bytes.
	Type string
	// SchemaVersion is the version of the payload's shape. The store keeps it as given.
	SchemaVersion uint32
	// Codec says how Data is encoded: at most 255 bytes. The store keeps it as given.
	Codec string
	// Data is the payload, opaque to the store: at most 16 MiB. Nil and empty are the same.
	Data []byte
	// Metadata is at most 64 KiB of keys and values together. Nil and empty are the same.
	Metadata Metadata
	// Tags are at most 128. The same tag given twice is kept once.
	Tags []Tag
	// Time is when the event happened, within the years 1 to 9999; the zero
	// Time means when it is recorded. It says nothing about order.
	Time time.Time
}
