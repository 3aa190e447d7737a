package aggregate

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/payload"
	"github.com/yore-es/yore/internal/quote"
)

// Snapshots are the options of a repository that stores states beside the log, in rows of
// the same store, so that a load need not begin with the first event. A snapshot is a cache:
// it is used only if it is of this log and of this fingerprint, and its last event is in the
// log. Otherwise all events are read, which is never an error. The store checks the rows'
// checksums.
//
// The state is stored as JSON. The rules for its type are those for the Go type of an event
// (package codec), and so are numbers in an any. A state that is not equal to its decoded
// copy, by reflect.DeepEqual, is not stored.
//
// Commands and loads write no snapshots, and the repository has no goroutine for it:
// [Repository.RunSnapshots] writes those that are due, and [Repository.Snapshot] a single
// one.
type Snapshots struct {
	// Fingerprint identifies the meaning of the state. It is required. Change it
	// whenever the state's type changes, or the state that Evolve and the registry's
	// upcasters make of stored events. Snapshots with another fingerprint are not
	// used, and are replaced in time.
	Fingerprint string
	// Every makes a snapshot due after this number of events since the last one. 0
	// means that the number does not matter.
	Every int
	// SlowerThan makes a snapshot due after a load that took longer. 0 means that
	// the time does not matter.
	SlowerThan time.Duration
	// Verify makes each load that finds a usable snapshot fold its events, too, and
	// compare. If the states differ, the snapshot is not used, and an Error is
	// logged. Use it in tests, and to find out whether snapshots are wrong.
	Verify bool
	// Logger receives the snapshots that could not be read, written or verified. Nil
	// is slog.Default(); for silence, use slog.DiscardHandler.
	Logger *slog.Logger
}

// snapshotsView holds the snapshots of a store, those of each category in a table.
const snapshotsView eventstore.ViewID = "snapshots@aggregates"

// snapshots are the snapshots of a repository: where they are stored, and which are due.
type snapshots struct {
	Snapshots
	store eventstore.RowStore
	table string
	queue chan due

	mu      sync.Mutex
	pending map[eventstore.StreamID]bool // in the queue or being written
	// refused are the versions at which no snapshot could be made, so that not every
	// event leads to another attempt.
	refused map[eventstore.StreamID]eventstore.Version
}

// due is an aggregate whose snapshot is to be written, unless there is a later one than
// that of version kept.
type due struct {
	stream eventstore.StreamID
	kept   eventstore.Version
}

// queueLength is the number of snapshots that may be due at the same time. More are not
// queued, and are due again with the next event.
const queueLength = 256

func newSnapshots(store eventstore.Store, category string, state reflect.Type, o Snapshots) (*snapshots, error) {
	rows, ok := store.(eventstore.RowStore)
	var faults []error
	if !ok && store != nil {
		faults = append(faults, fmt.Errorf("Snapshots: a %T keeps no rows", store))
	}
	if o.Fingerprint == "" {
		faults = append(faults, errors.New("Snapshots: Fingerprint is empty"))
	}
	if o.Every < 0 {
		faults = append(faults, errors.New("Snapshots: Every is negative"))
	}
	if o.SlowerThan < 0 {
		faults = append(faults, errors.New("Snapshots: SlowerThan is negative"))
	}
	for _, fault := range payload.Faults(state) {
		faults = append(faults, fmt.Errorf("Snapshots: the state cannot be stored: %s", fault))
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &snapshots{
		Snapshots: o, store: rows, table: category,
		queue: make(chan due, queueLength), pending: make(map[eventstore.StreamID]bool),
		refused: make(map[eventstore.StreamID]eventstore.Version),
	}, errors.Join(faults...)
}

// consider queues an aggregate if its snapshot is due, given its version, the version of
// its snapshot, and the duration of the load.
func (s *snapshots) consider(stream eventstore.StreamID, version, kept eventstore.Version, took time.Duration) {
	many := s.Every > 0 && version >= kept+eventstore.Version(s.Every)
	slow := s.SlowerThan > 0 && took > s.SlowerThan && version > kept
	if !many && !slow {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	refused, known := s.refused[stream]
	if s.pending[stream] || known && version < refused+eventstore.Version(max(s.Every, 1)) {
		return
	}
	select {
	case s.queue <- due{stream, kept}:
		s.pending[stream] = true
	default:
	}
}

// refuse records that no snapshot can be made of the aggregate at a version.
func (s *snapshots) refuse(stream eventstore.StreamID, version eventstore.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) >= queueLength {
		clear(s.refused)
	}
	s.refused[stream] = version
}

// take removes an aggregate from those that are due.
func (s *snapshots) take(stream eventstore.StreamID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, stream)
}

func (s *snapshots) warn(ctx context.Context, message string, stream eventstore.StreamID, err error) {
	s.Logger.LogAttrs(ctx, slog.LevelWarn, message, slog.String("stream", quote.Text(string(stream))), slog.Any("error", err))
}

