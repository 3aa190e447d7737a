package aggregate

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/quote"
)

// RunSnapshots writes snapshots when they are due, on the caller's goroutine, until the
// context ends. It never returns nil. It returns the context's error, after the current
// write has ended, or an error that prevents every further write: ErrClosed, ErrFailed,
// ErrReadOnly, and ErrInvalid for a repository without Snapshots. If a snapshot
// cannot be written for another reason, RunSnapshots logs that and goes on.
//
// It loads each aggregate itself, so that a snapshot holds no state that a command has
// evolved or a caller has changed. Commands only queue the aggregate. An aggregate that does
// not fit into the queue, or is in it when the program ends, is due again with its next event
// or load.
// RunSnapshots may run more than once at the same time.
func (r *Repository[S, C, E]) RunSnapshots(ctx context.Context) error {
	if err := r.keepsSnapshots(); err != nil {
		return fmt.Errorf("run snapshots: %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case next := <-r.snapshots.queue:
			err := r.snapshot(ctx, next.stream, next.kept+1)
			r.snapshots.take(next.stream)
			switch {
			case err == nil:
			case ctx.Err() != nil:
				return ctx.Err()
			case endsSnapshots(err):
				return fmt.Errorf("snapshot of stream %s: %w", quote.Name(string(next.stream)), err)
			default:
				r.snapshots.warn(ctx, "snapshot cannot be written", next.stream, err)
			}
		}
	}
}

// endsSnapshots reports whether no snapshot can be written after this error.
func endsSnapshots(err error) bool {
	return errors.Is(err, eventstore.ErrClosed) || errors.Is(err, eventstore.ErrFailed) || errors.Is(err, eventstore.ErrReadOnly)
}

// Snapshot writes a snapshot of the aggregate on the caller's goroutine, unless the stored
// one is of its last event. For an aggregate without events it writes none. Its errors are
// those of Load and of the store, and ErrInvalid for a state that differs from its decoded JSON and for a
// repository without Snapshots.
func (r *Repository[S, C, E]) Snapshot(ctx context.Context, id string) error {
	stream, err := r.stream(id)
	if err == nil {
		err = r.keepsSnapshots()
	}
	if err == nil {
		err = r.snapshot(ctx, stream, latestVersion)
	}
	if err != nil {
		return fmt.Errorf("snapshot of stream %s: %w", quote.Name(string(r.Stream(id))), err)
	}
	return nil
}

// DropSnapshots deletes all snapshots of the repository's category, of any fingerprint, a
// page at a time. Nothing is lost but time. Use it after events were erased, because states
// may hold the erased data. States in the memory of repositories are not deleted.
func (r *Repository[S, C, E]) DropSnapshots(ctx context.Context) error {
	if err := r.keepsSnapshots(); err != nil {
		return fmt.Errorf("drop snapshots: %w", err)
	}
	scan := eventstore.RowScan{Table: r.snapshots.table}
	for page, err := range r.snapshots.store.ScanRows(ctx, snapshotsView, scan) {
		if err == nil && len(page.Rows) > 0 {
			for i := range page.Rows {
				page.Rows[i].Value = nil // which deletes it
			}
			err = r.snapshots.commit(ctx, page.Checkpoint.Position, page.Rows)
		}
		if err != nil {
			return fmt.Errorf("drop snapshots: %w", err)
		}
	}
	return nil
}

func (r *Repository[S, C, E]) keepsSnapshots() error {
	if r.snapshots == nil {
		return fmt.Errorf("%w: the repository of category %s was made without Snapshots", eventstore.ErrInvalid, quote.Name(r.decider.Category))
	}
	return nil
}

// latestVersion is above the version of every aggregate.
const latestVersion = math.MaxUint64

