package eventstore

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/yore-es/yore/internal/quote"
)

// RowStore is a Store that also keeps read models: rows that are derived from the log and
// stored beside it. boltstore and memstore are RowStores. Implementations are safe for
// concurrent use by multiple goroutines.
//
// A row belongs to a table, and a table to a view. The rows of a table are ordered by
// key. A view has a [Checkpoint]: the position of the log up to which it has applied
// events. Rows and checkpoint change in one commit, which is CommitRows, or for an
// attached view the Commit of the events. So the rows of a view are always the fold of
// the log up to its checkpoint, after a crash too (I4).
//
// The names of views and tables have 1 to 255 bytes of UTF-8 without NUL. A RowStore
// keeps no slice that it is given, and the slices that it returns belong to the caller.
//
// Besides the errors below, every method returns the context's error, ErrClosed after
// Close, ErrCorrupt for damaged rows, and ErrInvalid or ErrTooLarge for arguments that
// break a rule ([Limits]). CommitRows, DropRows and Attach return ErrReadOnly on a store
// that was opened for reading only, and the errors of Append.
type RowStore interface {
	Store

	// GetRows returns the rows with these keys and the view's checkpoint, from one
	// snapshot. It returns one row for each key, in the order of the keys; a row that
	// does not exist has a nil Value. The checkpoint of a view without one is the zero
	// Checkpoint.
	GetRows(ctx context.Context, view ViewID, keys ...RowKey) (RowSet, error)

	// ScanRows yields the rows of a table in the order of their keys, in pages. Each
	// page, with its checkpoint, is from one snapshot; a later page may be from a later
	// one. There is at least one page, which may be empty. The sequence can be ranged
	// over more than once. No transaction or lock is held while the loop's body runs
	// (I7). An error is the last element and comes with the zero RowSet.
	ScanRows(ctx context.Context, view ViewID, scan RowScan) iter.Seq2[RowSet, error]

	// CommitRows changes rows and checkpoint of a view, all or nothing (I4). A nil error
	// means that the change is durable, as for Append. If the view's checkpoint is not
	// the expected one, nothing changes and the error is a *CheckpointError. CommitRows
	// returns ErrInvalid for a view that is attached or dropped in part, and for a
	// checkpoint beyond the head.
	CommitRows(ctx context.Context, c RowCommit) error

	// Checkpoints returns the checkpoints of all views that have one.
	Checkpoints(ctx context.Context) (map[ViewID]Checkpoint, error)

	// DropRows removes a view: its checkpoint, and at most limit of its rows. It
	// reports whether rows are left; call it again to remove them. A limit below 1 is
	// ErrInvalid. Until all rows are removed, CommitRows and Attach return ErrInvalid
	// for the view. DropRows detaches a view that is attached. A view that does not
	// exist is no error.
	DropRows(ctx context.Context, view ViewID, limit int) (more bool, err error)

	// Attach makes a view inline. It first brings the view up to the head, in commits of
	// its own. From then on the view's rows are committed with the events, so the view
	// shows an event when Append returns. Attach returns nil when the view is attached.
	// The view stays attached until it has a fault, it is dropped, or the store is
	// closed; a late view, see below, counts as attached.
	//
	// Attach returns a *FaultedError if the view has a fault, from before or from now; a
	// *CheckpointError if the view was dropped meanwhile; and ErrInvalid for a view that
	// is attached already or dropped in part.
	//
	// An Apply that returns an error or panics does not stop the append (I8): the store
	// drops the rows of that commit, records the fault in the view's checkpoint, and
	// detaches the view. The view keeps its last good state.
	//
	// An Apply that runs longer than the view's Timeout does not stop the append either,
	// and is no fault: the machine may have been paused. The view keeps its last good
	// state and is late: each RowSet that is read from it says so ([Late]). When that
	// run of Apply has returned, and after a wait of 100 ms, which doubles with each
	// overrun up to 10 s, the store brings the view up to the head by itself, and the
	// view is attached again. It gets a fault after three overruns in succession: it has
	// applied no commit in time while attached, and no more than a few hundred events
	// while catching up. An overrun in Attach is treated in the same way; Attach returns
	// when the view is attached or has a fault, or the context ends. A view whose Apply
	// never returns stays late until the store is closed or the view is dropped.
	Attach(ctx context.Context, v InlineView) error
}

// ViewID names a view of a store.
type ViewID string

// RowKey is a row's place in a view.
type RowKey struct {
	Table string
	// Key has 1 to 4,096 bytes. Keys are ordered byte by byte.
	Key []byte
}

// Row is a row of a view.
type Row struct {
	RowKey
	// Value has at most 16 MiB. A row with a nil Value does not exist; putting one
	// deletes the row with its key. A row with an empty Value that is not nil exists.
	Value []byte
}

// RowSet holds rows of a view and its checkpoint, from one snapshot.
type RowSet struct {
	Rows       []Row
	Checkpoint Checkpoint
	// Late is not nil if the view is attached and does not show all events now.
	Late *Late
}

// Late says that an attached view has run out of time. Its rows are those of its
// Checkpoint, and the store brings it up to the head by itself (see [RowStore].Attach).
type Late struct {
	// Since is when the view has become late.
	Since time.Time
	// Reason is the cause, in words.
	Reason string
}

