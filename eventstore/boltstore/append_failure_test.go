package boltstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// A failed transaction fails all of its commits, the refused ones too: the events that
// refused them are gone.
func TestAppend_AFailedGroupLeavesNothingAndTheStoreGoesOn(t *testing.T) {
	s := open(t, logPath(t), nil)
	g := newGate(s)
	blocker := start(t.Context(), s, to("blocker", eventstore.NoStream))
	<-g.entered
	one := start(t.Context(), s, to("a", eventstore.NoStream))
	waiting(t, s, 1)
	two := start(t.Context(), s, to("a", eventstore.NoStream))
	waiting(t, s, 2)
	g.open <- nil
	require.NoError(t, (<-blocker).err)
	<-g.entered
	full := errors.New("no space left")
	g.open <- full
	for _, done := range []<-chan outcome{one, two} {
		got := <-done
		require.ErrorIs(t, got.err, full)
		require.NotErrorIs(t, got.err, eventstore.ErrUnknownOutcome)
		require.Zero(t, got.receipt)
	}
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, head)

	again := start(t.Context(), s, to("a", eventstore.NoStream))
	<-g.entered
	g.open <- nil
	got := <-again
	require.NoError(t, got.err)
	require.EqualValues(t, 2, got.receipt.First)
}

func TestAppend_AFullFileFailsTheAppendsItHits(t *testing.T) {
	path := logPath(t)
	s := open(t, path, nil)
	appendEvents(t, s, "s", 10_000) // the file has grown by a step that leaves free space
	stat, err := os.Stat(path)
	require.NoError(t, err)
	s.SetMaxSize(int(stat.Size()))
	large := eventstore.NewEvent{Type: "t", Data: make([]byte, 16<<20)}
	for range 2 {
		_, err = eventstore.AppendTo(t.Context(), s, "s", eventstore.At(10_000), large)
		require.Error(t, err)
		require.NotErrorIs(t, err, eventstore.ErrUnknownOutcome)
	}
	appendEvents(t, s, "s", 1)
	s.SetMaxSize(0)
	receipt, err := eventstore.AppendTo(t.Context(), s, "s", eventstore.At(10_001), large)
	require.NoError(t, err)
	require.EqualValues(t, 10_002, receipt.First)
}

// A commit that has failed but may be durable has an unknown outcome.
func TestAppend_AnUnknownOutcomeStopsTheStore(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s", 1)
	failing := atomic.Bool{}
	failing.Store(true)
	require.NoError(t, s.Close())
	s, err = boltstore.Open(path, nil)
	require.NoError(t, err)
	s.SetCommit(func(tx *bolt.Tx) error {
		if err := tx.Commit(); err != nil || !failing.Load() {
			return err
		}
		return errors.New("input/output error")
	})
	commit := to("s", eventstore.At(1))
	commit.Key = "once"
	_, err = s.Append(t.Context(), commit)
	require.ErrorIs(t, err, eventstore.ErrUnknownOutcome)
	require.ErrorContains(t, err, "reopen")
	failing.Store(false)
	_, err = s.Append(t.Context(), commit)
	require.ErrorIs(t, err, eventstore.ErrFailed)

	head, err := s.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, head, "a reader was shown what may not be durable")
	require.Len(t, positions(t, s, eventstore.All()), 1)
	require.Len(t, positions(t, s, eventstore.Stream("s")), 1)
	_, found, err := s.Lookup(t.Context(), "once")
	require.NoError(t, err)
	require.False(t, found)
	v, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, v.Findings)
	require.NoError(t, s.Close())
	require.Equal(t, []string{"log.yore", "log.yore.doubt"}, files(t, filepath.Dir(path)))

	reader, err := boltstore.Open(path, &boltstore.Options{ReadOnly: true})
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	require.FileExists(t, path+".doubt", "a reader cannot repair the file")
	s = open(t, path, nil)
	require.NoFileExists(t, path+".doubt")
	receipt, err := s.Append(t.Context(), commit)
	require.NoError(t, err)
	require.True(t, receipt.Repeated)
	require.Len(t, positions(t, s, eventstore.All()), 2)
}

// TestAppend_APanicInTheTransaction has bbolt panic before it has written anything, and after
// it has written everything.
func TestAppend_APanicInTheTransaction(t *testing.T) {
	path := logPath(t)
	s := open(t, path, nil)
	s.SetCommit(func(*bolt.Tx) error { panic("assertion failed") })
	_, err := s.Append(t.Context(), to("s", eventstore.NoStream))
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.NotErrorIs(t, err, eventstore.ErrUnknownOutcome)
	require.ErrorContains(t, err, "assertion failed")
	s.SetCommit((*bolt.Tx).Commit)
	_, err = s.Append(t.Context(), to("s", eventstore.NoStream))
	require.NoError(t, err, "something of the first one is in the file")

	s.SetCommit(func(tx *bolt.Tx) error {
		require.NoError(t, tx.Commit())
		panic("assertion failed")
	})
	_, err = s.Append(t.Context(), to("t", eventstore.NoStream))
	require.ErrorIs(t, err, eventstore.ErrUnknownOutcome)
	_, err = s.Append(t.Context(), to("t", eventstore.NoStream))
	require.ErrorIs(t, err, eventstore.ErrFailed)
	require.Len(t, positions(t, s, eventstore.All()), 1)
	require.NoError(t, s.Close())
	require.Len(t, positions(t, open(t, path, nil), eventstore.All()), 2)
}
