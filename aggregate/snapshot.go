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
)

// Snapshots say how a repository keeps states beside the log, in rows of the same
// store, so that a load need not begin with the first event. A snapshot is a
// cache: it is used only if it is of this log and of this fingerprint, and the
// event that it says it was made at is there; in any other case the events are
// read from the first one on, which is never an error. Rows are checksummed by the
// store.
//
// The state is stored as JSON. One that does not come back from it as it was, by
// reflect.DeepEqual, is not stored: unexported fields, for instance, get lost.
//
// Nothing is written while a command or a load runs, nor by a goroutine of the
// repository's own: what is due is written by [Repository.RunSnapshots], and what
// is asked for by [Repository.Snapshot].
type Snapshots struct {
	// Fingerprint names what the state means: change it whenever the state's type
	// changes, or what Evolve or the registry's upcasters make of a stored event.
	// Snapshots of another one are not used, and replaced in time. Not empty.
	Fingerprint string
	// Every makes a snapshot due when the aggregate has so many events that are in
	// none; 0: the number does not matter.
	Every int
	// SlowerThan makes a snapshot due after a load that took longer than this; 0: the
	// time does not matter.
	SlowerThan time.Duration
	// Verify makes every load that finds a usable snapshot fold the events that
	// are in it too, and compare. If they differ, the snapshot is not used and the
	// Logger is told, at level Error. It is for tests and for a time of doubt.
	Verify bool
	// Logger is told of snapshots that could not be read, written or verified; nil is
	// slog.Default(). slog.DiscardHandler makes one that is silent.
	Logger *slog.Logger
}

// snapshotsView holds the snapshots of all categories of a store, each in a table.
const snapshotsView eventstore.ViewID = "snapshots@aggregates"

// snapshots is where a repository's are, and which are due.
type snapshots struct {
	Snapshots
	store eventstore.RowStore
	table string
	queue chan due

	mu      sync.Mutex
	pending map[eventstore.StreamID]bool // in the queue or being written
	// refused are the versions of which no snapshot could be made, so that it is
	// not tried again with every event.
	refused map[eventstore.StreamID]eventstore.Version
}

// due is an aggregate of which a snapshot shall be written, unless there is one
// that is newer than kept.
type due struct {
	stream eventstore.StreamID
	kept   eventstore.Version
}

// queued is how many snapshots may be due; what is due beyond is skipped, and is
// due again with the next event.
const queued = 256

func newSnapshots(store eventstore.Store, category string, o Snapshots) (*snapshots, error) {
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
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &snapshots{
		Snapshots: o, store: rows, table: category,
		queue: make(chan due, queued), pending: make(map[eventstore.StreamID]bool),
		refused: make(map[eventstore.StreamID]eventstore.Version),
	}, errors.Join(faults...)
}

// consider puts the aggregate in the queue if a snapshot is due: it is at a
// version, kept is that of its snapshot, and to load it took so long.
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

// refuse says that no snapshot can be made of the aggregate at a version.
func (s *snapshots) refuse(stream eventstore.StreamID, version eventstore.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) >= queued {
		clear(s.refused)
	}
	s.refused[stream] = version
}

// take says that what was due is done with.
func (s *snapshots) take(stream eventstore.StreamID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, stream)
}

func (s *snapshots) warn(ctx context.Context, message string, stream eventstore.StreamID, err error) {
	s.Logger.LogAttrs(ctx, slog.LevelWarn, message, slog.String("stream", string(stream)), slog.Any("error", err))
}

// snapshotRow is a snapshot as it is stored.
type snapshotRow struct {
	Fingerprint string `json:"fingerprint"`
	// Log is the id of the store and its epoch.
	Log string `json:"log"`
	// Version and Position are those of the last event in the state, Event is its id.
	Version  eventstore.Version  `json:"version"`
	Position eventstore.Position `json:"position"`
	Event    string              `json:"event"`
	State    json.RawMessage     `json:"state"`
}

// log names the log that the store has now.
func (s *snapshots) log() string {
	info := s.store.Info()
	return fmt.Sprintf("%v/%d", info.StoreID, info.Epoch)
}

func (s *snapshots) key(stream eventstore.StreamID) eventstore.RowKey {
	return eventstore.RowKey{Table: s.table, Key: []byte(stream)}
}

// get returns the aggregate's snapshot, nil if there is none that can be used.
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

// errOutdated says that a snapshot is of another fingerprint or of another log.
var errOutdated = errors.New("the snapshot is of another fingerprint or another log")

// open returns the snapshot in a row, or why it must not be used.
func (s *snapshots) open(ctx context.Context, stream eventstore.StreamID, value []byte) (*snapshotRow, error) {
	var row snapshotRow
	if err := json.Unmarshal(value, &row); err != nil {
		return nil, fmt.Errorf("the snapshot: %w", err)
	}
	if row.Fingerprint != s.Fingerprint || row.Log != s.log() {
		return nil, errOutdated
	}
	if row.Position == 0 || row.Version == 0 {
		return nil, errors.New("the snapshot is of no event")
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
	return nil, fmt.Errorf("the snapshot is of version %d at position %d, and that event is not there", row.Version, row.Position)
}

// put stores a snapshot.
func (s *snapshots) put(ctx context.Context, stream eventstore.StreamID, row snapshotRow) error {
	value, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return s.commit(ctx, row.Position, []eventstore.Row{{RowKey: s.key(stream), Value: value}})
}

// commit changes rows of the view, whose checkpoint is at least at the position. It
// is moved by the snapshots of all categories.
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

// fromSnapshot returns the aggregate as its snapshot has it, and whether there is
// one to use. Its error is one that a load without snapshots would have had.
func (r *Repository[S, C, E]) fromSnapshot(
	ctx context.Context, stream eventstore.StreamID,
) (at image[S], usable bool, err error) {
	row, err := r.snapshots.get(ctx, stream)
	if err == nil && row != nil {
		at, err = openImage[S](row)
	}
	switch {
	case ctx.Err() != nil:
		return image[S]{}, false, ctx.Err()
	case err != nil:
		r.snapshots.warn(ctx, "snapshot cannot be read; the events are", stream, err)
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
		r.snapshots.Logger.LogAttrs(ctx, slog.LevelError, "snapshot is not what the events come to; it is not used",
			slog.String("stream", string(stream)), slog.Uint64("version", uint64(at.version)))
		return image[S]{}, false, nil
	}
	return at, true, nil
}

// openImage returns what a snapshot has kept.
func openImage[S any](row *snapshotRow) (image[S], error) {
	at := image[S]{version: row.Version, position: row.Position, kept: row.Version}
	if err := json.Unmarshal(row.State, &at.state); err != nil {
		return image[S]{}, fmt.Errorf("the state in the snapshot: %w", err)
	}
	_, err := hex.Decode(at.event[:], []byte(row.Event))
	return at, err
}
