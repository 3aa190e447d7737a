package projection_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// logged keeps the errors that are logged, with their messages.
type logged struct {
	mu      sync.Mutex
	records []map[string]any
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }
func (l *logged) WithAttrs([]slog.Attr) slog.Handler       { panic("not used") }
func (l *logged) WithGroup(string) slog.Handler            { panic("not used") }
func (l *logged) Handle(_ context.Context, r slog.Record) error {
	record := map[string]any{slog.MessageKey: r.Message, slog.LevelKey: r.Level}
	r.Attrs(func(a slog.Attr) bool {
		record[a.Key] = a.Value.Any()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, record)
	return nil
}

// all returns the errors that were logged.
func (l *logged) all() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, record := range l.records {
		errs = append(errs, record["error"].(error))
	}
	return errs
}

// only returns the error that was logged, and was the only one.
func (l *logged) only(t testing.TB, message string) error {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Len(t, l.records, 1)
	require.Equal(t, message, l.records[0][slog.MessageKey])
	return l.records[0]["error"].(error)
}

// failing returns a projection that fails on every event from a position on.
func failing(from eventstore.Position, fail func() error) *projection.Projection {
	p := projection.New("failing", 1)
	projection.On(p, func(_ projection.Tx, e fold.Event[ItemAdded]) error {
		if e.Position < from {
			return nil
		}
		return fail()
	})
	return p
}

func TestNewHost_AllFaultsAtOnce(t *testing.T) {
	for said, store := range map[string]eventstore.RowStore{"nil": nil, "a nil *memstore.Store": (*memstore.Store)(nil)} {
		_, err := projection.NewHost(store, nil, &projection.Options{MinBackoff: -1})
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.EqualError(t, err, "invalid: host of projections: the store is "+said+"\nthe registry is nil\nMinBackoff -1ns is negative or above MaxBackoff 30s")
	}
	_, err := projection.NewHost(newStore(t), shopRegistry(t), &projection.Options{MinBackoff: time.Minute})
	require.EqualError(t, err, "invalid: host of projections: MinBackoff 1m0s is negative or above MaxBackoff 30s")
	_, err = projection.NewHost(newStore(t), shopRegistry(t), &projection.Options{MaxBackoff: time.Nanosecond})
	require.ErrorIs(t, err, eventstore.ErrInvalid)

	_, err = projection.Build(t.Context(), (*memstore.Store)(nil), nil, nil, nil)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.EqualError(t, err, "invalid: the projection is nil\ninvalid: the registry is nil\ninvalid: the store is a nil *memstore.Store")
	_, err = projection.Build(t.Context(), nil, nil, projection.New("p", 1), nil)
	require.EqualError(t, err, "invalid: projection \"p\": the registry is nil\nit has no handlers\ninvalid: the store is nil")
}

// TestHost_Projections: every method refuses no projections, a nil one and the same one
// twice, with all other faults.
func TestHost_Projections(t *testing.T) {
	views, wrong, s := newHost(t, newStore(t), shopRegistry(t)), projection.New("wrong", 1), newSales(1).Projection
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rebuild := func(ctx context.Context, ps ...*projection.Projection) error { return views.Rebuild(ctx, nil, ps...) }
	for _, do := range []func(context.Context, ...*projection.Projection) error{views.Run, views.CatchUp, views.Attach, rebuild} {
		require.EqualError(t, do(ctx), "invalid: no projections")
		err := do(ctx, nil, wrong, s, s)
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		for _, fault := range []string{"the projection is nil", `projection "wrong": it has no handlers`, `projection "sales`, "is given twice"} {
			require.ErrorContains(t, err, fault)
		}
	}
	require.ErrorContains(t, rebuild(ctx, s, newSales(2).Projection), `projection "sales" is given twice`)
	require.EqualError(t, views.Ready(ctx), "invalid: no projections")
	require.EqualError(t, views.Wait(ctx, 3, s, nil), "invalid: projection 2 of 2 is nil")
	_, err := views.Status(ctx, nil)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

// TestRun_StopsAndOthersGoOn: one projection stops at an event, for good; the other
// goes on until the context ends.
func TestRun_StopsAndOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, shop, s, logs := newStore(t), shopRegistry(t), newShop(1), newSales(1), &logged{}
		views := newHostWith(t, store, registry, projection.Options{Logger: slog.New(logs)})
		var tries int
		var counts map[string]int
		wrong := failing(0, func() error {
			tries++
			counts["x"]++ // panics
			return nil
		})
		run := start(t, func(ctx context.Context) error { return views.Run(ctx, wrong, s.Projection) })
		shop.trade(t, store, 100)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 1, tries, "it is not tried again")
		shop.trade(t, store, 100)
		waitFor(t, views, s.Projection)
		s.requireHead(t, store)

		var failed *projection.HandlerError
		require.ErrorAs(t, logs.only(t, "projection stopped"), &failed)
		record := logs.records[0]
		require.Equal(t, slog.LevelError, record[slog.LevelKey])
		require.Equal(t, "failing", record["projection"])
		require.Contains(t, record["stack"], "host_test.go")
		status, err := views.Status(t.Context(), wrong)
		require.NoError(t, err)
		require.Equal(t, failed.Position, status.Failure.Position)
		require.Equal(t, "panic: assignment to entry in nil map", status.Failure.Reason)

		err = run.end(t)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "failing", failed.Projection)
		require.Equal(t, head(t, store), s.require(t, store, nil), "what was done is committed")
	})
}

