package eventstore

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Store is one append-only log of events. Implementations are safe for
// concurrent use by multiple goroutines. Package storetest checks all that is
// promised here.
type Store interface {
	// Append appends a commit, all of it or nothing. A nil error means that
	// the events are durable, as Info says, and visible to every reader.
	//
	// A commit is judged in this order, against all events before it and no
	// others: validity (see [Validate]: ErrInvalid, ErrTooLarge), its Key, its
	// expectations in their order, its guards in theirs. The first condition
	// that does not hold is returned as a *ConflictError.
	//
	// A commit whose Key is in the log already returns the first Receipt with
	// Repeated set; nothing is written and the content is not compared. A
	// commit without a Key whose conditions fail is a repeat too if the first
	// event that broke one of them has an ID of this commit and the commit
	// that wrote it has the same IDs in the same order; otherwise it is a
	// conflict.
	//
	// The context is looked at until the store begins to write the commit,
	// and no longer: an error of the context means that nothing was appended.
	// After ErrUnknownOutcome the commit may be in the log or not; sent again
	// to the reopened store it lands once if it has a Key, or if it has IDs
	// set by the caller and a condition that its own events break.
	Append(ctx context.Context, c Commit) (Receipt, error)

	// Lookup returns the receipt of the commit that was appended with this
	// key, and whether there is one.
	Lookup(ctx context.Context, key string) (Receipt, bool, error)

	// Read yields the events that match q, by position, as ReadOptions say.
	// The sequence can be ranged over more than once; each time it is a
	// snapshot, fixed when ranging starts. No transaction or lock is held
	// while the loop's body runs. An error (of the context, ErrInvalid,
	// ErrClosed, ErrCorrupt) is the last element and comes with the zero
	// Event; without one, the loop ends after the last match. Range with both
	// variables: with one, the error is lost.
	Read(ctx context.Context, q Query, opts ReadOptions) iter.Seq2[Event, error]

	// Follow yields the events after a position that match q, in position
	// order, in batches, and stays for those to come; it never ends without an
	// error. The sequence can be ranged over more than once, each time from
	// the same position.
	//
	// A batch is yielded when it has events (at most 256, or 1 MiB of payload
	// unless the first alone is larger), after every 4,096 positions without a
	// match, and on reaching the head, so also at once when after is the head,
	// and there for every wake-up that brought no match. It may end within a
	// commit, whose other events are in the next one. There is no gap and no
	// repeat where catching up becomes live. A follower whose loop body is slow
	// slows nobody else.
	//
	// The last element is an error with the zero Batch: the context's, or
	// ErrClosed, or ErrInvalid (after is beyond the head), or ErrCorrupt.
	Follow(ctx context.Context, q Query, after Position) iter.Seq2[Batch, error]

	// Head returns the highest durable position; 0 when the log is empty.
	Head(ctx context.Context) (Position, error)

	// Info says what kind of store this is. It answers after Close too.
	Info() Info

	// Close ends the store: appends that have not been taken, and iterators,
	// end with ErrClosed. A second Close returns nil.
	Close() error
}

// ReadOptions bound a Read. The zero ReadOptions read everything that matches,
// forward.
type ReadOptions struct {
	// From is the lowest position read, inclusive; 0 is the first.
	From Position
	// To is the highest position read, inclusive; 0 is the head when ranging
	// starts. From and To mean the same when reading backward. To before From
	// yields nothing. Beware of a bound that was computed: To the Head of an
	// empty log is 0 and no bound, so there is nothing to read then.
	To Position
	// FromVersion is the lowest version read, inclusive, of the stream that the query
	// names; 0 is the first. A query of more or less than one stream, narrowed or not by
	// types and tags, is ErrInvalid then. Beyond the stream's last version there is
	// nothing to read, and that is no error.
	FromVersion Version
	// ToVersion is the highest version read, inclusive, of the stream that the query
	// names; 0 is the last when ranging starts. It takes the same queries as FromVersion.
	// ToVersion before FromVersion yields nothing. An event must be within the positions
	// and within the versions to be read.
	ToVersion Version
	// Backward yields the events of the window from the highest position down.
	Backward bool
	// Limit ends the loop after so many events that match; 0 is no limit, a
	// negative Limit is ErrInvalid.
	Limit int
	// AsOf leaves out the events recorded after this time; the zero Time leaves out none.
	AsOf time.Time
}

// Batch is what a follower gets at a time. It is the follower's own copy.
type Batch struct {
	// Events are the next matches, in position order. It may be empty.
	Events []Event
	// Through is how far the follower has come: every match up to and
	// including this position has been yielded, in this batch or before. It is
	// the position to follow from after a restart.
	Through Position
	// Live says that Through was the head when the batch was made.
	Live bool
}

// Info describes a store.
type Info struct {
	// StoreID is given to a log when it is created, and kept.
	StoreID uuid.UUID
	// Epoch is 1 for a new log and changes when the log is replaced by an
	// older copy of itself, so that a checkpoint kept elsewhere can be seen to
	// belong to another past.
	Epoch uint64
	// Gapless says that positions are 1, 2, 3 … without gaps.
	Gapless bool
	// Durable says that a nil error of Append means that the events are on disk.
	Durable bool
	// Limits are those the store keeps, the standard ones or less.
	Limits Limits
	// Warnings say, for people, what the store found damaged when it was opened,
	// and what it did about it. Nil: nothing.
	Warnings []string
}
