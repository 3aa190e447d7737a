package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// crowded returns a store of three events whose index has no room in memory, and no
// indexer.
func crowded(t *testing.T) *boltstore.Store {
	t.Helper()
	s, err := boltstore.OpenWithoutIndexer(logPath(t), boltstore.Options{IndexMemory: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for range 3 {
		appendEvents(t, s, "s-1", 1)
	}
	return s
}

// appendCrowded appends to a crowded store, and returns when the append waits.
func appendCrowded(t *testing.T, ctx context.Context, s *boltstore.Store) <-chan outcome {
	t.Helper()
	ended := start(ctx, s, to("s-1", eventstore.At(3)))
	select {
	case got := <-ended:
		t.Fatalf("it did not wait, and returned %v", got.err)
	case <-time.After(30 * time.Millisecond):
	}
	return ended
}

// TestAppend_WaitsForRoomInTheIndex requires that appends wait while the index has no
// room in memory, and not longer.
func TestAppend_WaitsForRoomInTheIndex(t *testing.T) {
	t.Run("until there is some", func(t *testing.T) {
		s := crowded(t)
		ended := appendCrowded(t, t.Context(), s)
		require.NoError(t, s.WriteIndex())
		require.NoError(t, (<-ended).err)
		verify(t, s)
	})
	t.Run("until the context ends", func(t *testing.T) {
		s := crowded(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := appendCrowded(t, ctx, s)
		cancel()
		require.ErrorIs(t, (<-ended).err, context.Canceled)
		verify(t, s)
		require.Len(t, positions(t, s, eventstore.Stream("s-1")), 3)
	})
	t.Run("until the store fails", func(t *testing.T) {
		s := crowded(t)
		ended := appendCrowded(t, t.Context(), s)
		s.SetCommit(func(tx *bolt.Tx) error { return errors.Join(tx.Commit(), errors.New("input/output error")) })
		require.ErrorIs(t, s.WriteIndex(), eventstore.ErrUnknownOutcome)
		select {
		case got := <-ended:
			require.ErrorIs(t, got.err, eventstore.ErrFailed)
		case <-time.After(5 * time.Second):
			t.Error("it waits for ever")
		}
	})
	t.Run("until Close", func(t *testing.T) {
		s := crowded(t)
		ended := appendCrowded(t, t.Context(), s)
		require.NoError(t, s.Close())
		require.ErrorIs(t, (<-ended).err, eventstore.ErrClosed)
	})
}

// TestStore_IndexCannotBeWritten has a file that takes events, but no change of the index. No
// append waits for that without end.
func TestStore_IndexCannotBeWritten(t *testing.T) {
	path := logPath(t)
	create(t, path)
	var before []byte
	inFile(t, path, func(tx *bolt.Tx) { before = bytes.Clone(tx.Bucket(indexBucket).Get(statusKey)) })
	var refused atomic.Int64
	s, err := boltstore.Open(path, &boltstore.Options{IndexMemory: 1})
	require.NoError(t, err)
	s.SetCommit(func(tx *bolt.Tx) error {
		if !bytes.Equal(before, tx.Bucket(indexBucket).Get(statusKey)) {
			refused.Add(1)
			return errors.Join(errors.New("input/output error"), tx.Rollback())
		}
		return tx.Commit()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var appended atomic.Int64
	var writing sync.WaitGroup
	for w := range 8 {
		writing.Go(func() {
			for range 50 {
				_, err := eventstore.AppendTo(ctx, s, eventstore.StreamID(fmt.Sprint("s-", w)), eventstore.Any, eventstore.NewEvent{Type: "t"})
				if errors.Is(err, context.DeadlineExceeded) {
					t.Error("an append waits for ever")
					return
				}
				if err == nil {
					appended.Add(1)
				}
			}
		})
	}
	writing.Wait()
	require.Len(t, positions(t, s, eventstore.Category("s")), int(appended.Load()))
	require.Positive(t, refused.Load())
	require.Greater(t, appended.Load(), int64(200))
	require.NoError(t, s.Close())
	s = open(t, path, nil)
	require.Len(t, positions(t, s, eventstore.Category("s")), int(appended.Load()))
}
