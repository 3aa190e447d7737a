package logfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logfile"
)

// open opens a log and closes it at the end of the test.
func open(t *testing.T, path string, opts logfile.OpenOptions) *logfile.File {
	t.Helper()
	db, f, err := logfile.Open(path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return f
}

func overwrite(t *testing.T, path string, offset int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt(b, offset)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestOpen_KnowsItsFile(t *testing.T) {
	path := newLog(t)
	f := open(t, path, logfile.OpenOptions{})
	require.Equal(t, path, f.Path)
	require.Equal(t, path, f.OS.Name())
	require.EqualValues(t, os.Getpagesize(), f.Found.PageSize)
	require.Empty(t, f.Problems)
	require.NoError(t, f.InPlace())
}

func TestOpen_Refuses(t *testing.T) {
	tests := map[string]struct {
		make func(path string) error
		want error
		says string
	}{
		"no file":     {func(string) error { return nil }, fs.ErrNotExist, ""},
		"an empty":    {func(path string) error { return os.WriteFile(path, nil, 0o600) }, eventstore.ErrFormat, "is empty"},
		"a text":      {func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("text "), 9000), 0o600) }, eventstore.ErrFormat, "not a Yore log"},
		"a directory": {func(path string) error { return os.Mkdir(path, 0o700) }, eventstore.ErrFormat, "a directory"},
		"cut short": {func(path string) error {
			content, err := os.ReadFile(newLog(t))
			require.NoError(t, err)
			return os.WriteFile(path, content[:3*os.Getpagesize()], 0o600)
		}, eventstore.ErrCorrupt, "cut short"},
		"no meta pages": {func(path string) error {
			content, err := os.ReadFile(newLog(t))
			require.NoError(t, err)
			content[16+40]++
			content[os.Getpagesize()+16+40]++
			return os.WriteFile(path, content, 0o600)
		}, eventstore.ErrCorrupt, "both meta pages"},
	}
	for name, tt := range tests {
		for _, readOnly := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "log.yore")
				require.NoError(t, tt.make(path))
				for range 2 { // the first one keeps no lock
					_, _, err := logfile.Open(path, logfile.OpenOptions{ReadOnly: readOnly, LockTimeout: time.Millisecond})
					require.ErrorIs(t, err, tt.want)
					require.ErrorContains(t, err, tt.says)
				}
				if errors.Is(tt.want, fs.ErrNotExist) {
					require.NoFileExists(t, path)
				}
			})
		}
	}
}

func TestOpen_Locks(t *testing.T) {
	path := newLog(t)
	short, shortReading := logfile.OpenOptions{LockTimeout: time.Millisecond}, logfile.OpenOptions{LockTimeout: time.Millisecond, ReadOnly: true}
	db, _, err := logfile.Open(path, logfile.OpenOptions{})
	require.NoError(t, err)
	for _, opts := range []logfile.OpenOptions{short, shortReading} {
		_, _, err = logfile.Open(path, opts)
		require.ErrorIs(t, err, eventstore.ErrLocked)
		require.ErrorContains(t, err, "waited 1ms")
	}
	require.NoError(t, db.Close())
	open(t, path, shortReading)
	open(t, path, shortReading)
	_, _, err = logfile.Open(path, short)
	require.ErrorIs(t, err, eventstore.ErrLocked)
}

// withBranches gives buckets of a log pages of their own, the topmost of them a branch,
// and returns the number of that page of a bucket.
func withBranches(t *testing.T, path, bucket string) (root int64) {
	t.Helper()
	update(t, path, func(tx *bolt.Tx) error {
		for _, name := range []string{index.Bucket, string(logfile.RowsBucket), string(logfile.LogBucket)} {
			b, err := tx.CreateBucketIfNotExists([]byte(name))
			require.NoError(t, err)
			for i := range byte(40) {
				require.NoError(t, b.Put(bytes.Repeat([]byte{i}, 8), make([]byte, 1000)))
			}
		}
		return nil
	})
	view(t, path, func(tx *bolt.Tx) { root = int64(tx.Bucket([]byte(bucket)).Root()) })
	require.NotZero(t, root)
	return root
}

