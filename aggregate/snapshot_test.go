package aggregate_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

const snapshotsView = "snapshots@aggregates"

type rowTapped struct {
	eventstore.RowStore
	taps
	getRows func() error // before rows are read
	commits atomic.Int64 // of rows
}

func (s *rowTapped) CommitRows(ctx context.Context, c eventstore.RowCommit) error {
	s.commits.Add(1)
	return s.RowStore.CommitRows(ctx, c)
}

func (s *rowTapped) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return s.tap(ctx, s.RowStore.Read(ctx, q, opts))
}

func (s *rowTapped) GetRows(ctx context.Context, view eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	if s.getRows != nil && len(keys) > 0 {
		if err := s.getRows(); err != nil {
			return eventstore.RowSet{}, err
		}
	}
	return s.RowStore.GetRows(ctx, view, keys...)
}

func snapshotting(t testing.TB, store eventstore.Store, o aggregate.Snapshots) *tallies {
	if o.Fingerprint == "" {
		o.Fingerprint = "1"
	}
	return newRepository(t, store, &aggregate.Options{Snapshots: &o})
}

// snapshotOf returns the snapshot of a tally as it is stored; nil if there is none.
func snapshotOf(t testing.TB, store eventstore.RowStore, id string) map[string]any {
	t.Helper()
	set, err := store.GetRows(t.Context(), snapshotsView, eventstore.RowKey{Table: "tally", Key: []byte("tally-" + id)})
	require.NoError(t, err)
	if set.Rows[0].Value == nil {
		return nil
	}
	var row map[string]any
	require.NoError(t, json.Unmarshal(set.Rows[0].Value, &row))
	return row
}

// put stores these bytes as the snapshot of a tally.
func put(t testing.TB, store eventstore.RowStore, id string, value []byte) {
	t.Helper()
	set, err := store.GetRows(t.Context(), snapshotsView)
	require.NoError(t, err)
	at := set.Checkpoint
	at.Position = max(at.Position, 1)
	require.NoError(t, store.CommitRows(t.Context(), eventstore.RowCommit{
		View: snapshotsView, Expected: set.Checkpoint, Checkpoint: at,
		Rows: []eventstore.Row{{RowKey: eventstore.RowKey{Table: "tally", Key: []byte("tally-" + id)}, Value: value}},
	}))
}

// alter changes a field of the snapshot of a tally.
func alter(t testing.TB, store eventstore.RowStore, id, field string, value any) {
	t.Helper()
	row := snapshotOf(t, store, id)
	row[field] = value
	altered, err := json.Marshal(row)
	require.NoError(t, err)
	put(t, store, id, altered)
}

// tally1 returns a store in which tally 1 has 10 events, a snapshot of these, and
// 2 events after it.
func tally1(t testing.TB) *rowTapped {
	store := &rowTapped{RowStore: memstore.New(nil)}
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	r := snapshotting(t, store, aggregate.Snapshots{})
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 10})
	require.NoError(t, r.Snapshot(t.Context(), "1"))
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 2})
	return store
}

func TestSnapshot_IsUsed(t *testing.T) {
	store := tally1(t)
	r := snapshotting(t, store, aggregate.Snapshots{})
	require.Equal(t, 3, store.read(func() { require.Equal(t, 12, stateOf(t, r, "1").Counts["a"]) }), "its last event, and those after it")
	require.Equal(t, 3, store.read(func() {
		result := execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
		require.Equal(t, 13, result.State.Counts["a"])
		require.Equal(t, eventstore.Version(13), result.Version)
	}))
	state, err := r.LoadAt(t.Context(), "1", 4)
	require.NoError(t, err)
	require.Equal(t, 4, state.Counts["a"], "what is asked for is older than the snapshot")

	store.commits.Store(0)
	for range 2 {
		require.NoError(t, r.Snapshot(t.Context(), "1"))
		require.EqualValues(t, 13, snapshotOf(t, store, "1")["version"])
	}
	require.EqualValues(t, 1, store.commits.Load(), "one that is there is not written again")
	require.NoError(t, r.Snapshot(t.Context(), "nothing"))
	require.Nil(t, snapshotOf(t, store, "nothing"))
	require.ErrorIs(t, r.Snapshot(t.Context(), ""), eventstore.ErrInvalid)
}

