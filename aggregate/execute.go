package aggregate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/internal/quote"
)

// Result is the outcome of a command. It belongs to the caller; State and Events may share
// memory with each other.
type Result[S, E any] struct {
	// State is the state after the command; after a refusal, or when there was
	// nothing to do, the state that was decided on.
	State S
	// Version is the version of the stream that State is folded from.
	Version eventstore.Version
	// Events are the command's, as they are read from the log: fields that JSON leaves
	// out are zero. There are none if it was refused or there was nothing to do.
	Events []E
	// Receipt is the receipt of the commit, or the zero Receipt if nothing was appended.
	// Its Repeated is true if the command had been carried out before.
	Receipt eventstore.Receipt
	// Refused is true if Decide refused the command: then the error that comes with the
	// Result is Decide's own. Any other error is a fault.
	Refused bool
}

// Execute carries out a command on the aggregate with this id: it loads the state, calls
// Decide, and appends the events, all or none, if the stream is still at the version that
// was decided on. Otherwise it reads the new events and decides again, up to
// [Options].MaxAttempts times.
//
// With conditions, such as [If], the command is carried out only if all of them hold of the
// aggregate, and is attempted once.
//
// If ctx carries a command id, the command is carried out once, however often it is sent.
// Every answer is that of the first time, whether the conditions still hold or not; see the
// package comment.
//
// An error of Decide is returned as it is, with State and Version in the Result. Any other
// error comes with the zero Result and wraps its cause: an error of [eventstore.Store], which
// matches [eventstore.ErrConflict] when the attempts are used up or a condition does not
// hold; [eventstore.ErrInvalid] for an empty id; a [*CommandIDError] for a command id that was
// used for another command; a [*codec.ChangedError] for an event that would be read as another
// one. On any error but [eventstore.ErrUnknownOutcome] nothing was appended;
// after that one, send the command again with the same command id.
func (r *Repository[S, C, E]) Execute(ctx context.Context, id string, cmd C, conditions ...Condition) (Result[S, E], error) {
	stream, err := r.stream(id)
	if err == nil {
		err = validate(conditions)
	}
	if err != nil {
		return Result[S, E]{}, fmt.Errorf("execute %T: %w", cmd, err)
	}
	result, rejection, err := r.execute(ctx, stream, cmd, conditions)
	if err != nil {
		return Result[S, E]{}, fmt.Errorf("execute %T on stream %s: %w", cmd, quote.Name(string(stream)), err)
	}
	return result, rejection
}

// execute is Execute. Rejection is an error of Decide, err is any other one.
func (r *Repository[S, C, E]) execute(
	ctx context.Context, stream eventstore.StreamID, cmd C, conditions []Condition,
) (result Result[S, E], rejection, err error) {
	key, err := newKey(ctx, r.target(stream, cmd))
	if err != nil {
		return Result[S, E]{}, nil, err
	}
	result, done, err := r.carriedOut(ctx, stream, key)
	if done || err != nil {
		return result, nil, err
	}
	attempts := r.maxAttempts
	if len(conditions) > 0 {
		attempts = 1 // a queue would only make the version outdated
	}
	keys := []conflictKey{streamKey(stream)}
	err = retried(ctx, attempts, r.queues, keys, func(ctx context.Context) (again bool, err error) {
		at, err := r.latest(ctx, stream, r.start)
		if err != nil {
			return false, err
		}
		var events []E
		conflict := r.check(ctx, conditions, stream, at.version)
		if conflict == nil {
			asDecide(func() { events, rejection = r.decider.Decide(at.state, cmd) })
		}
		if conflict != nil || rejection != nil || len(events) == 0 {
			repeat, done, err := r.carriedOut(ctx, stream, key)
			if done || err != nil {
				result, rejection = repeat, nil
				return false, err
			}
			result = Result[S, E]{State: at.state, Version: at.version, Refused: rejection != nil}
			return false, conflict
		}
		result, err = r.append(ctx, stream, at, key, events)
		return len(conditions) == 0 && errors.Is(err, eventstore.ErrConflict), err
	})
	return result, rejection, err
}