// TestOpen_ChecksBranches: damage of the index is noted; rows are not written while they
// are damaged; a log that is damaged is not opened.
func TestOpen_ChecksBranches(t *testing.T) {
	for bucket, tt := range map[string]struct {
		writes, reads bool
		noted         func(f *logfile.File) error
	}{
		index.Bucket:               {true, true, func(f *logfile.File) error { return f.BadIndex }},
		string(logfile.RowsBucket): {false, true, func(f *logfile.File) error { return f.BadRows }},
		string(logfile.LogBucket):  {false, false, nil},
	} {
		for readOnly, opens := range map[bool]bool{false: tt.writes, true: tt.reads} {
			t.Run(bucket, func(t *testing.T) {
				path := newLog(t)
				page := int64(os.Getpagesize())
				overwrite(t, path, withBranches(t, path, bucket)*page, bytes.Repeat([]byte{0xa5}, int(page)))
				if !opens {
					_, _, err := logfile.Open(path, logfile.OpenOptions{ReadOnly: readOnly})
					require.ErrorIs(t, err, eventstore.ErrCorrupt)
					return
				}
				f := open(t, path, logfile.OpenOptions{ReadOnly: readOnly})
				require.Len(t, f.Problems, 1)
				require.ErrorIs(t, tt.noted(f), eventstore.ErrCorrupt)
			})
		}
	}
}

func TestFile_InPlace(t *testing.T) {
	for says, lose := range map[string]func(path string) error{
		"removed or renamed":      os.Remove,
		"replaced by another one": func(path string) error { return os.Rename(newLog(t), path) },
	} {
		t.Run(says, func(t *testing.T) {
			path := newLog(t)
			f := open(t, path, logfile.OpenOptions{})
			require.NoError(t, lose(path))
			require.ErrorIs(t, f.InPlace(), eventstore.ErrFailed)
			require.ErrorContains(t, f.InPlace(), says)
			require.ErrorContains(t, f.InPlace(), path)
		})
	}
}

// TestFile_Doubt: the next Open for writing removes the note, and changes nothing.
func TestFile_Doubt(t *testing.T) {
	path := newLog(t)
	db, f, err := logfile.Open(path, logfile.OpenOptions{})
	require.NoError(t, err)
	require.NoError(t, f.Doubt())
	require.NoError(t, db.Close())
	note, err := os.ReadFile(path + ".doubt")
	require.NoError(t, err)
	require.Contains(t, string(note), "log.yore")
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	db, _, err = logfile.Open(path, logfile.OpenOptions{ReadOnly: true})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.FileExists(t, path+".doubt")
	open(t, path, logfile.OpenOptions{})
	require.NoFileExists(t, path+".doubt")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after))
}

func TestCreateTemp(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log.yore")
	for mode, want := range map[fs.FileMode]fs.FileMode{0: 0o600, 0o640: 0o640} {
		temp, err := logfile.CreateTemp(path, mode, false)
		require.NoError(t, err)
		require.Equal(t, dir, filepath.Dir(temp))
		require.Contains(t, filepath.Base(temp), "log.yore.new-")
		info, err := os.Stat(temp)
		require.NoError(t, err)
		require.Zero(t, info.Size())
		require.Equal(t, want, info.Mode())
	}
	_, err := logfile.CreateTemp(filepath.Join(dir, "none", "log.yore"), 0, false)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotContains(t, err.Error(), "new-", "the caller does not know that file")
}

func TestInstall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.yore")
	temp := func(content string) string {
		name := filepath.Join(filepath.Dir(path), "temp")
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		return name
	}
	requireContent := func(want string) {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, want, string(content))
	}
	require.NoError(t, logfile.Install(temp("first"), path, false))
	requireContent("first")
	require.NoError(t, os.Remove(filepath.Join(filepath.Dir(path), "temp")))
	require.ErrorIs(t, logfile.Install(temp("second"), path, false), fs.ErrExist)
	requireContent("first")
	require.NoError(t, logfile.Install(temp("third"), path, true))
	requireContent("third")
	require.NoError(t, logfile.SyncName(path))
}

func TestNewEpoch_IsLaterThanAllOthers(t *testing.T) {
	now := uint64(time.Now().UnixMilli())
	require.GreaterOrEqual(t, logfile.NewEpoch(1), now)
	require.Equal(t, now<<1+1, logfile.NewEpoch(3, now<<1, 0))
}
