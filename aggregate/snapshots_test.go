package aggregate_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

func TestRunSnapshots_Every(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		r := snapshotting(t, store, aggregate.Snapshots{Every: 10})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.RunSnapshots(ctx) }()

		for version := range 35 {
			execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
			synctest.Wait()
			row := snapshotOf(t, store, "1")
			if version+1 < 10 {
				require.Nil(t, row)
				continue
			}
			require.EqualValues(t, (version+1)/10*10, row["version"])
			require.EqualValues(t, (version+1)/10*10, row["state"].(map[string]any)["Counts"].(map[string]any)["a"])
		}
		_, err := aggregate.ExecuteAll(t.Context(), r.Part(t.Context(), "1", count{Name: "a", N: 1, Times: 5}, nil))
		require.NoError(t, err)
		synctest.Wait()
		require.EqualValues(t, 40, snapshotOf(t, store, "1")["version"])

		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 20})
		synctest.Wait()
		require.EqualValues(t, 40, snapshotOf(t, store, "1")["version"], "only RunSnapshots writes snapshots")
	})
}

func TestRunSnapshots_AfterALoadThatFoundItDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(nil)
		execute(t, newRepository(t, store, nil), t.Context(), "1", count{Name: "a", N: 1, Times: 20})
		r := newCached(t, store, &aggregate.Options{Snapshots: &aggregate.Snapshots{Fingerprint: "1", Every: 10}}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.RunSnapshots(ctx) }()
		stateOf(t, r, "1")
		synctest.Wait()
		require.EqualValues(t, 20, snapshotOf(t, store, "1")["version"])
		for range 9 {
			execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
		}
		synctest.Wait()
		require.EqualValues(t, 20, snapshotOf(t, store, "1")["version"], "the state in memory knows of the snapshot")
		execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
		synctest.Wait()
		require.EqualValues(t, 30, snapshotOf(t, store, "1")["version"])
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

func TestRunSnapshots_SlowerThan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &rowTapped{RowStore: memstore.New(nil)}
		r := snapshotting(t, store, aggregate.Snapshots{SlowerThan: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.RunSnapshots(ctx) }()
		took := time.Second
		store.before = func(context.Context, int64) error { time.Sleep(took); return nil }
		execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
		stateOf(t, r, "1")
		synctest.Wait()
		require.Nil(t, snapshotOf(t, store, "1"))
		took++
		stateOf(t, r, "1")
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, snapshotOf(t, store, "1")["version"])
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// Snapshots are written slowly, and more are due than the queue holds: commands do not wait,
// what does not fit is skipped, and is due again later.
func TestRunSnapshots_BusyWriterDelaysNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &rowTapped{RowStore: memstore.New(nil)}
		r := snapshotting(t, store, aggregate.Snapshots{Every: 1})
		began := time.Now()
		const ids = 300
		for id := range ids {
			for range 2 {
				execute(t, r, t.Context(), fmt.Sprint(id), count{Name: "a", N: 1})
			}
		}
		require.Zero(t, time.Since(began))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2 { // more than one may run
			wg.Go(func() { require.ErrorIs(t, r.RunSnapshots(ctx), context.Canceled) })
		}
		time.Sleep(time.Minute) // two that change the view at the same time wait a little
		count256 := 0
		for id := range ids {
			if snapshotOf(t, store, fmt.Sprint(id)) != nil {
				count256++
			}
		}
		require.Equal(t, 256, count256)
		stateOf(t, r, "299")
		time.Sleep(time.Minute)
		require.NotNil(t, snapshotOf(t, store, "299"))
		cancel()
		wg.Wait()
	})
}

func TestRunSnapshots_Ends(t *testing.T) {
	store := memstore.New(nil)
	require.ErrorIs(t, newRepository(t, store, nil).RunSnapshots(t.Context()), eventstore.ErrInvalid)
	require.ErrorIs(t, newRepository(t, store, nil).Snapshot(t.Context(), "1"), eventstore.ErrInvalid)
	r := snapshotting(t, store, aggregate.Snapshots{Every: 1})
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
	require.NoError(t, store.Close())
	require.ErrorIs(t, r.RunSnapshots(t.Context()), eventstore.ErrClosed)
}

// A nil Logger is the default one, so that failures are seen.
func TestSnapshots_NilLoggerIsTheDefault(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	var log bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	store := tally1(t)
	put(t, store, "1", []byte("{"))
	stateOf(t, snapshotting(t, store, aggregate.Snapshots{}), "1")
	require.Contains(t, log.String(), "snapshot cannot be read")

	log.Reset()
	stateOf(t, snapshotting(t, store, aggregate.Snapshots{Logger: slog.New(slog.DiscardHandler)}), "1")
	require.Empty(t, log.String())
}
