package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

// fill appends commits of all kinds: with and without keys, streams, tags,
// metadata and times of their own; of one event and of many; small and large.
func fill(t *testing.T, s eventstore.Store, commits int) {
	t.Helper()
	for i := range commits {
		happened := time.Date(2011, 12, 9, 12, 50, i, 7, time.UTC)
		c := eventstore.Commit{
			Events: []eventstore.NewEvent{
				{Stream: "cart-1", Type: "a", Tags: []eventstore.Tag{"x", eventstore.Tag(fmt.Sprint("i:", i))}, Data: bytes.Repeat([]byte{byte(i)}, i*i)},
				{Type: "none", SchemaVersion: uint32(i), Codec: "raw", Metadata: eventstore.Metadata{"actor": "ann", "n": fmt.Sprint(i)}},
				{Stream: eventstore.StreamID(fmt.Sprint("cart-", i%5)), Type: "b", Time: happened},
			},
			Expect: []eventstore.Expect{{Stream: "cart-1", At: eventstore.Any}},
		}
		if i%5 != 1 {
			c.Expect = append(c.Expect, eventstore.Expect{Stream: c.Events[2].Stream, At: eventstore.Any})
		}
		if i%2 == 0 {
			c.Key = key(i)
		}
		_, err := s.Append(t.Context(), c)
		require.NoError(t, err)
	}
}

func key(i int) string { return fmt.Sprint("command-", i) }

// fullLog makes a log with the given number of commits and opens it.
func fullLog(t *testing.T, commits int) (*boltstore.Store, string) {
	t.Helper()
	path := logPath(t)
	s := open(t, path, nil)
	fill(t, s, commits)
	return s, path
}

// requireSame compares the answers of two stores: their events, the receipts of their commits,
// and, with verify, what their indexes find.
func requireSame(t *testing.T, want, got eventstore.Store) {
	t.Helper()
	require.Equal(t, all(t, want), all(t, got))
	verify(t, got)
	for i := 0; ; i += 2 {
		wantReceipt, found, err := want.Lookup(t.Context(), key(i))
		require.NoError(t, err)
		gotReceipt, gotFound, err := got.Lookup(t.Context(), key(i))
		require.NoError(t, err)
		require.Equal(t, found, gotFound)
		require.Equal(t, wantReceipt, gotReceipt)
		if !found {
			return
		}
	}
}

// backUp returns a backup of the events after a position.
func backUp(t *testing.T, s *boltstore.Store, after eventstore.Position) ([]byte, boltstore.Manifest) {
	t.Helper()
	var out bytes.Buffer
	manifest, err := s.Backup(t.Context(), &out, &boltstore.BackupOptions{After: after})
	require.NoError(t, err)
	require.EqualValues(t, out.Len(), manifest.Bytes)
	return out.Bytes(), manifest
}

func readers(backups ...[]byte) []io.Reader {
	list := make([]io.Reader, len(backups))
	for i, b := range backups {
		list[i] = bytes.NewReader(b)
	}
	return list
}

func TestBackup_RestoresTheSameLog(t *testing.T) {
	for _, commits := range []int{0, 1, 40, 400} {
		t.Run(fmt.Sprint(commits, " commits"), func(t *testing.T) {
			now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
			s := open(t, logPath(t), &boltstore.Options{Clock: func() time.Time { return now }})
			fill(t, s, commits)
			content, manifest := backUp(t, s, 0)
			require.Equal(t, s.Info().StoreID, manifest.StoreID)
			require.EqualValues(t, 1, manifest.Epoch)
			require.Zero(t, manifest.After)
			require.EqualValues(t, 3*commits, manifest.Through)
			require.Equal(t, 3*commits, manifest.Events)
			require.Equal(t, now.UTC(), manifest.Created)

			path := logPath(t)
			restored, err := boltstore.Restore(t.Context(), path, nil, bytes.NewReader(content))
			require.NoError(t, err)
			require.Equal(t, []string{"log.yore"}, files(t, filepath.Dir(path)))
			want := manifest
			require.Greater(t, restored.Epoch, manifest.Epoch)
			want.Epoch = restored.Epoch
			require.Equal(t, want, restored)

			got := open(t, path, nil)
			requireSame(t, s, got)
			require.Equal(t, s.Info().StoreID, got.Info().StoreID)
			require.Equal(t, restored.Epoch, got.Info().Epoch)
			appendEvents(t, got, "cart-1", 3)
		})
	}
}

