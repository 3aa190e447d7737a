package eventstore

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/yore-es/yore/internal/quote"
)

// RowStore is a Store that also keeps read models: rows, beside the log, that
// are derived from it. The stores of this module are RowStores; on another one,
// read models live elsewhere. Implementations are safe for concurrent use by
// multiple goroutines.
//
// Rows belong to a view, and within it to a table; they are ordered by key. A
// view has a [Checkpoint], which says how far into the log it has come. Rows and
// checkpoint change together, in one commit, or with the events themselves
// (Attach); so what a view shows is always the fold of the log up to its
// checkpoint, whatever is killed when.
//
// Names of views and tables are 1 to 255 bytes of UTF-8 without NUL. Slices
// that are passed in are not kept, and those that are returned are the
// caller's own.
type RowStore interface {
	Store

	// GetRows returns the rows with these keys and the view's checkpoint, all
	// as of one moment. Rows come in the order of the keys, one for each; that
	// of a key that is not there has a nil Value. A view without a checkpoint
	// has the zero Checkpoint.
	GetRows(ctx context.Context, view ViewID, keys ...RowKey) (RowSet, error)

	// ScanRows yields the rows of a table in the order of their keys, a page
	// at a time. Each page, with its checkpoint, is as of one moment; later
	// pages may be of a later one. There is at least one page, which may be
	// empty. The sequence can be ranged over more than once; nothing is held
	// while the loop's body runs. An error is the last element and comes with
	// the zero RowSet.
	ScanRows(ctx context.Context, view ViewID, scan RowScan) iter.Seq2[RowSet, error]

	// CommitRows changes rows and checkpoint of a view, all or nothing; a nil
	// error means durable, as for Append. If the view's checkpoint is not the
	// expected one, nothing is changed and the error is a *CheckpointError. It
	// is ErrInvalid for a view that is attached, and for a checkpoint beyond
	// the head.
	CommitRows(ctx context.Context, c RowCommit) error

	// Checkpoints returns all views that have a checkpoint.
	Checkpoints(ctx context.Context) (map[ViewID]Checkpoint, error)

	// DropRows removes a view: at first its checkpoint, then its rows, at most
	// so many (1 or more), and says whether there are more. Until they are gone,
	// the view takes no others: CommitRows and Attach are ErrInvalid. A view that
	// is attached is detached. Dropping what is not there is no error.
	DropRows(ctx context.Context, view ViewID, limit int) (more bool, err error)

	// Attach makes a view inline: it brings it up to the head, in commits of
	// its own, and from then on its rows are committed with the events, so
	// that when Append returns, the view shows it. It returns when the view is
	// attached, or with the error that kept it from it: the context's; a
	// *FaultedError, if the view had a fault before or has one now; ErrInvalid
	// for a view that is attached already. The view is attached until the
	// store is closed.
	//
	// An Apply that returns an error, panics, or takes longer than the view's
	// Timeout does not keep an event from being appended: what it wrote for
	// that commit is dropped, the fault is recorded in the view's checkpoint,
	// and the view is detached. It keeps its last good state.
	Attach(ctx context.Context, v InlineView) error
}

// ViewID names a view in a store.
type ViewID string

// RowKey is a row's place in a view.
type RowKey struct {
	Table string
	// Key is 1 to 4,096 bytes. Keys are ordered byte by byte.
	Key []byte
}

// Row is a row of a view.
type Row struct {
	RowKey
	// Value is at most 16 MiB. Empty and nil are not the same: a row with a nil
	// Value is not there, and putting it deletes it.
	Value []byte
}

// RowSet is rows of a view as of one moment.
type RowSet struct {
	Rows       []Row
	Checkpoint Checkpoint
}

// RowScan says which rows of a table to read: those with From ≤ key < To.
type RowScan struct {
	Table string
	// From is the lowest key, inclusive; empty is the first.
	From []byte
	// To is the key to end before; empty is no end.
	To []byte
	// Backward yields the rows from the highest key down.
	Backward bool
	// Limit ends the scan after so many rows; 0 is no limit, a negative Limit
	// is ErrInvalid.
	Limit int
}

// PrefixScan is the scan of the keys of a table that begin with a prefix.
func PrefixScan(table string, prefix []byte) RowScan {
	scan := RowScan{Table: table, From: prefix}
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			scan.To = append([]byte{}, prefix[:i+1]...)
			scan.To[i]++
			break
		}
	}
	return scan
}