// snapshot stores a snapshot of the aggregate as of now, unless the stored one has version
// enough or a later one.
func (r *Repository[S, C, E]) snapshot(ctx context.Context, stream eventstore.StreamID, enough eventstore.Version) error {
	at, err := r.latest(ctx, stream, r.start)
	if err != nil || at.version == 0 {
		return err
	}
	there, err := r.snapshots.get(ctx, stream)
	if err != nil {
		r.snapshots.warn(ctx, "snapshot cannot be read; it is replaced", stream, err)
	}
	if there == nil || there.Version < min(enough, at.version) {
		if there, err = r.newSnapshot(at); err != nil {
			r.snapshots.refuse(stream, at.version)
			return err
		}
		if err := r.snapshots.put(ctx, stream, *there); err != nil {
			return err
		}
	}
	if r.cache != nil {
		r.cache.snapshotted(stream, there.Version)
	}
	return nil
}

// newSnapshot returns the snapshot of a state, if the state equals its decoded JSON.
func (r *Repository[S, C, E]) newSnapshot(at image[S]) (*snapshotRow, error) {
	state, err := r.states.Encode(at.state)
	if err != nil {
		return nil, err
	}
	row := &snapshotRow{
		Fingerprint: r.snapshots.Fingerprint, Log: r.snapshots.log(),
		Version: at.version, Position: at.position, Event: hex.EncodeToString(at.event[:]), State: state,
	}
	back, err := r.openImage(row)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(back.state, at.state) {
		err = fmt.Errorf("%w: a %T differs from its decoded JSON", eventstore.ErrInvalid, at.state)
		if changed := r.states.Change(at.state, back.state); changed != nil {
			err = fmt.Errorf("%w: %w", err, changed)
		}
		return nil, err
	}
	return row, nil
}

// SnapshotReport is the result of [Repository.VerifySnapshots].
type SnapshotReport struct {
	// Good is the number of snapshots that equal the fold of their events.
	Good int
	// Outdated is the number of snapshots with another fingerprint or of another
	// log. They are not used.
	Outdated int
	// Bad are the snapshots with a fault.
	Bad []BadSnapshot
}

// BadSnapshot is a snapshot that differs from the fold of its events or cannot be read.
type BadSnapshot struct {
	Stream eventstore.StreamID
	// Reason describes the fault of the snapshot.
	Reason string
	// Used is true if a load would use the snapshot, and return a wrong state: Evolve
	// has changed since the snapshot was made, and the fingerprint has not. Loads do not
	// use any other bad snapshot.
	Used bool
}

// VerifySnapshots folds the events of each snapshot of the repository's category, and
// compares the states. It changes nothing. A row that the store finds damaged ends it with
// that error.
func (r *Repository[S, C, E]) VerifySnapshots(ctx context.Context) (SnapshotReport, error) {
	report, err := SnapshotReport{}, r.keepsSnapshots()
	if err != nil {
		return report, fmt.Errorf("verify snapshots: %w", err)
	}
	scan := eventstore.RowScan{Table: r.snapshots.table}
	for page, err := range r.snapshots.store.ScanRows(ctx, snapshotsView, scan) {
		if err != nil {
			return report, fmt.Errorf("verify snapshots: %w", err)
		}
		for _, row := range page.Rows {
			stream := eventstore.StreamID(row.Key)
			if err := r.verify(ctx, &report, stream, row.Value); err != nil {
				return report, fmt.Errorf("verify snapshot of stream %s: %w", quote.Name(string(stream)), err)
			}
		}
	}
	return report, nil
}

// verify adds a snapshot to the report. Its error is one of the events or of the store.
func (r *Repository[S, C, E]) verify(
	ctx context.Context, report *SnapshotReport, stream eventstore.StreamID, value []byte,
) error {
	bad := BadSnapshot{Stream: stream}
	var at image[S]
	row, err := r.snapshots.open(ctx, stream, value)
	if err == nil {
		at, err = r.openImage(row)
	}
	switch {
	case ctx.Err() != nil || err != nil && endsSnapshots(err):
		return err
	case errors.Is(err, errOutdated):
		report.Outdated++
		return nil
	case err != nil:
		bad.Reason = err.Error()
		report.Bad = append(report.Bad, bad)
		return nil
	}
	folded, err := r.fold(ctx, stream, r.start(), eventstore.ReadOptions{To: at.position}, nil)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(folded.state, at.state) {
		bad.Used, bad.Reason = true, fmt.Sprintf("the fold of its events up to version %d is another state", at.version)
		report.Bad = append(report.Bad, bad)
		return nil
	}
	report.Good++
	return nil
}