// One event may be larger than a page.
func TestBackup_OfLargeEvents(t *testing.T) {
	s := open(t, logPath(t), nil)
	for i := range 4 {
		_, err := eventstore.AppendTo(t.Context(), s, "s", eventstore.Any,
			eventstore.NewEvent{Type: "t", Data: bytes.Repeat([]byte{byte(i)}, 3<<20)}, eventstore.NewEvent{Type: "small"})
		require.NoError(t, err)
	}
	content, _ := backUp(t, s, 0)
	path := logPath(t)
	_, err := boltstore.Restore(t.Context(), path, nil, bytes.NewReader(content))
	require.NoError(t, err)
	requireSame(t, s, open(t, path, nil))
}

func TestBackup_IncrementalOnesContinueEachOther(t *testing.T) {
	s, _ := fullLog(t, 30)
	full, manifest := backUp(t, s, 0)
	fill(t, s, 0)
	none, second := backUp(t, s, manifest.Through)
	require.Zero(t, second.Events)
	appendEvents(t, s, "cart-1", 300)
	more, third := backUp(t, s, second.Through)
	require.Equal(t, 300, third.Events)
	require.EqualValues(t, 90, third.After)
	require.EqualValues(t, 390, third.Through)
	middle, _ := backUp(t, s, 100) // in the middle of a commit
	appendEvents(t, s, "cart-2", 1)
	last, _ := backUp(t, s, third.Through)

	path := logPath(t)
	restored, err := boltstore.Restore(t.Context(), path, nil, readers(full, none, more, last)...)
	require.NoError(t, err)
	require.Equal(t, 391, restored.Events)
	require.EqualValues(t, 391, restored.Through)
	require.Zero(t, restored.After)
	require.EqualValues(t, len(full)+len(none)+len(more)+len(last), restored.Bytes)
	requireSame(t, s, open(t, path, nil))

	_, err = boltstore.Restore(t.Context(), logPath(t), nil, readers(full, middle)...)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "begins after position 100, and the one before ends at 90")
}

// Appends go on during a backup, even on the goroutine that receives its bytes. The backup has
// the events up to the head at its beginning.
func TestBackup_LogGoesOn(t *testing.T) {
	s, _ := fullLog(t, 200)
	w := &appendingWriter{t: t, store: s}
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := eventstore.AppendTo(t.Context(), s, "s", eventstore.Any, events(5)...); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for range 3 {
		head, err := s.Head(t.Context())
		require.NoError(t, err)
		w.Reset()
		manifest, err := s.Backup(t.Context(), w, nil)
		require.NoError(t, err)
		require.GreaterOrEqual(t, manifest.Through, head)
		path := logPath(t)
		_, err = boltstore.Restore(t.Context(), path, nil, &w.Buffer)
		require.NoError(t, err)
		require.Equal(t, all(t, s)[:manifest.Events], all(t, open(t, path, nil)))
	}
	close(stop)
	group.Wait()
}

// appendingWriter appends to the store whose backup it takes.
type appendingWriter struct {
	bytes.Buffer
	t     *testing.T
	store *boltstore.Store
}

func (w *appendingWriter) Write(p []byte) (int, error) {
	appendEvents(w.t, w.store, "mine", 1)
	return w.Buffer.Write(p)
}

