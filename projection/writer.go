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

// writer writes one build: it applies events to a buffer, and commits the buffer
// with the position that it has come to.
//
// All that was applied since the last commit is in the buffer, and nowhere else:
// whatever happens to the process or to a commit, the build is the fold of the
// log up to its checkpoint, and the writer that goes on from there doubles nothing
// and skips nothing. Another writer of the same build is noticed by the checkpoint
// that is expected, at the latest by the commit.
type writer struct {
	*definition
	host  *Host
	build build
	live  bool // the build is the one that is read
	// patient says that an event that fails is tried again if the projection's
	// policy is Retry.
	patient bool

	committed   eventstore.Checkpoint
	committedAt time.Time
	failure     *Failure // that is in the checkpoint
	broken      bool     // a commit failed

	base    *storedRows
	cache   *rows.Cache // of base: what the writer has read and committed
	buffer  *rows.Buffer
	through eventstore.Position // applied
	began   time.Time           // when the first row since the last commit was changed
}

// A writer that is behind commits after this number of rows or bytes that have
// changed since the last commit, or after this time.
const (
	batchRows  = 16_384
	batchBytes = 8 << 20
	batchTime  = time.Second / 4
)

// When no row has changed, a writer commits its position alone after this number of
// positions since the last commit, or after this time when it is woken. Until then
// it is behind in the store only: the events in between are read again after a
// restart.
const (
	idlePositions = 4096
	idleTime      = 10 * time.Second
)

// checkpointData is what a writer keeps in Checkpoint.Data.
type checkpointData struct {
	// Progress is when the position last changed.
	Progress time.Time `json:"progress"`
	// Failure is what came next and could not be applied.
	Failure *Failure `json:"failure,omitempty"`
}

// newWriter returns a writer that goes on where the build stands.
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

// open returns the checkpoint of a build. A build without one is new: it has no rows, and
// gets its first checkpoint. A build with a fault is a *eventstore.FaultedError.
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
	if errors.Is(err, errMoved) || errors.Is(err, ErrReplaced) { // it was dropped before, and would not be again
		err = errors.Join(err, h.dropView(context.WithoutCancel(ctx), view))
	}
	return at, true, err
}

// readData returns what is in a checkpoint's Data, as far as it can be read.
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

// feed applies those of the events that are not applied yet, and commits whenever
// there is enough to.
func (w *writer) feed(ctx context.Context, events []reading) error {
	for i := range events {
		r := &events[i]
		if r.event.Position <= w.through {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if w.clean() {
			w.began = time.Now()
		}
		if err := w.take(ctx, r); err != nil {
			return err
		}
		if w.through = r.event.Position; w.full() {
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

// reach says that all events up to a position were fed, and commits if that is
// due: at the head, or after much that was not committed.
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

// publish reports how far the build is, if it is the one that is read.
func (w *writer) publish() {
	switch {
	case !w.live:
	case w.clean():
		w.host.report(w.Projection, w.build, w.through)
	default:
		w.host.report(w.Projection, w.build, w.committed.Position)
	}
}

// take applies an event, or does with it what the projection's policy says.
func (w *writer) take(ctx context.Context, r *reading) error {
	e, data := r.event, r.decode()
	if errors.Is(data.err, errNotDecoded) {
		return data.err
	}
	for wait := w.host.backoff.min; ; wait = min(2*wait, w.host.backoff.max) {
		own := *e
		if r.kept {
			own.Data, own.Tags, own.Metadata = bytes.Clone(e.Data), slices.Clone(e.Tags), maps.Clone(e.Metadata)
		}
		err := w.apply(ctx, &own, data)
		var failed *HandlerError
		if !errors.As(err, &failed) {
			return err
		}
		failure := newFailure(e, failed.Err)
		if w.OnFailure == Skip {
			return noteSkipped(w.buffer, failure)
		}
		if err := w.fail(ctx, failure); err != nil { // it is tried again, and noted then
			return fmt.Errorf("%w (to note the failure: %s)", err, failed.Error())
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
		data = w.decode(e) // the handler may have changed what it was given
	}
}

// retries reports whether an event that fails is tried again.
func (w *writer) retries() bool { return w.patient && w.OnFailure == Retry }

// apply applies an event to the buffer, or leaves the buffer as it was. The event is
// the handler's from then on.
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

// fits returns an error if this number of rows, or of their bytes, is too large for
// one commit.
func fits(rows, bytes int, limits eventstore.Limits) error {
	if rows > limits.RowsPerCommit {
		return &eventstore.LimitError{What: "rows in a commit", Size: rows, Limit: limits.RowsPerCommit}
	}
	if bytes > limits.CommitBytes {
		return &eventstore.LimitError{What: "bytes of keys and values in a commit", Size: bytes, Limit: limits.CommitBytes}
	}
	return nil
}

// fail commits what came before an event that failed, and what it failed on.
func (w *writer) fail(ctx context.Context, f Failure) error {
	known := w.failure != nil && w.failure.Position == f.Position && w.failure.Reason == f.Reason
	if known && w.through == w.committed.Position {
		return nil // tried again, to the same end
	}
	return w.commit(ctx, &f)
}

// commit commits the buffer and the position. The context's end does not keep it
// from being done: it is what was done already.
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
		return fmt.Errorf("commit of position %d: %w", w.through, err)
	}
	w.failure, w.committedAt = f, time.Now()
	w.cache.Put(changes...)
	w.reset(next)
	w.publish()
	return nil
}

// finish commits what was applied and not committed, when the writer ends with
// err, which may be nil: unless a commit failed, or the build is another's.
func (w *writer) finish(ctx context.Context, err error) error {
	if w.through == w.committed.Position || w.broken || errors.Is(err, errMoved) ||
		errors.Is(err, ErrReplaced) || errors.Is(err, eventstore.ErrConflict) {
		return err
	}
	switch failed := w.commit(ctx, nil); {
	case failed == nil:
		return err
	case err == nil:
		return failed
	default: // not as one that matches the end of the context: it did not end well
		return fmt.Errorf("%w (at the end, which came from: %s)", failed, err.Error())
	}
}

func newFailure(e *eventstore.Event, err error) Failure {
	fault := rows.NewFault(*e, err)
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
