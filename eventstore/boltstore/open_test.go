package boltstore_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func TestOpen_CreatesALogAndKeepsItsIdentity(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log.yore")
	s, err := boltstore.Open(path, &boltstore.Options{FileMode: 0o640})
	require.NoError(t, err)
	info := s.Info()
	require.NotZero(t, info.StoreID)
	require.EqualValues(t, 1, info.Epoch)
	require.True(t, info.Gapless)
	require.True(t, info.Durable)
	require.Equal(t, eventstore.StandardLimits(), info.Limits)
	require.NoError(t, s.Close())
	require.Equal(t, []string{"log.yore"}, files(t, dir), "creating a log left other files behind")
	stat, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), stat.Mode())

	require.Equal(t, info, open(t, path, nil).Info())
}

func TestOpen_ManyAtOnceMakeOneLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log.yore")
	var group sync.WaitGroup
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			s, err := boltstore.Open(path, &boltstore.Options{LockTimeout: time.Minute})
			if err == nil {
				_, err = eventstore.AppendTo(t.Context(), s, "s", eventstore.Any, eventstore.NewEvent{Type: "t"})
				err = errors.Join(err, s.Close())
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	group.Wait()
	require.Equal(t, []string{"log.yore"}, files(t, dir))
	require.Len(t, positions(t, open(t, path, nil), eventstore.Stream("s")), 8,
		"of the logs created at once, more than one was appended to")
}

func TestOpen_RefusesWhatIsNoLog(t *testing.T) {
	tests := map[string]struct {
		make func(t *testing.T, path string)
		want error
		says string
	}{
		"an empty file": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, nil, 0o600))
		}, eventstore.ErrFormat, "the file is empty"},
		"a text file": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("not a log\n"), 4000), 0o600))
		}, eventstore.ErrFormat, "not a Yore log"},
		"a short file": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte("short"), 0o600))
		}, eventstore.ErrFormat, "not a Yore log"},
		"another program's bbolt file": {func(t *testing.T, path string) {
			edit(t, path, func(tx *bolt.Tx) error {
				_, err := tx.CreateBucket([]byte("users"))
				return err
			})
		}, eventstore.ErrFormat, "another program's"},
		"a log of a newer format": {func(t *testing.T, path string) {
			create(t, path)
			edit(t, path, func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("yore")).Put([]byte("format"), []byte{0, 0, 1, 0})
			})
		}, eventstore.ErrFormat, "format 256"},
		"a log without its id": {func(t *testing.T, path string) {
			create(t, path)
			edit(t, path, func(tx *bolt.Tx) error { return tx.Bucket([]byte("yore")).Delete([]byte("id")) })
		}, eventstore.ErrCorrupt, "incomplete"},
		"a directory": {func(t *testing.T, path string) {
			require.NoError(t, os.Mkdir(path, 0o700))
		}, nil, "directory"},
	}
	for name, tt := range tests {
		for _, readOnly := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				path := logPath(t)
				tt.make(t, path)
				_, err := boltstore.Open(path, &boltstore.Options{ReadOnly: readOnly})
				require.Error(t, err)
				if tt.want != nil {
					require.ErrorIs(t, err, tt.want)
				}
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, err, path)

				_, again := boltstore.Open(path, &boltstore.Options{ReadOnly: readOnly})
				require.Equal(t, err.Error(), again.Error(), "the first Open kept the lock, or changed the file")
			})
		}
	}
}

func TestOpen_ReadOnlyOfNoFileCreatesNone(t *testing.T) {
	dir := t.TempDir()
	_, err := boltstore.Open(filepath.Join(dir, "log.yore"), &boltstore.Options{ReadOnly: true})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Empty(t, files(t, dir))
	_, err = boltstore.Open(filepath.Join(dir, "none", "log.yore"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotContains(t, err.Error(), "new-", "the message names a temporary file")
}

func TestOpen_ReadersShareAndKeepWritersOut(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s", 3)
	require.NoError(t, s.Close())

	readOnly := &boltstore.Options{ReadOnly: true, LockTimeout: time.Millisecond}
	first, second := open(t, path, readOnly), open(t, path, readOnly)
	for _, s := range []*boltstore.Store{first, second} {
		require.Len(t, positions(t, s, eventstore.All()), 3)
		_, err = eventstore.AppendTo(t.Context(), s, "s", eventstore.Any, eventstore.NewEvent{Type: "t"})
		require.ErrorIs(t, err, eventstore.ErrReadOnly)
	}
	_, err = boltstore.Open(path, &boltstore.Options{LockTimeout: time.Millisecond})
	require.ErrorIs(t, err, eventstore.ErrLocked)
}

// TestOpen_RebuildsTheIndex takes the index away in every way it can be away.
func TestOpen_RebuildsTheIndex(t *testing.T) {
	index := []byte("index")
	tests := map[string]func(tx *bolt.Tx) error{
		"dropped": func(tx *bolt.Tx) error { return tx.DeleteBucket(index) },
		"of another format": func(tx *bolt.Tx) error {
			return tx.Bucket(index).Put([]byte{0}, []byte{0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 99})
		},
		"of a longer log": func(tx *bolt.Tx) error {
			return tx.Bucket(index).Put([]byte{0}, []byte{0, 0, 0, 0, 0, 9, 9, 9, 0, 0, 0, 1})
		},
		"short of the log": func(tx *bolt.Tx) error {
			return tx.Bucket(index).Put([]byte{0}, []byte{0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1})
		},
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			s, err := boltstore.Open(path, nil)
			require.NoError(t, err)
			for i := range 5 {
				_, err := s.Append(t.Context(), eventstore.Commit{
					Key: string(rune('a' + i)), Events: events(200), Guards: []eventstore.Guard{{Query: eventstore.Stream("none")}},
				})
				require.NoError(t, err)
				appendEvents(t, s, "s-1", 30)
			}
			require.NoError(t, s.Close())
			edit(t, path, damage)

			_, err = boltstore.Open(path, &boltstore.Options{ReadOnly: true})
			require.ErrorContains(t, err, "index must be rebuilt")

			var said bytes.Buffer
			s = open(t, path, &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
			require.Contains(t, said.String(), "rebuilding the index")
			verify(t, s)
			receipt, ok, err := s.Lookup(t.Context(), "c")
			require.NoError(t, err)
			require.True(t, ok)
			require.EqualValues(t, 461, receipt.First)
			require.EqualValues(t, 660, receipt.Last)
			appendEvents(t, s, "s-1", 1)
		})
	}
}
