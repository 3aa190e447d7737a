package projection

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// writer writes one build: it applies events to a buffer, and commits the buffer with
// the position of the last event.
//
// Changes since the last commit are in the buffer and nowhere else. So after a crash or a
// failed commit the build is still the fold of the log up to its checkpoint, and a writer
// that continues from there applies each event once. A commit expects the checkpoint of the
// previous one, so it fails if another writer has changed the build.
type writer struct {
	*definition
	host  *Host
	build build
	live  bool // the build is the live one
	// patient is true if the policy Retry is allowed. Otherwise Retry means Stop.
	patient bool

	committed   eventstore.Checkpoint
	committedAt time.Time
	failure     *Failure // in the checkpoint
	broken      bool     // a commit failed

	base    *storedRows
	cache   *rows.Cache // over base: rows that the writer has read or committed
	buffer  *rows.Buffer
	through eventstore.Position // of the last event that was applied or passed over
	began   time.Time           // when the first row since the last commit was changed
}

// A writer that is behind the head commits after this number of changed rows or bytes, or
// after this time, since the last commit.
const (
	batchRows  = 16_384
	batchBytes = 8 << 20
	batchTime  = time.Second / 4
)

// A writer commits its position alone, if no row has changed, after this number of
// positions since the last commit, or at the first batch after this time. Until then only
// the store is behind: after a restart the events in between are read again.
const (
	idlePositions = 4096
	idleTime      = 10 * time.Second
)

// checkpointData is the content of Checkpoint.Data.
type checkpointData struct {
	// Progress is when the position last changed.
	Progress time.Time `json:"progress"`
	// Failure is the event after the position, if it could not be applied.
	Failure *Failure `json:"failure,omitempty"`
}

// newWriter returns a writer that goes on from the checkpoint of the build.
func (h *Host) newWriter(ctx context.Context, d *definition, b build, live bool) (*writer, error) {
	at, isNew, err := h.open(ctx, d, b)
	if err != nil {
		return nil, err
	}
	w := &writer{definition: d, host: h, build: b, live: live, committedAt: time.Now(), failure: readData(at).Failure}
	w.base = &storedRows{store: h.store, view: w.view()}
	w.cache = rows.NewCache(w.base, isNew)
	w.reset(at)
	return w, nil
}

// open returns the checkpoint of a build. A build without a checkpoint is new, has no
// rows, and gets its first checkpoint. A build with a fault is a
// *eventstore.FaultedError.
func (h *Host) open(ctx context.Context, d *definition, b build) (at eventstore.Checkpoint, isNew bool, err error) {
	view := b.view(d.name)
	set, err := h.store.GetRows(ctx, view)
	if err != nil {
		return eventstore.Checkpoint{}, false, err
	}
	if at = set.Checkpoint; !at.IsZero() {
		return at, false, faulted(view, at)
	}
	if at.Data, err = json.Marshal(checkpointData{Progress: time.Now()}); err != nil {
		return eventstore.Checkpoint{}, false, err
	}
	// The store refuses a first checkpoint for a view that has rows.
	if err := h.store.CommitRows(ctx, eventstore.RowCommit{View: view, Checkpoint: at}); err != nil {
		return eventstore.Checkpoint{}, false, err
	}
	err = h.checkCurrent(ctx, d, b)
	if errors.Is(err, errDropped) || errors.Is(err, ErrReplaced) {
		// The build was dropped before the commit, and nothing would drop it again.
		err = errors.Join(err, h.dropView(context.WithoutCancel(ctx), view))
	}
	return at, true, err
}

// readData decodes a checkpoint's Data; it returns zeros for what it cannot decode.
func readData(c eventstore.Checkpoint) (data checkpointData) {
	if len(c.Data) > 0 {
		_ = json.Unmarshal(c.Data, &data)
	}
	return data
}

func (w *writer) view() eventstore.ViewID { return w.build.view(w.name) }

// reset begins an empty buffer over what was committed.
func (w *writer) reset(committed eventstore.Checkpoint) {
	w.committed, w.through = committed, committed.Position
	w.base.at = committed
	w.buffer = rows.New(w.cache)
	w.began = time.Now()
}