// target returns a command on a stream.
func (r *Repository[S, C, E]) target(stream eventstore.StreamID, cmd C) target {
	return target{stream: stream, cmd: cmd, digest: r.digest}
}

// append appends decided events to an aggregate, and returns the result. If it fails, the
// state of the aggregate may have changed.
func (r *Repository[S, C, E]) append(
	ctx context.Context, stream eventstore.StreamID, at image[S], key commitKey, events []E,
) (Result[S, E], error) {
	commit, result, err := r.commit(ctx, stream, at, key, events)
	if err != nil {
		return Result[S, E]{}, err
	}
	if result.Receipt, err = r.hooks.append(ctx, r.store, commit); err != nil {
		return Result[S, E]{}, err
	}
	if result.Receipt.Repeated {
		return r.repeated(ctx, stream, key, result.Receipt)
	}
	if r.snapshots != nil {
		r.snapshots.consider(stream, result.Version, at.kept, 0)
	}
	return result, nil
}

// commit returns the commit of decided events, and the result that it will have. The events
// are folded as they will be read, before they are appended: an event that Evolve cannot take
// is not in the log when it panics.
func (r *Repository[S, C, E]) commit(
	ctx context.Context, stream eventstore.StreamID, at image[S], key commitKey, events []E,
) (eventstore.Commit, Result[S, E], error) {
	commit := eventstore.Commit{
		Key: key.id, Digest: key.digest,
		Events: make([]eventstore.NewEvent, len(events)),
		Expect: []eventstore.Expect{{Stream: stream, At: eventstore.At(at.version)}},
	}
	after := Result[S, E]{State: at.state, Version: at.version, Events: make([]E, len(events))}
	for i, event := range events {
		encoded, read, err := newEvent(ctx, r.registry, stream, event)
		if err != nil {
			return eventstore.Commit{}, Result[S, E]{}, err
		}
		commit.Events[i], after.Events[i] = encoded, read.(E)
	}
	for _, event := range after.Events {
		after.State = r.decider.Evolve(after.State, event)
		after.Version++
	}
	return commit, after, nil
}

// carriedOut returns the result of the command with this key if it was carried out before.
func (r *Repository[S, C, E]) carriedOut(
	ctx context.Context, stream eventstore.StreamID, key commitKey,
) (Result[S, E], bool, error) {
	receipt, found, err := lookUp(ctx, r.store, key)
	if !found || err != nil {
		return Result[S, E]{}, false, err
	}
	result, err := r.repeated(ctx, stream, key, receipt)
	return result, true, err
}

// repeated returns the result of a command that was carried out before.
func (r *Repository[S, C, E]) repeated(
	ctx context.Context, stream eventstore.StreamID, key commitKey, receipt eventstore.Receipt,
) (Result[S, E], error) {
	if err := key.check(receipt); err != nil {
		return Result[S, E]{}, err
	}
	head, ok := receipt.Head(stream)
	if !ok {
		return Result[S, E]{}, &CommandIDError{
			CommandID: key.id, Receipt: receipt, not: " and not to stream " + quote.Name(string(stream)),
		}
	}
	var events []E
	at, err := r.observed(ctx, stream, func(ctx context.Context) (image[S], error) {
		return r.fold(ctx, stream, r.start(), eventstore.ReadOptions{To: receipt.Last}, func(event fold.Event[E]) {
			if event.Position >= receipt.First {
				events = append(events, event.Data)
			}
		})
	})
	if err != nil {
		return Result[S, E]{}, err
	}
	if at.version != head {
		return Result[S, E]{}, &eventstore.CorruptError{
			Position: receipt.Last,
			Reason:   fmt.Sprintf("stream %s is at version %d there, but its commit ends at version %d", quote.Name(string(stream)), at.version, head),
		}
	}
	return Result[S, E]{State: at.state, Version: head, Events: events, Receipt: receipt}, nil
}

// pause waits before the next attempt: not at all after the first attempt, then for a
// random time whose bound doubles.
func pause(ctx context.Context, attempt int) error {
	if attempt == 1 {
		return ctx.Err()
	}
	const longest = 7 // doublings: 128 ms
	timer := time.NewTimer(rand.N(time.Millisecond << min(attempt-2, longest)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
