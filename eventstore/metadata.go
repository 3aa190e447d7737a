package eventstore

import (
	"context"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/yore-es/yore/internal/quote"
)

// Metadata describes the circumstances of an event, such as its actor and its cause. Keys
// are not empty; keys and values are UTF-8. Applications may use any key that does not
// begin with "yore-". The context carries metadata to the events (see [WithMetadata]).
type Metadata map[string]string

// Keys that have accessors.
const (
	// CorrelationID is an id that all events and commands of one request from outside
	// have.
	CorrelationID = "correlation-id"
	// CausationID is the id of the event or command that led directly to the event.
	CausationID = "causation-id"
	// CommandID is the id of the command that decided the event.
	CommandID = "command-id"
	// Actor names the user or program that caused the event.
	Actor = "actor"
	// Traceparent is the W3C trace context.
	Traceparent = "traceparent"
)

// CorrelationID returns the value of the key CorrelationID, or "".
func (m Metadata) CorrelationID() string { return m[CorrelationID] }

// CausationID returns the value of the key CausationID, or "".
func (m Metadata) CausationID() string { return m[CausationID] }

// CommandID returns the value of the key CommandID, or "".
func (m Metadata) CommandID() string { return m[CommandID] }

// Actor returns the value of the key Actor, or "".
func (m Metadata) Actor() string { return m[Actor] }

// Traceparent returns the value of the key Traceparent, or "".
func (m Metadata) Traceparent() string { return m[Traceparent] }

// size checks keys and values, and returns the number of their bytes.
func (m Metadata) size() (int, error) {
	size := 0
	for key, value := range m {
		if key == "" {
			return 0, invalidf("metadata key is empty")
		}
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return 0, invalidf("metadata %s is not UTF-8", quote.Name(key))
		}
		size += len(key) + len(value)
	}
	return size, nil
}

type metadataKey struct{}

// WithMetadata returns a context that carries the metadata of ctx and m. An entry of m
// replaces one of ctx with the same key. WithMetadata copies m.
func WithMetadata(ctx context.Context, m Metadata) context.Context {
	merged := MetadataFrom(ctx)
	if merged == nil {
		merged = make(Metadata, len(m))
	}
	maps.Copy(merged, m)
	return context.WithValue(ctx, metadataKey{}, merged)
}

// MetadataFrom returns a copy of the metadata that ctx carries, or nil.
func MetadataFrom(ctx context.Context) Metadata {
	carried, _ := ctx.Value(metadataKey{}).(Metadata)
	return maps.Clone(carried)
}

// WithCorrelationID returns a context that carries the correlation id.
func WithCorrelationID(ctx context.Context, id string) context.Context {
	return WithMetadata(ctx, Metadata{CorrelationID: id})
}

// WithCausationID returns a context that carries the causation id.
func WithCausationID(ctx context.Context, id string) context.Context {
	return WithMetadata(ctx, Metadata{CausationID: id})
}

// WithCommandID returns a context that carries the command id. Repositories use it as the
// commit's Key, so a command that is sent twice is carried out once. The id is that of one
// command: used for another one, it is an error of the repository, which compares a digest of
// the command. So a command that is sent again must be the same, also in its times: take the
// time of the first attempt, or leave it to [WithTime]. The id has 1 to 255 bytes of UTF-8
// and must not begin with "yore/"; [DeriveCommandID] makes one of any parts, and [InboundKey]
// of a message from outside.
func WithCommandID(ctx context.Context, id string) context.Context {
	return WithMetadata(ctx, Metadata{CommandID: id})
}

// WithActor returns a context that carries the actor.
func WithActor(ctx context.Context, actor string) context.Context {
	return WithMetadata(ctx, Metadata{Actor: actor})
}

// WithTraceparent returns a context that carries the trace parent.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	return WithMetadata(ctx, Metadata{Traceparent: traceparent})
}

type timeKey struct{}

// WithTime returns a context that carries the time at which something happened. The
// packages above make it the Time of the events that they append. With the zero Time, or
// without one, an event's Time is the time at which it is recorded.
func WithTime(ctx context.Context, t time.Time) context.Context {
	return context.WithValue(ctx, timeKey{}, t)
}

// TimeFrom returns the time that ctx carries, or the zero Time.
func TimeFrom(ctx context.Context) time.Time {
	t, _ := ctx.Value(timeKey{}).(time.Time)
	return t
}
