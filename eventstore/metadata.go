package eventstore

import (
	"context"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/yore-es/yore/internal/quote"
)

// Metadata says about an event what is not part of the fact: who, why, as part
// of what. Keys are not empty; keys and values are UTF-8. Applications may use
// any key that does not begin with "yore-"; those below have accessors and travel in the
// context.
type Metadata map[string]string

// The keys with a meaning of their own.
const (
	// CorrelationID is shared by all that one request from outside set off.
	CorrelationID = "correlation-id"
	// CausationID is the id of the event or command that this event follows from.
	CausationID = "causation-id"
	// CommandID is the id of the command that made the event.
	CommandID = "command-id"
	// Actor is who caused it.
	Actor = "actor"
	// Traceparent is the W3C trace context.
	Traceparent = "traceparent"
)

// CorrelationID returns the value under that key, or "".
func (m Metadata) CorrelationID() string { return m[CorrelationID] }

// CausationID returns the value under that key, or "".
func (m Metadata) CausationID() string { return m[CausationID] }

// CommandID returns the value under that key, or "".
func (m Metadata) CommandID() string { return m[CommandID] }

// Actor returns the value under that key, or "".
func (m Metadata) Actor() string { return m[Actor] }

// Traceparent returns the value under that key, or "".
func (m Metadata) Traceparent() string { return m[Traceparent] }

// size checks keys and values and returns their bytes.
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

// WithMetadata returns a context that carries m over what ctx carries already.
// It copies m.
func WithMetadata(ctx context.Context, m Metadata) context.Context {
	merged := MetadataFrom(ctx)
	if merged == nil {
		merged = make(Metadata, len(m))
	}
	maps.Copy(merged, m)
	return context.WithValue(ctx, metadataKey{}, merged)
}

// MetadataFrom returns a copy of the metadata that ctx carries; nil if none.
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

// WithCommandID returns a context that carries the command id. Repositories
// use it as the commit's Key, so that a command sent twice is carried out once. It does
// not begin with "yore/".
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

// WithTime returns a context that carries when what is recorded under it
// happened: the layers above make it the Time of the events. Without one, or
// with the zero Time, that is when they are recorded.
func WithTime(ctx context.Context, t time.Time) context.Context {
	return context.WithValue(ctx, timeKey{}, t)
}

// TimeFrom returns the time that ctx carries; the zero Time if none.
func TimeFrom(ctx context.Context) time.Time {
	t, _ := ctx.Value(timeKey{}).(time.Time)
	return t
}
