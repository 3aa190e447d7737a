package memstore_test

import (
	"context"
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