// TestRun_EndsWithTheLast: Run does not wait for its context when all projections have
// stopped.
func TestRun_EndsWithTheLast(t *testing.T) {
	store, registry, one, two := newStore(t), shopRegistry(t), newSales(1), newSales(2)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 100)
	require.NoError(t, views.CatchUp(t.Context(), two.Projection))
	err := views.Run(t.Context(), one.Projection, failing(0, func() error { return errors.New("wrong") }))
	var failed *projection.HandlerError
	require.ErrorAs(t, err, &failed)
	require.ErrorIs(t, err, projection.ErrReplaced)
	require.NoError(t, t.Context().Err())
}

// flaky is a store whose first commits of rows fail.
type flaky struct {
	eventstore.RowStore
	fails int
}

func (f *flaky) CommitRows(ctx context.Context, c eventstore.RowCommit) error {
	if f.fails > 0 {
		f.fails--
		return errInjected
	}
	return f.RowStore.CommitRows(ctx, c)
}

// TestRun_TriesAgain after errors that may pass: after a second, two, four, and at most
// five. After a run that applied events, the wait is a second again.
func TestRun_TriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, registry, s, logs := &flaky{RowStore: newStore(t)}, shopRegistry(t), newSales(1), &logged{}
		views := newHostWith(t, store, registry, projection.Options{
			Logger: slog.New(logs), MinBackoff: time.Second, MaxBackoff: 5 * time.Second,
		})
		run := start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		require.NoError(t, views.Ready(t.Context(), s.Projection))
		for fails, took := range []time.Duration{0, 1e9, 3e9, 7e9, 12e9, 17e9} {
			synctest.Wait()
			store.fails = fails
			begin := time.Now()
			add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			require.NoError(t, views.Wait(ctx, head(t, store), s.Projection))
			cancel()
			require.Equal(t, took, time.Since(begin))
		}
		s.requireHead(t, store)
		require.Len(t, logs.all(), 0+1+2+3+4+5)
		require.Equal(t, slog.LevelWarn, logs.records[14][slog.LevelKey])
		require.Equal(t, 5*time.Second, logs.records[14]["retry in"])
		synctest.Wait()
		require.EqualError(t, run.end(t), "context canceled", "it is well again")
	})
}

// TestRun_SaysWhatItLastFailedWith if it ends before the projection has recovered.
func TestRun_SaysWhatItLastFailedWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := &flaky{RowStore: newStore(t), fails: 1e6}, newSales(1)
		views := newHost(t, store, shopRegistry(t))
		run := start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection) })
		time.Sleep(time.Minute)
		err := run.end(t)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, errInjected)
	})
}

// TestRun_FailureThatCannotBeRecorded: the handler has failed on an event, but the store
// cannot record that, so the projection is run again.
func TestRun_FailureThatCannotBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, logs := &flaky{RowStore: newStore(t)}, &logged{}
		views := newHostWith(t, store, shopRegistry(t), projection.Options{Logger: slog.New(logs)})
		wrong := failing(0, func() error { return errors.New("wrong") })
		run := start(t, func(ctx context.Context) error { return views.Run(ctx, wrong) })
		require.NoError(t, views.Ready(t.Context(), wrong))
		synctest.Wait()
		store.fails = 2
		add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
		var failed *projection.HandlerError
		require.ErrorAs(t, run.ended(t), &failed)
		require.Len(t, logs.all(), 3)
		require.ErrorIs(t, logs.all()[1], errInjected)
		require.ErrorContains(t, logs.all()[1], `record a failure (projection "failing" version 1: type "cart.item-added" at position 1: wrong): `)
		status, err := views.Status(t.Context(), wrong)
		require.NoError(t, err)
		require.Equal(t, "wrong", status.Failure.Reason)
	})
}

func TestRun_EndsWithTheStore(t *testing.T) {
	store, registry, s, m := memstore.New(nil), shopRegistry(t), newSales(1), newMembers()
	views := newHost(t, store, registry)
	run := start(t, func(ctx context.Context) error { return views.Run(ctx, s.Projection, m.Projection) })
	waitFor(t, views, s.Projection)
	require.NoError(t, store.Close())
	require.ErrorIs(t, run.ended(t), eventstore.ErrClosed)
}

// TestCatchUp_Many: all projections reach the head but the one that fails.
func TestCatchUp_Many(t *testing.T) {
	store, s, m := newStore(t), newSales(1), newMembers()
	views := newHost(t, store, shopRegistry(t))
	newShop(1).trade(t, store, 1000)
	m.OnFailure = projection.Skip
	wrong := failing(500, func() error { return errors.New("wrong") })
	err := views.CatchUp(t.Context(), s.Projection, wrong, m.Projection)
	var failed *projection.HandlerError
	require.ErrorAs(t, err, &failed)
	require.Equal(t, "failing", failed.Projection)
	s.requireHead(t, store)
	requireState(t, views, m.Projection, projection.Live)
	requireState(t, views, wrong, projection.Rebuilding)
	require.NoError(t, views.CatchUp(t.Context(), s.Projection, m.Projection))
}

// TestAttach_Many: a projection that cannot be attached does not keep the others from it.
func TestAttach_Many(t *testing.T) {
	store, s := newStore(t), newSales(1)
	views := newHost(t, store, shopRegistry(t))
	newShop(1).trade(t, store, 100)
	wrong := failing(50, func() error { return errors.New("wrong") })
	require.ErrorIs(t, views.Attach(t.Context(), wrong, s.Projection), eventstore.ErrFaulted)
	newShop(2).trade(t, store, 100)
	s.requireHead(t, store)
}
