package aggregate

import (
	"bytes"
	"context"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/internal/reserved"
)

// CommandIDError reports a command id that was used for another command before (I18): with
// other content, of another type, on other aggregates, or of another decision. Nothing was
// appended. It matches [eventstore.ErrInvalid]. In HTTP it is 422 (Unprocessable Content).
type CommandIDError struct {
	// CommandID is the id.
	CommandID string
	// Receipt is that of the command that was carried out under the id.
	Receipt eventstore.Receipt

	not string // what the other command did not do, for the message
}

// Error implements error.
func (e *CommandIDError) Error() string {
	return fmt.Sprintf("%v: command id %s was used for another command, which wrote to %s%s",
		eventstore.ErrInvalid, quote.Name(e.CommandID), written(e.Receipt), e.not)
}

// Is reports whether target is [eventstore.ErrInvalid].
func (e *CommandIDError) Is(target error) bool { return target == eventstore.ErrInvalid }

// written names the streams that a commit wrote to, for an error.
func written(receipt eventstore.Receipt) string {
	if len(receipt.Heads) == 0 {
		return fmt.Sprintf("no stream, at position %d", receipt.First)
	}
	names := "stream "
	for i, head := range receipt.Heads {
		if i > 0 {
			names += ", "
		}
		names += quote.Name(string(head.Stream))
	}
	return fmt.Sprintf("%s at position %d", names, receipt.First)
}

// target is a command and the stream of its aggregate; "" for a decision that is not one of
// an aggregate.
type target struct {
	stream eventstore.StreamID
	cmd    any
	digest func(cmd any) ([]byte, error)
}

// commitKey is the key of a commit: the command id, and a digest of what was commanded. The
// zero commitKey is that of a command without an id.
type commitKey struct {
	id     string
	digest []byte
}

// newKey returns the key for commands that are carried out in a context.
func newKey(ctx context.Context, targets ...target) (commitKey, error) {
	key := commitKey{id: eventstore.MetadataFrom(ctx).CommandID()}
	if key.id == "" {
		return key, nil
	}
	if err := reserved.Key(key.id); err != nil {
		return key, fmt.Errorf("%w: command id: %w", eventstore.ErrInvalid, err)
	}
	digests := make([][]byte, len(targets))
	for i, t := range targets {
		var err error
		if digests[i], err = t.digest(t.cmd); err != nil {
			return key, fmt.Errorf("%w: command id %s: %w", eventstore.ErrInvalid, quote.Name(key.id), err)
		}
	}
	key.digest = combined(targets, digests)
	return key, nil
}

// check returns an error if the receipt of the key's commit is that of another command. A
// commit without a digest, which no repository has made, may be any.
func (k commitKey) check(receipt eventstore.Receipt) error {
	if len(k.digest) == 0 || len(receipt.Digest) == 0 || bytes.Equal(k.digest, receipt.Digest) {
		return nil
	}
	return &CommandIDError{CommandID: k.id, Receipt: receipt}
}

// lookUp returns the receipt of the key's command if it was carried out before. No command
// has the id "".
func lookUp(ctx context.Context, store eventstore.Store, key commitKey) (eventstore.Receipt, bool, error) {
	if key.id == "" {
		return eventstore.Receipt{}, false, nil
	}
	receipt, found, err := store.Lookup(ctx, key.id)
	if err != nil {
		return eventstore.Receipt{}, false, fmt.Errorf("look up command id %s: %w", quote.Name(key.id), err)
	}
	receipt.Repeated = found
	return receipt, found, nil
}