// RowScan selects the rows of a table with From ≤ key < To.
type RowScan struct {
	Table string
	// From is the lowest key, inclusive; empty means the first key.
	From []byte
	// To is the upper bound of the keys, exclusive; empty means no bound.
	To []byte
	// Backward yields the rows from the highest key down.
	Backward bool
	// Limit is the greatest number of rows; 0 is no limit, a negative Limit is
	// ErrInvalid.
	Limit int
}

// PrefixScan returns the scan of the keys of a table that begin with a prefix.
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

// Checkpoint is a view's place in the log. The zero Checkpoint stands for none.
type Checkpoint struct {
	// Position is the last position that the view includes: its rows are the fold of the
	// log up to this position, inclusive.
	Position Position
	// Fault is the fault that stopped the view, or nil.
	Fault *Fault
	// Data belongs to the owner of the view: at most 64 KiB. Nil and empty are the same.
	Data []byte
}

// IsZero reports whether the checkpoint is the zero Checkpoint.
func (c Checkpoint) IsZero() bool { return c.Position == 0 && c.Fault == nil && len(c.Data) == 0 }

// Fault is the reason why a view stopped.
type Fault struct {
	// Position and Type are those of the event that the view failed on, or of the first
	// event if Apply was given several together.
	Position Position
	Type     string
	// Reason is the text of the error, cut at 4 KiB.
	Reason string
}

// RowCommit is a change of one view's rows and checkpoint.
type RowCommit struct {
	View ViewID
	// Expected is the checkpoint that the view must have. The zero Checkpoint means that
	// the view must have none.
	Expected Checkpoint
	// Checkpoint is the view's checkpoint after the commit. It must not be zero. Its
	// Position may be lower than that of Expected: a view whose owner puts back its rows
	// goes back with them. The store does not check that rows and Position belong together.
	Checkpoint Checkpoint
	// Rows are put, or deleted if their Value is nil: at most 65,536 rows, with at most
	// 64 MiB of keys and values together. Of two rows with the same key the later one
	// counts.
	Rows []Row
}

// RowTx reads and writes the rows of a view while Apply runs. Reads see earlier writes.
// Only the goroutine that runs Apply may use it, until Apply returns. After that, and
// after the view's Timeout, its methods return an error.
type RowTx interface {
	// Get returns the rows with these keys, like GetRows.
	Get(keys ...RowKey) ([]Row, error)
	// Scan yields the rows of a table one by one, in the order of ScanRows.
	Scan(scan RowScan) iter.Seq2[Row, error]
	// Put puts rows, or deletes those whose Value is nil. It copies the rows.
	Put(rows ...Row) error
}

// InlineView is a view whose rows are committed with the events.
type InlineView struct {
	View ViewID
	// Query selects the events to apply.
	Query Query
	// Apply folds one or more events of one commit into rows. It runs on a goroutine of
	// its own. The context ends after the view's Timeout. Apply must not change the
	// store, which waits for it: Append, CommitRows, DropRows and Attach return
	// ErrInvalid for this context and contexts derived from it. With another context
	// they wait until the view's Timeout.
	Apply func(ctx context.Context, tx RowTx, events []Event) error
	// Timeout is the time limit of the view for all commits that are written together.
	// 0 means DefaultTimeout; a negative Timeout is ErrInvalid. A view that takes longer
	// is late until it has caught up.
	Timeout time.Duration
	// Changed, if not nil, is called after the view has become late, and after a late
	// view was attached again or has got a fault. The call is on a goroutine of the
	// store, which Close waits for: it must return soon, and must not call Close.
	Changed func()
}

// DefaultTimeout is the Timeout of an inline view that has none.
const DefaultTimeout = time.Second

// CheckpointError reports that a view's checkpoint was not the expected one: another
// writer has changed the view. It matches ErrConflict.
type CheckpointError struct {
	View             ViewID
	Expected, Actual Checkpoint
}

// Error implements error.
func (e *CheckpointError) Error() string {
	return fmt.Sprintf("%v: view %s: expected its checkpoint at %v, is at %v", ErrConflict, quote.Name(string(e.View)), e.Expected, e.Actual)
}

// Is reports whether target is ErrConflict.
func (e *CheckpointError) Is(target error) bool { return target == ErrConflict }

// FaultedError reports that a view stopped at a fault. It matches ErrFaulted.
type FaultedError struct {
	View ViewID
	// Through is the position of the view's last good state.
	Through Position
	Fault   Fault
}

// Error implements error.
func (e *FaultedError) Error() string {
	return fmt.Sprintf("%v: view %s at position %d, on type %s at position %d: %s",
		ErrFaulted, quote.Name(string(e.View)), e.Through, quote.Name(e.Fault.Type), e.Fault.Position, e.Fault.Reason)
}

// Is reports whether target is ErrFaulted.
func (e *FaultedError) Is(target error) bool { return target == ErrFaulted }

// String returns the checkpoint in words, as in error messages.
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

// Equal reports whether two checkpoints have the same position, data and fault.
func (c Checkpoint) Equal(d Checkpoint) bool {
	sameFault := c.Fault == d.Fault || c.Fault != nil && d.Fault != nil && *c.Fault == *d.Fault
	return c.Position == d.Position && sameFault && string(c.Data) == string(d.Data)
}
