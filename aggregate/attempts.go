package aggregate

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/reserved"
)

// retried calls attempt until it returns again == false, at most maxAttempts times. An
// error that comes with again == true is a conflict: before the next attempt the caller
// joins the queue of callers that conflict on the same key, or, if it is in that queue
// already or queues is nil, pauses. Keys are what attempt is expected to conflict on.
func retried(
	ctx context.Context, maxAttempts int, queues *queues, keys []conflictKey, attempt func(context.Context) (again bool, err error),
) error {
	if queues != nil {
		if err := reentered(); err != nil {
			return err
		}
	}
	caller := queues.newCaller(ctx)
	defer caller.leave()
	if maxAttempts > 1 {
		if err := caller.joinOpen(ctx, keys); err != nil {
			return fmt.Errorf("waiting for other callers: %w", err)
		}
	}
	for n := 1; ; n++ {
		again, err := attempt(caller.within(ctx))
		switch {
		case !again:
			return err
		case n >= maxAttempts:
			return fmt.Errorf("gave up after %d attempts: %w", n, err)
		}
		joined, waiting := caller.join(ctx, keyOf(err))
		if waiting == nil && !joined {
			waiting = pause(ctx, n)
		}
		if waiting != nil {
			return fmt.Errorf("waiting to retry after %d attempts: %w", n, waiting)
		}
	}
}

// newEvent encodes an event, with the metadata and the time that ctx carries, and returns the
// event as it will be read, too. Metadata of the library's own are ErrInvalid.
func newEvent(
	ctx context.Context, registry *codec.Registry, stream eventstore.StreamID, event any,
) (encodedEvent eventstore.NewEvent, read any, err error) {
	encoded, err := registry.Encode(event)
	if err != nil {
		return eventstore.NewEvent{}, nil, err
	}
	metadata := eventstore.MetadataFrom(ctx)
	if err := reserved.Metadata(metadata); err != nil {
		return eventstore.NewEvent{}, nil, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	var tags []eventstore.Tag
	for _, tag := range encoded.Tags {
		tags = append(tags, eventstore.Tag(tag))
	}
	return eventstore.NewEvent{
		Stream: stream, Type: encoded.Type, SchemaVersion: encoded.SchemaVersion, Codec: encoded.Codec,
		Data: encoded.Data, Metadata: metadata, Tags: tags, Time: eventstore.TimeFrom(ctx),
	}, encoded.Value, nil
}
