package boltstore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// watch returns the view with a Changed that sends to the channel.
func watch(v eventstore.InlineView) (eventstore.InlineView, <-chan struct{}) {
	changed := make(chan struct{}, 1000)
	v.Changed = func() { changed <- struct{}{} }
	return v, changed
}

// overrunning returns a view that counts events, and overruns when overrun says so.
func overrunning(overrun func() bool) (eventstore.InlineView, <-chan struct{}) {
	v, changed := watch(counter("count"))
	count := v.Apply
	v.Timeout = 500 * time.Millisecond
	v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		if overrun() {
			<-ctx.Done()
			return ctx.Err()
		}
		return count(ctx, tx, events)
	}
	return v, changed
}

// requireAttached waits until the view is not late any more.
func requireAttached(t *testing.T, s *boltstore.Store, changed <-chan struct{}) {
	t.Helper()
	for {
		set, err := s.GetRows(t.Context(), "count")
		require.NoError(t, err)
		if set.Late == nil {
			return
		}
		<-changed
	}
}

// TestLate_IsLogged: that a view is late, and that it is attached again, is logged; Append
// returns no error.
func TestLate_IsLogged(t *testing.T) {
	var said bytes.Buffer
	s, err := boltstore.Open(logPath(t), &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	require.NoError(t, err)
	var calls atomic.Int32
	v, changed := overrunning(func() bool { return calls.Add(1) == 1 })
	require.NoError(t, s.Attach(t.Context(), v))
	appendEvents(t, s, "s", 1)
	appendEvents(t, s, "s", 1)
	<-changed
	requireAttached(t, s, changed)
	requireCount(t, s, "count", 2, 2)
	require.NoError(t, s.Close())
	require.Equal(t, 2, strings.Count(said.String(), "\n"), said.String())
	require.Contains(t, said.String(), `level=WARN msg="a view has run out of time`)
	require.Contains(t, said.String(), `level=INFO msg="a late view is attached again`)
	require.Contains(t, said.String(), "time was up")
}

// TestLate_FarBehind: a view that is far behind when its run ends catches up in steps, and
// counts each event once, while events are appended.
func TestLate_FarBehind(t *testing.T) {
	s := open(t, logPath(t), nil)
	release := make(chan struct{})
	var calls atomic.Int32
	v, changed := watch(counter("count"))
	count := v.Apply
	v.Timeout = 200 * time.Millisecond
	v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		if calls.Add(1) == 3 {
			<-release
		}
		return count(ctx, tx, events)
	}
	require.NoError(t, s.Attach(t.Context(), v))
	for range 30 {
		appendEvents(t, s, "s", 400)
	}
	<-changed
	require.EqualValues(t, 3, calls.Load())
	requireCount(t, s, "count", 800, 800)
	close(release)
	for n := 12000; ; n++ {
		set, err := s.GetRows(t.Context(), "count")
		require.NoError(t, err)
		if set.Late == nil {
			requireCount(t, s, "count", n, n)
			return
		}
		appendEvents(t, s, "s", 1)
	}
}

// TestLate_CommitFails: a run that has overrun is at work when the transaction fails that
// would have detached its view. The next group does not begin another one.
func TestLate_CommitFails(t *testing.T) {
	path := logPath(t)
	s := open(t, path, nil)
	release := make(chan struct{})
	var running, calls atomic.Int32
	v, changed := watch(counter("count"))
	count := v.Apply
	v.Timeout = 50 * time.Millisecond
	v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		if running.Add(1) > 1 {
			t.Error("two runs at the same time")
		}
		defer running.Add(-1)
		if calls.Add(1) == 1 {
			require.NoError(t, os.Rename(path, path+".away"))
			<-release
		}
		return count(ctx, tx, events)
	}
	require.NoError(t, s.Attach(t.Context(), v))
	_, err := eventstore.AppendTo(t.Context(), s, "s", eventstore.Any, events(1)...)
	require.ErrorIs(t, err, eventstore.ErrFailed)
	require.NoError(t, os.Rename(path+".away", path))
	appendEvents(t, s, "s", 1)
	<-changed
	require.EqualValues(t, 1, calls.Load())
	close(release)
	requireAttached(t, s, changed)
	requireCount(t, s, "count", 1, 1)
}

// TestLate_DroppedWhileItCatchesUp: a view that is dropped while it catches up writes no more
// rows, and can be attached anew.
func TestLate_DroppedWhileItCatchesUp(t *testing.T) {
	s := open(t, logPath(t), nil)
	var calls atomic.Int32
	atWork, goOn := make(chan struct{}), make(chan struct{})
	v, changed := watch(counter("count"))
	v.Timeout = time.Second
	count := v.Apply
	v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		switch calls.Add(1) {
		case 1:
			<-ctx.Done()
		case 2:
			atWork <- struct{}{}
			<-goOn
		}
		return count(ctx, tx, events)
	}
	require.NoError(t, s.Attach(t.Context(), v))
	for range 3 {
		appendEvents(t, s, "s", 400) // more than are applied in the commit that attaches
	}
	<-changed
	<-atWork
	more, err := s.DropRows(t.Context(), "count", 10)
	require.NoError(t, err)
	require.False(t, more)
	require.NoError(t, s.Attach(t.Context(), counter("count")))
	close(goOn)
	appendEvents(t, s, "s", 1)
	requireCount(t, s, "count", 1201, 1201)
	require.Empty(t, fmt.Sprint(changedSince(changed)))
}

func changedSince(changed <-chan struct{}) string {
	select {
	case <-changed:
		return "it has changed once more"
	default:
		return ""
	}
}