// No transaction is open while the caller's code runs (I7).
func TestBackup_HoldsNoTransactionWhileItWrites(t *testing.T) {
	s, _ := fullLog(t, 200)
	calls := 0
	check := func() {
		calls++
		require.Zero(t, s.OpenTransactions())
	}
	var done []eventstore.Position
	_, err := s.Backup(t.Context(), writerFunc(func(p []byte) (int, error) { check(); return len(p), nil }),
		&boltstore.BackupOptions{Progress: func(p eventstore.Progress) {
			check()
			require.EqualValues(t, 600, p.Total)
			done = append(done, p.Done)
		}})
	require.NoError(t, err)
	require.Greater(t, calls, 4)
	require.IsIncreasing(t, done)
	require.EqualValues(t, 600, done[len(done)-1])
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestBackup_Errors(t *testing.T) {
	s, path := fullLog(t, 200)
	_, err := s.Backup(t.Context(), io.Discard, &boltstore.BackupOptions{After: 601})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "after position 601, which is beyond the head 600")
	require.ErrorContains(t, err, path)

	ctx, cancel := context.WithCancel(t.Context())
	_, err = s.Backup(ctx, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }), nil)
	require.ErrorIs(t, err, context.Canceled)

	full := errors.New("the tape is full")
	for after := range 4 {
		writes := 0
		_, err = s.Backup(t.Context(), writerFunc(func(p []byte) (int, error) {
			if writes++; writes > after {
				return len(p) / 2, full
			}
			return len(p), nil
		}), nil)
		require.ErrorIs(t, err, full)
	}
	_, err = s.Backup(t.Context(), writerFunc(func(p []byte) (int, error) { return len(p) - 1, nil }), nil)
	require.ErrorIs(t, err, io.ErrShortWrite)

	closing := writerFunc(func(p []byte) (int, error) { return len(p), s.Close() })
	_, err = s.Backup(t.Context(), closing, nil)
	require.ErrorIs(t, err, eventstore.ErrClosed)
	_, err = s.Backup(t.Context(), io.Discard, nil)
	require.ErrorIs(t, err, eventstore.ErrClosed)
}

func TestBackup_OfADamagedRecordIsAnError(t *testing.T) {
	p := record.Key(7)
	tests := map[string]func(tx *bolt.Tx) error{
		"a changed byte": func(tx *bolt.Tx) error {
			value := bytes.Clone(tx.Bucket([]byte("log")).Get(p[:]))
			value[len(value)-6]++
			return tx.Bucket([]byte("log")).Put(p[:], value)
		},
		"no record": func(tx *bolt.Tx) error { return tx.Bucket([]byte("log")).Delete(p[:]) },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			s := damaged(t, true, damage)
			var out bytes.Buffer
			_, err := s.Backup(t.Context(), &out, nil)
			var corrupt *eventstore.CorruptError
			require.ErrorAs(t, err, &corrupt)
			require.EqualValues(t, 7, corrupt.Position)

			path := logPath(t)
			_, err = boltstore.Restore(t.Context(), path, nil, &out)
			require.ErrorIs(t, err, eventstore.ErrCorrupt)
			require.Empty(t, files(t, filepath.Dir(path)))

			_, err = s.Backup(t.Context(), io.Discard, &boltstore.BackupOptions{After: 7})
			if name == "a changed byte" {
				require.NoError(t, err, "only the content of the event before the backup is damaged")
			} else {
				require.ErrorAs(t, err, &corrupt, "the event before the backup is damaged")
			}
			_, err = s.Backup(t.Context(), io.Discard, &boltstore.BackupOptions{After: 8})
			require.NoError(t, err)
		})
	}
}

func TestBackup_OfALogOpenForReading(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	fill(t, s, 10)
	want := all(t, s)
	require.NoError(t, s.Close())
	content, _ := backUp(t, open(t, path, &boltstore.Options{ReadOnly: true}), 0)
	restored := logPath(t)
	_, err = boltstore.Restore(t.Context(), restored, nil, bytes.NewReader(content))
	require.NoError(t, err)
	require.Equal(t, want, all(t, open(t, restored, nil)))
}