// snapshotRow is a snapshot as it is stored.
type snapshotRow struct {
	Fingerprint string `json:"fingerprint"`
	// Log is the id of the store and its epoch.
	Log string `json:"log"`
	// Version, Position and Event are those of the last event in the state; Event is
	// its id.
	Version  eventstore.Version  `json:"version"`
	Position eventstore.Position `json:"position"`
	Event    string              `json:"event"`
	State    json.RawMessage     `json:"state"`
}

// log names the store's log: a restored one has another name.
func (s *snapshots) log() string {
	info := s.store.Info()
	return fmt.Sprintf("%v/%d", info.StoreID, info.Epoch)
}

func (s *snapshots) key(stream eventstore.StreamID) eventstore.RowKey {
	return eventstore.RowKey{Table: s.table, Key: []byte(stream)}
}

// get returns the aggregate's snapshot, or nil if there is no usable one.
func (s *snapshots) get(ctx context.Context, stream eventstore.StreamID) (*snapshotRow, error) {
	set, err := s.store.GetRows(ctx, snapshotsView, s.key(stream))
	if err != nil {
		return nil, err
	}
	value := set.Rows[0].Value
	if value == nil {
		return nil, nil
	}
	row, err := s.open(ctx, stream, value)
	if errors.Is(err, errOutdated) {
		return nil, nil
	}
	return row, err
}

// errOutdated means that a snapshot has another fingerprint or is of another log.
var errOutdated = errors.New("the snapshot has another fingerprint, or is of another log")

// open returns the snapshot in a row, or why it must not be used.
func (s *snapshots) open(ctx context.Context, stream eventstore.StreamID, value []byte) (*snapshotRow, error) {
	var row snapshotRow
	if err := json.Unmarshal(value, &row); err != nil {
		return nil, fmt.Errorf("decode the snapshot: %w", err)
	}
	if row.Fingerprint != s.Fingerprint || row.Log != s.log() {
		return nil, errOutdated
	}
	if row.Position == 0 || row.Version == 0 {
		return nil, errors.New("the snapshot has no last event")
	}
	last := eventstore.ReadOptions{From: row.Position, To: row.Position}
	for stored, err := range s.store.Read(ctx, eventstore.Stream(stream), last) {
		if err != nil {
			return nil, err
		}
		if stored.Version == row.Version && hex.EncodeToString(stored.ID[:]) == row.Event {
			return &row, nil
		}
	}
	return nil, fmt.Errorf("the last event of the snapshot, version %d at position %d, is not in the log", row.Version, row.Position)
}

// put stores a snapshot.
func (s *snapshots) put(ctx context.Context, stream eventstore.StreamID, row snapshotRow) error {
	value, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return s.commit(ctx, row.Position, []eventstore.Row{{RowKey: s.key(stream), Value: value}})
}

// commit changes rows of the view, and moves its checkpoint, which all categories share, to
// the position if it is before it.
func (s *snapshots) commit(ctx context.Context, position eventstore.Position, rows []eventstore.Row) error {
	return retried(ctx, defaultMaxAttempts, nil, nil, func(ctx context.Context) (again bool, err error) {
		set, err := s.store.GetRows(ctx, snapshotsView)
		if err != nil {
			return false, err
		}
		err = s.store.CommitRows(ctx, eventstore.RowCommit{
			View: snapshotsView, Expected: set.Checkpoint,
			Checkpoint: eventstore.Checkpoint{Position: max(set.Checkpoint.Position, position)},
			Rows:       rows,
		})
		return errors.Is(err, eventstore.ErrConflict), err
	})
}

// fromSnapshot returns the aggregate's snapshot, and whether there is a usable one. A
// snapshot that cannot be read is no error.
func (r *Repository[S, C, E]) fromSnapshot(
	ctx context.Context, stream eventstore.StreamID,
) (at image[S], usable bool, err error) {
	row, err := r.snapshots.get(ctx, stream)
	if err == nil && row != nil {
		at, err = r.openImage(row)
	}
	switch {
	case ctx.Err() != nil:
		return image[S]{}, false, ctx.Err()
	case err != nil:
		r.snapshots.warn(ctx, "snapshot cannot be read; all events are read instead", stream, err)
		return image[S]{}, false, nil
	case row == nil:
		return image[S]{}, false, nil
	case !r.snapshots.Verify:
		return at, true, nil
	}
	folded, err := r.fold(ctx, stream, r.start(), eventstore.ReadOptions{To: at.position}, nil)
	if err != nil {
		return image[S]{}, false, err
	}
	if !reflect.DeepEqual(folded.state, at.state) {
		r.snapshots.Logger.LogAttrs(ctx, slog.LevelError, "snapshot differs from the fold of its events; it is not used",
			slog.String("stream", quote.Text(string(stream))), slog.Uint64("version", uint64(at.version)))
		return image[S]{}, false, nil
	}
	return at, true, nil
}

// openImage returns the image in a snapshot.
func (r *Repository[S, C, E]) openImage(row *snapshotRow) (image[S], error) {
	state, err := r.states.Decode(row.State)
	if err != nil {
		return image[S]{}, fmt.Errorf("decode the state in the snapshot: %w", err)
	}
	at := image[S]{state: state, version: row.Version, position: row.Position, kept: row.Version}
	_, err = hex.Decode(at.event[:], []byte(row.Event))
	return at, err
}
