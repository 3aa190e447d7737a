package memstore_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// selfish is a view whose Apply calls do and ignores its context. The calls in do wait
// for the view itself.
func selfish(do func()) eventstore.InlineView {
	return eventstore.InlineView{
		View: "selfish", Query: eventstore.Stream("a"), Timeout: 20 * time.Millisecond,
		Apply: func(context.Context, eventstore.RowTx, []eventstore.Event) error {
			do()
			return nil
		},
	}
}

// TestStore_Attach_NoDeadlock has views call the store, which they must not do. The view
// is late, and the call succeeds after the commit.
func TestStore_Attach_NoDeadlock(t *testing.T) {
	ctx := context.Background()
	for name, call := range map[string]func(s *memstore.Store) error{
		"Append": func(s *memstore.Store) error {
			_, err := eventstore.AppendTo(ctx, s, "b", eventstore.Any, eventstore.NewEvent{Type: "x"})
			return err
		},
		"CommitRows": func(s *memstore.Store) error {
			return s.CommitRows(ctx, eventstore.RowCommit{View: "v", Checkpoint: eventstore.Checkpoint{Position: 1}})
		},
		"DropRows": func(s *memstore.Store) error { _, err := s.DropRows(ctx, "v", 1); return err },
		"Attach":   func(s *memstore.Store) error { return s.Attach(ctx, selfish(nil)) },
		"Close":    func(s *memstore.Store) error { return s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := memstore.New(nil)
			defer s.Close()
			done := make(chan error, 1)
			var once sync.Once
			view := selfish(func() { once.Do(func() { done <- call(s) }) })
			changed := make(chan struct{}, 10)
			view.Changed = func() { changed <- struct{}{} }
			require.NoError(t, s.Attach(ctx, view))
			_, err := eventstore.AppendTo(ctx, s, "a", eventstore.NoStream, eventstore.NewEvent{Type: "x"})
			require.NoError(t, err)
			err = <-done
			if name == "Attach" {
				require.ErrorIs(t, err, eventstore.ErrInvalid)
				return
			}
			require.NoError(t, err)
			if name == "Close" {
				return
			}
			for set, err := s.GetRows(ctx, "selfish"); set.Late != nil; set, err = s.GetRows(ctx, "selfish") {
				require.NoError(t, err)
				<-changed
			}
			set, err := s.GetRows(ctx, "selfish")
			require.NoError(t, err)
			require.Nil(t, set.Checkpoint.Fault)
			require.Positive(t, set.Checkpoint.Position)
		})
	}
}

// TestStore_Append_WaitsNoLongerThanItsContext cancels an append that waits for another
// one, whose view is slow.
func TestStore_Append_WaitsNoLongerThanItsContext(t *testing.T) {
	s := memstore.New(nil)
	began, end := make(chan struct{}), make(chan struct{})
	view := selfish(func() { close(began); <-end })
	view.Timeout = time.Hour
	require.NoError(t, s.Attach(context.Background(), view))
	first := make(chan error, 1)
	go func() {
		_, err := eventstore.AppendTo(context.Background(), s, "a", eventstore.NoStream, eventstore.NewEvent{Type: "x"})
		first <- err
	}()
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	second := make(chan error, 1)
	go func() {
		_, err := eventstore.AppendTo(ctx, s, "b", eventstore.NoStream, eventstore.NewEvent{Type: "x"})
		second <- err
	}()
	cancel()
	require.ErrorIs(t, <-second, context.Canceled)

	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for { // until Close has begun
		if _, err := s.Head(context.Background()); err != nil {
			break
		}
	}
	close(end)
	require.NoError(t, <-closed)
	require.NoError(t, <-first, "the commit that was being written when Close was called")
	s, err := s.Reopen()
	require.NoError(t, err)
	set, err := s.GetRows(context.Background(), "selfish")
	require.NoError(t, err)
	require.Equal(t, eventstore.Checkpoint{Position: 1}, set.Checkpoint)
}

// TestStore_LogsViewsThatStop has a nil Logger stand for the default one.
func TestStore_LogsViewsThatStop(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	s := memstore.New(nil)
	slog.SetDefault(before)
	boom := func(context.Context, eventstore.RowTx, []eventstore.Event) error { panic("boom") }
	require.NoError(t, s.Attach(t.Context(), eventstore.InlineView{View: "faulty", Query: eventstore.All(), Apply: boom}))
	changed := make(chan struct{}, 2)
	wait := func(ctx context.Context, _ eventstore.RowTx, _ []eventstore.Event) error {
		<-ctx.Done()
		return ctx.Err()
	}
	require.NoError(t, s.Attach(t.Context(), eventstore.InlineView{
		View: "slow", Query: eventstore.All(), Apply: wait, Timeout: time.Millisecond, Changed: func() { changed <- struct{}{} },
	}))
	_, err := eventstore.AppendTo(t.Context(), s, "a", eventstore.NoStream, eventstore.NewEvent{Type: "x"})
	require.NoError(t, err)
	<-changed
	require.NoError(t, s.Close())
	require.Contains(t, log.String(), `level=ERROR msg="a view stopped at a fault and is detached" view=faulty position=1 type=x error="panic: boom" cause.panic=boom cause.stack=`)
	require.Contains(t, log.String(), `level=WARN msg="a view has run out of time and is late until it has caught up" view=slow`)
}