// Checkpoint says how far a view has come.
type Checkpoint struct {
	// Position is the last one that is in the view: it is the fold of the log
	// up to here, and of nothing after.
	Position Position
	// Fault is why the view goes no further, nil while it does.
	Fault *Fault
	// Data is the owner's own, at most 64 KiB. Nil and empty are the same.
	Data []byte
}

// IsZero reports whether the checkpoint is that of a view that has none.
func (c Checkpoint) IsZero() bool { return c.Position == 0 && c.Fault == nil && len(c.Data) == 0 }

// Fault is what stopped an inline view.
type Fault struct {
	// Position and Type are of the event that the view failed on: the first
	// one of those that it was given together.
	Position Position
	Type     string
	// Reason is the text of the error, at most 4 KiB of it.
	Reason string
}

// RowCommit is a change of one view's rows and checkpoint.
type RowCommit struct {
	View ViewID
	// Expected is the checkpoint that the view must have; the zero Checkpoint
	// expects none.
	Expected Checkpoint
	// Checkpoint is the one it has afterwards. It must not be zero.
	Checkpoint Checkpoint
	// Rows are put, or deleted if their Value is nil: at most 65,536, and 64
	// MiB of keys and values. Of two with the same key the later one counts.
	Rows []Row
}

// RowTx is what a view reads and writes rows by while it applies events. Reads
// see the writes made before. It is for the goroutine that it was given to, and
// until Apply returns; afterwards, and after the view's time is up, its methods
// return an error.
type RowTx interface {
	// Get returns the rows with these keys, as GetRows does.
	Get(keys ...RowKey) ([]Row, error)
	// Scan yields the rows of a table, as ScanRows does, one by one.
	Scan(scan RowScan) iter.Seq2[Row, error]
	// Put puts rows, or deletes those whose Value is nil. It copies them.
	Put(rows ...Row) error
}

// InlineView is a view that is written with the events.
type InlineView struct {
	View ViewID
	// Query says which events are applied.
	Query Query
	// Apply folds events, all of one commit and at least one, into rows. It
	// runs on a goroutine of its own. The context ends when the view's time is
	// up. Apply must not change the store, which waits for it: Append,
	// CommitRows, DropRows and Attach are ErrInvalid with this context or one
	// that comes from it, and with another one they take the rest of its time.
	Apply func(ctx context.Context, tx RowTx, events []Event) error
	// Timeout is how long the view may take for all commits that are written
	// together; 0 is 1 second.
	Timeout time.Duration
}

// DefaultTimeout is how long an inline view may take if it does not say.
const DefaultTimeout = time.Second

// CheckpointError says that a view's checkpoint was not the expected one: another
// writer of the view was faster. It matches ErrConflict.
type CheckpointError struct {
	View             ViewID
	Expected, Actual Checkpoint
}

// Error says all that the fields say.
func (e *CheckpointError) Error() string {
	return fmt.Sprintf("%v: view %s: expected its checkpoint at %v, is at %v", ErrConflict, quote.Name(string(e.View)), e.Expected, e.Actual)
}

// Is reports whether target is ErrConflict.
func (e *CheckpointError) Is(target error) bool { return target == ErrConflict }

// FaultedError says that a view stopped at a fault. It matches ErrFaulted.
type FaultedError struct {
	View ViewID
	// Through is the position of the view's last good state.
	Through Position
	Fault   Fault
}

// Error says all that the fields say.
func (e *FaultedError) Error() string {
	return fmt.Sprintf("%v: view %s at position %d, on type %s at position %d: %s",
		ErrFaulted, quote.Name(string(e.View)), e.Through, quote.Name(e.Fault.Type), e.Fault.Position, e.Fault.Reason)
}

// Is reports whether target is ErrFaulted.
func (e *FaultedError) Is(target error) bool { return target == ErrFaulted }

// String says the checkpoint in words, as error messages do.
func (c Checkpoint) String() string {
	switch {
	case c.IsZero():
		return "none"
	case c.Fault != nil:
		return fmt.Sprintf("position %d with a fault", c.Position)
	default:
		return fmt.Sprintf("position %d", c.Position)
	}
}

// Equal reports whether two checkpoints say the same.
func (c Checkpoint) Equal(d Checkpoint) bool {
	sameFault := c.Fault == d.Fault || c.Fault != nil && d.Fault != nil && *c.Fault == *d.Fault
	return c.Position == d.Position && sameFault && string(c.Data) == string(d.Data)
}
