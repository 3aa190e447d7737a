package aggregate

import (
	"context"
	"fmt"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/internal/reserved"
)

// retried calls attempt until it says that another one is of no use, or maxAttempts
// are used up. The errors that it calls for another one with are conflicts; those who
// meet them at one place take turns. Places are where attempt is going to write, as
// far as that is known.
func retried(
	ctx context.Context, maxAttempts int, turns *turns, places func() []string, attempt func(context.Context) (again bool, err error),
) error {
	turn := turns.newTurn(ctx)
	defer turn.leave()
	if maxAttempts > 1 {
		if err := turn.joinTaken(ctx, places); err != nil {
			return fmt.Errorf("waiting for others: %w", err)
		}
	}
	for n := 1; ; n++ {
		again, err := attempt(turn.within(ctx))
		switch {
		case !again:
			return err
		case n >= maxAttempts:
			return fmt.Errorf("gave up after %d attempts: %w", n, err)
		}
		joined, waiting := turn.join(ctx, contended(err))
		if waiting == nil && !joined {
			waiting = pause(ctx, n)
		}
		if waiting != nil {
			return fmt.Errorf("waiting to retry after %d attempts: %w", n, waiting)
		}
	}
}

// lookUp returns the receipt of the command with this id, and whether it has
// been carried out; none has the id "".
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

// newEvent encodes an event, with the metadata and the time that ctx carries. It refuses
// metadata that are the library's own.
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
