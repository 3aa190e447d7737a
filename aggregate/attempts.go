package aggregate

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/internal/reserved"
)

// retried calls attempt until it returns again == false, at most maxAttempts times. An
// error that comes with again == true is a conflict: before the next attempt the caller
// joins the queue of callers that conflict on the same key, or, if it is in that queue
// already or queues is nil, pauses. Keys returns what attempt is expected to conflict on.
func retried(
	ctx context.Context, maxAttempts int, queues *queues, keys func() []conflictKey, attempt func(context.Context) (again bool, err error),
) error {
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

// lookUp returns the receipt of the command with this id if it was carried out before. No
// command has the id "".
func lookUp(ctx context.Context, store eventstore.Store, commandID string) (eventstore.Receipt, bool, error) {
	if commandID == "" {
		return eventstore.Receipt{}, false, nil
	}
	if err := reserved.Key(commandID); err != nil {
		return eventstore.Receipt{}, false, fmt.Errorf("%w: command id: %w", eventstore.ErrInvalid, err)
	}
	receipt, found, err := store.Lookup(ctx, commandID)
	if err != nil {
		return eventstore.Receipt{}, false, fmt.Errorf("look up command id %s: %w", quote.Name(commandID), err)
	}
	receipt.Repeated = found
	return receipt, found, nil
}

// newEvent encodes an event, with the metadata and the time that ctx carries. Metadata of
// the library's own are ErrInvalid.
func newEvent(ctx context.Context, registry *codec.Registry, stream eventstore.StreamID, event any) (eventstore.NewEvent, error) {
	encoded, err := registry.Encode(event)
	if err != nil {
		return eventstore.NewEvent{}, err
	}
	metadata := eventstore.MetadataFrom(ctx)
	if err := reserved.Metadata(metadata); err != nil {
		return eventstore.NewEvent{}, fmt.Errorf("%w: %w", eventstore.ErrInvalid, err)
	}
	var tags []eventstore.Tag
	for _, tag := range encoded.Tags {
		tags = append(tags, eventstore.Tag(tag))
	}
	return eventstore.NewEvent{
		Stream: stream, Type: encoded.Type, SchemaVersion: encoded.SchemaVersion, Codec: encoded.Codec,
		Data: encoded.Data, Metadata: metadata, Tags: tags, Time: eventstore.TimeFrom(ctx),
	}, nil
}