// A snapshot of another log, of another fingerprint, or of an event that is not in the log
// is not used. The next one that is due replaces it.
func TestSnapshot_ThatCannotBeUsed(t *testing.T) {
	other := tally1(t)
	for name, test := range map[string]struct {
		spoil  func(t *testing.T, store eventstore.RowStore)
		logged bool
	}{
		"another fingerprint": {func(t *testing.T, s eventstore.RowStore) { alter(t, s, "1", "fingerprint", "0") }, false},
		"another log":         {func(t *testing.T, s eventstore.RowStore) { put(t, s, "1", marshal(t, snapshotOf(t, other, "1"))) }, false},
		"another epoch": {func(t *testing.T, s eventstore.RowStore) {
			alter(t, s, "1", "log", fmt.Sprintf("%v/%d", s.Info().StoreID, s.Info().Epoch+1))
		}, false},
		"another event there": {func(t *testing.T, s eventstore.RowStore) {
			alter(t, s, "1", "event", snapshotOf(t, other, "1")["event"])
		}, true},
		"another version there": {func(t *testing.T, s eventstore.RowStore) { alter(t, s, "1", "version", 9) }, true},
		"beyond the head":       {func(t *testing.T, s eventstore.RowStore) { alter(t, s, "1", "position", 1000) }, true},
		"no position":           {func(t *testing.T, s eventstore.RowStore) { alter(t, s, "1", "position", 0) }, true},
		"another state":         {func(t *testing.T, s eventstore.RowStore) { alter(t, s, "1", "state", []int{1}) }, true},
		"no JSON":               {func(t *testing.T, s eventstore.RowStore) { put(t, s, "1", []byte("{")) }, true},
		"a damaged row": {func(_ *testing.T, s eventstore.RowStore) {
			s.(*rowTapped).getRows = func() error { return fmt.Errorf("row: %w", eventstore.ErrCorrupt) }
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := tally1(t)
			test.spoil(t, store)
			var log bytes.Buffer
			r := snapshotting(t, store, aggregate.Snapshots{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			require.LessOrEqual(t, 12, store.read(func() { require.Equal(t, 12, stateOf(t, r, "1").Counts["a"]) }), "all of it is read")
			require.Equal(t, test.logged, bytes.Contains(log.Bytes(), []byte(`level=WARN msg="snapshot cannot be read; all events are read instead" stream=tally-1`)), log.String())

			require.NoError(t, r.Snapshot(t.Context(), "1"))
			store.getRows = nil
			require.EqualValues(t, 12, snapshotOf(t, store, "1")["version"], "it is replaced")
			require.Equal(t, 1, store.read(func() { require.Equal(t, 12, stateOf(t, r, "1").Counts["a"]) }))
		})
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	content, err := json.Marshal(v)
	require.NoError(t, err)
	return content
}

func TestSnapshot_ErrorsOfTheEventsAreErrors(t *testing.T) {
	store := tally1(t)
	r := snapshotting(t, store, aggregate.Snapshots{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := r.Load(ctx, "1")
	require.ErrorIs(t, err, context.Canceled)
	appendRaw(t, store, "tally-1", eventstore.NewEvent{Type: "unknown", SchemaVersion: 1, Codec: "json"})
	_, _, err = r.Load(t.Context(), "1")
	require.ErrorContains(t, err, "position 13")
	require.Error(t, r.Snapshot(t.Context(), "1"))
}

// forgetful is a state that differs from its decoded JSON.
type forgetful struct {
	N int `json:"-"`
}

func TestSnapshots_StatesThatCannotBeStored(t *testing.T) {
	type hidden struct {
		Counts map[string]int
		closed bool //nolint:unused // it is what JSON does not store
	}
	decider := aggregate.Decider[hidden, command, event]{
		Category: "tally",
		Decide:   func(hidden, command) ([]event, error) { return nil, nil },
		Evolve:   func(s hidden, _ event) hidden { return s },
	}
	store, registry := &rowTapped{RowStore: memstore.New(nil)}, newRegistry(t)
	_, err := aggregate.NewRepository(store, registry, decider, &aggregate.Options{Snapshots: &aggregate.Snapshots{Fingerprint: "1"}})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, `Snapshots: the state cannot be stored: an unexported field is not stored; export it or tag it json:"-" (aggregate_test.hidden.closed)`)
	_, err = aggregate.NewRepository(store, registry, decider, nil)
	require.NoError(t, err, "in memory there is nothing to lose")
}

func TestSnapshot_StateThatDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &rowTapped{RowStore: memstore.New(nil)}
		var log bytes.Buffer
		r, err := aggregate.NewRepository(store, newRegistry(t), aggregate.Decider[forgetful, command, event]{
			Category: "tally",
			Decide:   func(forgetful, command) ([]event, error) { return []event{counted{N: 1}}, nil },
			Evolve:   func(s forgetful, _ event) forgetful { return forgetful{s.N + 1} },
		}, &aggregate.Options{Snapshots: &aggregate.Snapshots{Fingerprint: "1", Every: 10, Logger: slog.New(slog.NewTextHandler(&log, nil))}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.RunSnapshots(ctx) }()
		for range 25 {
			_, err := r.Execute(t.Context(), "1", count{})
			require.NoError(t, err)
			synctest.Wait()
		}
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Nil(t, snapshotOf(t, store, "1"))
		require.Equal(t, 2, bytes.Count(log.Bytes(), []byte("differs from its decoded JSON")), log.String())
		err = r.Snapshot(t.Context(), "1")
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		state, _, err := r.Load(t.Context(), "1")
		require.NoError(t, err)
		require.Equal(t, forgetful{25}, state)
	})
}

func TestSnapshots_Verify(t *testing.T) {
	store := tally1(t)
	var log bytes.Buffer
	r := snapshotting(t, store, aggregate.Snapshots{Verify: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.Equal(t, 12, stateOf(t, r, "1").Counts["a"])
	require.Empty(t, log.String())
	report, err := r.VerifySnapshots(t.Context())
	require.NoError(t, err)
	require.Equal(t, aggregate.SnapshotReport{Good: 1}, report)

	alter(t, store, "1", "state", map[string]any{"Counts": map[string]int{"a": 100}, "Closed": false})
	require.Equal(t, 102, stateOf(t, snapshotting(t, store, aggregate.Snapshots{}), "1").Counts["a"], "a lie is believed without Verify")
	require.Equal(t, 12, stateOf(t, r, "1").Counts["a"])
	require.Contains(t, log.String(), `level=ERROR msg="snapshot differs from the fold of its events; it is not used" stream=tally-1 version=10`)

	execute(t, r, t.Context(), "2", count{Name: "a", N: 1})
	require.NoError(t, r.Snapshot(t.Context(), "2"))
	alter(t, store, "2", "fingerprint", "0")
	execute(t, r, t.Context(), "3", count{Name: "a", N: 1})
	require.NoError(t, r.Snapshot(t.Context(), "3"))
	alter(t, store, "3", "event", "00")
	report, err = r.VerifySnapshots(t.Context())
	require.NoError(t, err)
	require.Equal(t, aggregate.SnapshotReport{Outdated: 1, Bad: []aggregate.BadSnapshot{
		{Stream: "tally-1", Used: true, Reason: "the fold of its events up to version 10 is another state"},
		{Stream: "tally-3", Reason: "the last event of the snapshot, version 1 at position 14, is not in the log"},
	}}, report)
	_, err = newRepository(t, store, nil).VerifySnapshots(t.Context())
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

func TestDropSnapshots(t *testing.T) {
	store := tally1(t)
	r := snapshotting(t, store, aggregate.Snapshots{})
	require.NoError(t, r.DropSnapshots(t.Context()))
	require.NoError(t, r.DropSnapshots(t.Context()), "there are none")
	for id := range 500 {
		execute(t, r, t.Context(), fmt.Sprint(id), count{Name: "a", N: 1})
		require.NoError(t, r.Snapshot(t.Context(), fmt.Sprint(id)))
	}
	alter(t, store, "7", "fingerprint", "0")
	d := decider()
	d.Category = "other"
	other, err := aggregate.NewRepository(store, newRegistry(t), d, &aggregate.Options{Snapshots: &aggregate.Snapshots{Fingerprint: "1"}})
	require.NoError(t, err)
	execute(t, other, t.Context(), "1", count{Name: "a", N: 1})
	require.NoError(t, other.Snapshot(t.Context(), "1"))

	require.NoError(t, r.DropSnapshots(t.Context()))
	report, err := r.VerifySnapshots(t.Context())
	require.NoError(t, err)
	require.Zero(t, report)
	report, err = other.VerifySnapshots(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, report.Good, "of another category")
	require.NoError(t, r.Snapshot(t.Context(), "1"))
	require.Equal(t, 13, stateOf(t, r, "1").Counts["a"])
	require.ErrorIs(t, newRepository(t, store, nil).DropSnapshots(t.Context()), eventstore.ErrInvalid)
}

func TestNewRepository_Snapshots(t *testing.T) {
	_, err := aggregate.NewRepository[tally, command, event](&intercepted{Store: newStore(t)}, newRegistry(t), decider(),
		&aggregate.Options{Snapshots: &aggregate.Snapshots{Every: -1, SlowerThan: -1}})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	for _, says := range []string{"a *aggregate_test.intercepted keeps no rows", "Fingerprint is empty", "Every is negative", "SlowerThan is negative"} {
		require.ErrorContains(t, err, says)
	}
	_, err = aggregate.NewRepository[tally, command, event](nil, newRegistry(t), decider(), &aggregate.Options{Snapshots: &aggregate.Snapshots{}})
	require.ErrorContains(t, err, "the store is nil")
}

func TestSnapshots_TwoRepositories(t *testing.T) {
	store := memstore.New(nil)
	a := snapshotting(t, store, aggregate.Snapshots{Every: 7})
	b := newCached(t, store, &aggregate.Options{MaxAttempts: 1_000, Snapshots: &aggregate.Snapshots{Fingerprint: "1", Every: 5}}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var running, wg sync.WaitGroup
	for _, r := range []*tallies{a, b} {
		running.Go(func() {
			if err := r.RunSnapshots(ctx); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		for range 2 {
			wg.Go(func() {
				r := r.WithMaxAttempts(1_000)
				for i := range 40 {
					result, err := r.Execute(t.Context(), fmt.Sprint(i%2), count{Name: "a", N: 1})
					if err != nil || result.State.Counts["a"] != int(result.Version) {
						t.Error(result, err)
					}
				}
			})
		}
	}
	wg.Wait()
	cancel()
	running.Wait()
	report, err := a.VerifySnapshots(t.Context())
	require.NoError(t, err)
	require.Equal(t, aggregate.SnapshotReport{Good: report.Good}, report)
	for id := range 2 {
		require.Equal(t, 80, stateOf(t, snapshotting(t, store, aggregate.Snapshots{}), fmt.Sprint(id)).Counts["a"])
	}
}

// Snapshots are in the file; after a restart they are used, and the file is whole.
func TestSnapshots_Restart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	open := func() *rowTapped {
		store, err := boltstore.Open(path, nil)
		require.NoError(t, err)
		return &rowTapped{RowStore: store}
	}
	store := open()
	r := snapshotting(t, store, aggregate.Snapshots{Every: 10})
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 10})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.RunSnapshots(ctx) }()
	require.Eventually(t, func() bool { return snapshotOf(t, store, "1") != nil }, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 2})
	require.NoError(t, store.Close())

	store = open()
	r = snapshotting(t, store, aggregate.Snapshots{Every: 10})
	require.Equal(t, 3, store.read(func() { require.Equal(t, 12, stateOf(t, r, "1").Counts["a"]) }))
	report, err := r.VerifySnapshots(t.Context())
	require.NoError(t, err)
	require.Equal(t, aggregate.SnapshotReport{Good: 1}, report)
	found, err := store.RowStore.(*boltstore.Store).Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, found.Findings)
	require.NoError(t, store.Close())
}

// The file as it is at any moment, as a crash leaves it, gives the same states.
func TestSnapshots_Crash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	store, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	defer store.Close()
	r := snapshotting(t, store, aggregate.Snapshots{})
	for moment := range 3 {
		execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 5})
		if moment > 0 {
			require.NoError(t, r.Snapshot(t.Context(), "1"))
		}
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		crashed := filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.WriteFile(crashed, content, 0o600))

		reopened, err := boltstore.Open(crashed, nil)
		require.NoError(t, err)
		again := snapshotting(t, reopened, aggregate.Snapshots{})
		require.Equal(t, 5*(moment+1), stateOf(t, again, "1").Counts["a"])
		report, err := again.VerifySnapshots(t.Context())
		require.NoError(t, err)
		require.Equal(t, aggregate.SnapshotReport{Good: min(moment, 1)}, report)
		execute(t, again, t.Context(), "1", count{Name: "a", N: 1})
		require.NoError(t, reopened.Close())
	}
}

// A log that was restored from a backup has other events at the same positions; no
// snapshot of the log that it replaced is used.
func TestSnapshots_RestoredLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	store, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	r := snapshotting(t, store, aggregate.Snapshots{})
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 5})
	var backup bytes.Buffer
	_, err = store.Backup(t.Context(), &backup, nil)
	require.NoError(t, err)
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 5})
	require.NoError(t, r.Snapshot(t.Context(), "1"))
	lost := snapshotOf(t, store, "1")
	require.NoError(t, store.Close())

	restored := filepath.Join(dir, "restored")
	_, err = boltstore.Restore(t.Context(), restored, nil, &backup)
	require.NoError(t, err)
	store, err = boltstore.Open(restored, nil)
	require.NoError(t, err)
	defer store.Close()
	r = snapshotting(t, store, aggregate.Snapshots{})
	execute(t, r, t.Context(), "1", count{Name: "b", N: 1, Times: 5})
	put(t, store, "1", marshal(t, lost)) // as one that survived
	require.Equal(t, map[string]int{"a": 5, "b": 5}, stateOf(t, r, "1").Counts)
}