// feed applies the events after the writer's position, and commits whenever the buffer is
// full.
func (w *writer) feed(ctx context.Context, inputs []input) error {
	for i := range inputs {
		in := &inputs[i]
		if in.event.Position <= w.through {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.clean() {
			w.began = time.Now()
		}
		if err := w.take(ctx, in); err != nil {
			return err
		}
		if w.through = in.event.Position; w.full() {
			if err := w.commit(ctx, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) full() bool {
	rows, bytes := w.buffer.Size()
	return rows >= batchRows || bytes >= batchBytes || rows > 0 && time.Since(w.began) >= batchTime
}

// clean reports whether no row has changed since the last commit.
func (w *writer) clean() bool {
	rows, _ := w.buffer.Size()
	return rows == 0
}

// reach is called when all events up to a position were fed. It commits changed rows at the
// head, and the position alone when that is due.
func (w *writer) reach(ctx context.Context, through eventstore.Position, head bool) error {
	w.through = max(w.through, through)
	changed := !w.clean() || w.failure != nil && w.through > w.committed.Position
	idle := w.through-w.committed.Position >= idlePositions ||
		w.through > w.committed.Position && time.Since(w.committedAt) >= idleTime
	if head && changed || w.clean() && idle {
		if err := w.commit(ctx, nil); err != nil {
			return err
		}
	}
	w.publish()
	return nil
}

// publish reports the position that the build shows, if it is the live one.
func (w *writer) publish() {
	switch {
	case !w.live:
	case w.clean():
		w.host.report(w.Projection, w.build, w.through)
	default:
		w.host.report(w.Projection, w.build, w.committed.Position)
	}
}

// take applies an event, or treats it as the projection's policy says.
func (w *writer) take(ctx context.Context, in *input) error {
	e, data := in.event, in.decode()
	if errors.Is(data.err, errExited) {
		return data.err
	}
	for wait := w.host.backoff.min; ; wait = min(2*wait, w.host.backoff.max) {
		own := *e
		if in.shared {
			own.Data, own.Tags, own.Metadata = bytes.Clone(e.Data), slices.Clone(e.Tags), maps.Clone(e.Metadata)
		}
		err := w.apply(ctx, &own, data)
		var failed *HandlerError
		if !errors.As(err, &failed) {
			return err
		}
		failure := newFailure(e, failed.Err)
		if w.OnFailure == Skip {
			return addSkipped(w.buffer, failure)
		}
		if err := w.fail(ctx, failure); err != nil { // the event is tried again, and the failure recorded then
			return fmt.Errorf("record a failure (%s): %w", failed.Error(), err)
		}
		if !w.retries() {
			return failed
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		if err := w.host.checkCurrent(ctx, w.definition, w.build); err != nil {
			return err
		}
		data = w.decode(e) // again, as the handler may have changed the values
	}
}

// retries reports whether an event that cannot be applied is tried again.
func (w *writer) retries() bool { return w.patient && w.OnFailure == Retry }

// apply applies an event to the buffer. On an error the buffer is as it was before. The
// handler owns the event.
func (w *writer) apply(ctx context.Context, e *eventstore.Event, data decoded) error {
	w.base.ctx = ctx
	tx := rows.New(w.buffer)
	err := w.handle(Tx{ctx: ctx, p: w.Projection, rows: &eventRows{rows: tx}}, e, data)
	tx.Close()
	if err != nil {
		return err
	}
	limits := w.host.store.Info().Limits
	n, size := tx.Size()
	if err := fits(n, size, limits); err != nil {
		return &HandlerError{Projection: w.name, Version: w.version, Position: e.Position, Type: e.Type, Err: err}
	}
	before, sizeBefore := w.buffer.Size()
	if fits(before+n, sizeBefore+size, limits) != nil {
		if err := w.commit(ctx, nil); err != nil {
			return err
		}
	}
	return w.buffer.Merge(tx)
}

// fits returns an error if this number of rows, or of bytes in them, is too large for one
// commit.
func fits(rows, bytes int, limits eventstore.Limits) error {
	if rows > limits.RowsPerCommit {
		return &eventstore.LimitError{What: "rows in a commit", Size: rows, Limit: limits.RowsPerCommit}
	}
	if bytes > limits.CommitBytes {
		return &eventstore.LimitError{What: "bytes of keys and values in a commit", Size: bytes, Limit: limits.CommitBytes}
	}
	return nil
}

// fail commits the events before one that could not be applied, and the failure.
func (w *writer) fail(ctx context.Context, f Failure) error {
	known := w.failure != nil && w.failure.Position == f.Position && w.failure.Reason == f.Reason
	if known && w.through == w.committed.Position {
		return nil // the checkpoint has it, from an earlier attempt
	}
	return w.commit(ctx, &f)
}

// commit commits the buffer and the position, also after the context has ended, so that
// no work is lost.
func (w *writer) commit(ctx context.Context, f *Failure) error {
	data := checkpointData{Progress: time.Now(), Failure: f}
	if w.through == w.committed.Position {
		data.Progress = readData(w.committed).Progress
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		return err
	}
	next := eventstore.Checkpoint{Position: w.through, Data: encoded}
	changes := w.buffer.Rows()
	err = w.host.store.CommitRows(context.WithoutCancel(ctx), eventstore.RowCommit{
		View: w.view(), Expected: w.committed, Checkpoint: next, Rows: changes,
	})
	if err != nil {
		w.broken = true
		return fmt.Errorf("commit position %d: %w", w.through, err)
	}
	w.failure, w.committedAt = f, time.Now()
	w.cache.Put(changes...)
	w.reset(next)
	w.publish()
	return nil
}

// finish commits what is not committed yet, and returns err, which the writer ends with
// and which may be nil. It commits nothing after a failed commit, or if the build was
// dropped or changed by another writer.
func (w *writer) finish(ctx context.Context, err error) error {
	if w.through == w.committed.Position || w.broken || errors.Is(err, errDropped) ||
		errors.Is(err, ErrReplaced) || errors.Is(err, eventstore.ErrConflict) {
		return err
	}
	switch failed := w.commit(ctx, nil); {
	case failed == nil:
		return err
	case err == nil:
		return failed
	default: // err is not wrapped: an error that matches the context's would look like a clean end
		return fmt.Errorf("%w (after the error: %s)", failed, err.Error())
	}
}

func newFailure(e *eventstore.Event, err error) Failure {
	fault := rows.NewFault(e.Position, e.Type, err)
	return Failure{Position: fault.Position, Type: fault.Type, Reason: fault.Reason, Time: time.Now().UTC()}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
