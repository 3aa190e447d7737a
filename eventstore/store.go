package eventstore

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Store is one append-only log of events. Implementations are safe for concurrent use by
// multiple goroutines. Package storetest checks the rules of this interface.
//
// Every method but Info and Close returns the context's error when the context has ended,
// and ErrClosed after Close.
type Store interface {
	// Append appends a commit, all of it or nothing (I4). A nil error means that its
	// events are durable, as Info says, and visible to every reader (I1, I3).
	//
	// Append judges a commit against all events before it and no others (I5), in this
	// order, and stops at the first error:
	//
	//   - its validity: ErrInvalid or ErrTooLarge (see [Validate])
	//   - its Key, which may be in the log already
	//   - its expectations, in order: *ConflictError
	//   - its guards, in order: *ConflictError
	//
	// If the Key is in the log already, Append writes nothing and returns the first
	// Receipt with Repeated set. It does not compare the content of the two commits.
	//
	// A commit without a Key whose conditions fail may be a repeat as well: it is one if
	// an earlier commit has events with the same IDs in the same order, and one of these
	// is the first event that breaks one of the conditions. Append then writes nothing
	// and returns the Receipt of that commit with Repeated set.
	//
	// Append looks at the context until the store begins to write the commit, and not
	// later. An error of the context means that nothing was appended.
	//
	// After any error but ErrUnknownOutcome nothing of the commit is in the log, and
	// never will be. After ErrUnknownOutcome the commit may be in the log or not. Reopen
	// the store and send the commit again: it is appended once in all if it has a Key,
	// or if the caller has set the IDs of its events and it has a condition that its own
	// events break. Any other commit may be appended twice. Until the store is reopened,
	// Append returns ErrFailed. Append returns ErrReadOnly on a store that was opened
	// for reading only.
	Append(ctx context.Context, c Commit) (Receipt, error)

	// Lookup returns the Receipt of the commit with this key, and whether there is one.
	// A key that no commit can have is ErrInvalid or ErrTooLarge (see [ValidateKey]).
	Lookup(ctx context.Context, key string) (Receipt, bool, error)

	// Read yields the events that match q and are within opts, in the order of their
	// positions. The sequence can be ranged over more than once. Each time it is a
	// snapshot, fixed when ranging starts. No transaction or lock is held while the
	// loop's body runs (I7). The loop ends after the last match, or with an error as the
	// last element, which comes with the zero Event: the context's, ErrInvalid or
	// ErrTooLarge (see [ValidateRead]), ErrClosed or ErrCorrupt. A range loop with one
	// variable loses the error.
	Read(ctx context.Context, q Query, opts ReadOptions) iter.Seq2[Event, error]

	// Follow yields the events that match q and have a position greater than after, in
	// the order of their positions, in batches. At the head it waits for further events,
	// so it ends only with an error or when the loop breaks. The sequence can be ranged
	// over more than once, each time from the same position. No transaction or lock is
	// held while the loop's body runs (I7).
	//
	// Follow yields a batch when
	//
	//   - it has events: at most 256, with at most 1 MiB of payload unless the first
	//     event alone is larger
	//   - it has passed 4,096 positions without a match
	//   - it reaches the head. If after is the head, the first batch comes at once and
	//     is empty. At the head, events that do not match give an empty batch.
	//
	// A batch may end within a commit; the next batch begins with the rest. No event is
	// missed or repeated at the change from catching up to waiting. A slow loop body
	// delays neither appends nor other followers (I8).
	//
	// The last element is an error, which comes with the zero Batch: the context's,
	// ErrInvalid or ErrTooLarge (see [ValidateRead], and if after is beyond the head),
	// ErrClosed or ErrCorrupt.
	Follow(ctx context.Context, q Query, after Position) iter.Seq2[Batch, error]

	// Head returns the highest durable position, or 0 for an empty log.
	Head(ctx context.Context) (Position, error)

	// Info describes the store. It answers after Close too.
	Info() Info

	// Close closes the store. Appends that the store has not begun to write return
	// ErrClosed, and so do iterators. A second Close returns nil.
	Close() error
}

// ReadOptions bound a Read. The zero ReadOptions read every match, forward.
type ReadOptions struct {
	// From is the lowest position to read, inclusive; 0 means the first.
	From Position
	// To is the highest position to read, inclusive; 0 means the head when ranging
	// starts. To less than From yields nothing. From and To do not change their meaning
	// with Backward. A computed To needs a check for 0: the Head of an empty log is 0,
	// which is no bound.
	To Position
	// FromVersion is the lowest version to read, inclusive; 0 means the first. The query
	// must then select from exactly one stream ([Query.OneStream]), else it is
	// ErrInvalid. A FromVersion above the stream's last version yields nothing.
	FromVersion Version
	// ToVersion is the highest version to read, inclusive; 0 means the last when ranging
	// starts. It needs a query of one stream, as FromVersion does. ToVersion less than
	// FromVersion yields nothing. If positions and versions are both bounded, an event
	// must be within both.
	ToVersion Version
	// Backward yields the events from the highest position down.
	Backward bool
	// Limit is the greatest number of events to yield; 0 is no limit, a negative Limit
	// is ErrInvalid.
	Limit int
	// AsOf leaves out events recorded after this time; the zero Time leaves out none.
	AsOf time.Time
}

// Batch is an element of Follow. It is the follower's own copy.
type Batch struct {
	// Events are the next matches, in the order of their positions. It may be empty.
	Events []Event
	// Through is the position up to which, inclusive, every match has been yielded, in
	// this batch or an earlier one. A restarted follower continues after it.
	Through Position
	// Live is true if Through was the head when the batch was made.
	Live bool
}

// Info describes a store.
type Info struct {
	// StoreID identifies the log. It is given when the log is created, and stays.
	StoreID uuid.UUID
	// Epoch is 1 for a new log. It changes when an older copy of the log replaces it, so
	// a checkpoint that is kept elsewhere can be recognized as one of another past.
	Epoch uint64
	// Gapless is true if positions are 1, 2, 3 … without gaps.
	Gapless bool
	// Durable is true if a nil error of Append means that the events are on disk.
	Durable bool
	// Limits are the limits of the store: the standard ones or lower ones.
	Limits Limits
	// Warnings describe, for an operator, the damage that was found when the store was
	// opened, and what was done about it. Nil means that none was found.
	Warnings []string
}
