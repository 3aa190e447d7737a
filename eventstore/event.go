package eventstore

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Position is an event's place in the log, from 1. Positions are in commit order (I1).
// Zero is before the first event: it is the head of an empty log, and the position to
// follow the whole log from.
type Position uint64

// Version is an event's place in its stream: 1, 2, 3 … without gaps (I2). Zero is the
// version of a stream without events.
type Version uint64

// Tag is a string on an event, such as "customer:42". Queries and guards find events by
// their tags. The store gives a tag no meaning and compares it byte for byte. It has 1
// to 255 bytes of UTF-8 without NUL.
type Tag string

// StreamID names a stream, such as "cart-7": its Category is "cart", its ID "7". A name
// has 1 to 255 bytes of UTF-8 without NUL and does not start with a dash. Names are
// compared byte for byte.
type StreamID string

// Category returns the part of the name before the first dash: "cart" for
// "cart-7". A name without a dash is its own category.
func (s StreamID) Category() string {
	category, _, _ := strings.Cut(string(s), "-")
	return category
}

// ID returns the part of the name after the first dash: "7" for "cart-7". It returns ""
// for a name without a dash.
func (s StreamID) ID() string {
	_, id, _ := strings.Cut(string(s), "-")
	return id
}

// Event is an event of the log. It is the reader's own copy: Data, Metadata and Tags may
// be kept and changed.
type Event struct {
	// Position is the place in the log, from 1.
	Position Position
	// Stream is the stream's name, or "" for an event in no stream.
	Stream StreamID
	// Version is the place in the stream, from 1; 0 for an event in no stream.
	Version Version
	// ID is the NewEvent's ID, or one that the store made.
	ID uuid.UUID
	// Type is the stable name of the event type, such as "cart.item-added".
	Type string
	// SchemaVersion is the version of the payload's shape, as appended.
	SchemaVersion uint32
	// Codec names the encoding of Data, such as "json", as appended; it may be "".
	Codec string
	// Data is the payload, byte for byte as appended. It is never nil.
	Data []byte
	// Metadata is as appended; nil if it has no entries.
	Metadata Metadata
	// Tags are as appended, in the same order, each once; nil if there are none.
	Tags []Tag
	// Recorded is the time of the append, by the store's clock, in UTC. It is the same
	// for all events of a commit, and never decreases along the log.
	Recorded time.Time
	// Time is the time at which the event happened, in UTC: the NewEvent's Time, or
	// Recorded if that is zero.
	Time time.Time
}

// NewEvent is an event to append. Only Type is required.
type NewEvent struct {
	// Stream is the stream to append to. An event with "" is in no stream: it has no
	// version, and only its type and tags find it.
	Stream StreamID
	// ID identifies the event. For the zero UUID the store makes a new one (version 7).
	// Set it to make a commit without a Key safe to send again (see [Store]). The store
	// does not check that IDs are unique.
	ID uuid.UUID
	// Type is the stable name of the event type: 1 to 255 bytes.
	Type string
	// SchemaVersion is the version of the payload's shape. The store keeps it as given.
	SchemaVersion uint32
	// Codec names the encoding of Data: at most 255 bytes. The store keeps it as given.
	Codec string
	// Data is the payload: at most 16 MiB, opaque to the store. Nil and empty are the
	// same.
	Data []byte
	// Metadata has at most 64 KiB of keys and values together. Nil and empty are the
	// same.
	Metadata Metadata
	// Tags are at most 128. A tag that is given twice is kept once.
	Tags []Tag
	// Time is the time at which the event happened, in the years 1 to 9999. The zero
	// Time means the time at which it is recorded. Time has no effect on order.
	Time time.Time
}
