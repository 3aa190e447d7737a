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

// noLog makes a file that Open refuses.
type noLog struct {
	make func(t *testing.T, path string)
	want error
	says string
}

// containing makes a file with the content.
func containing(content []byte) func(t *testing.T, path string) {
	return func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, content, 0o600)) }
}

// editedLog makes an empty log and changes what its bucket "yore" says.
func editedLog(change func(yore *bolt.Bucket) error) func(t *testing.T, path string) {
	return func(t *testing.T, path string) {
		create(t, path)
		edit(t, path, func(tx *bolt.Tx) error { return change(tx.Bucket([]byte("yore"))) })
	}
}

var notLogs = map[string]noLog{
	"an empty file": {containing(nil), eventstore.ErrFormat, "the file is empty"},
	"a text file":   {containing(bytes.Repeat([]byte("not a log\n"), 4000)), eventstore.ErrFormat, "not a Yore log"},
	"a short file":  {containing([]byte("short")), eventstore.ErrFormat, "not a Yore log"},
	"another program's bbolt file": {func(t *testing.T, path string) {
		edit(t, path, func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("users"))
			return err
		})
	}, eventstore.ErrFormat, "another program's"},
	"a log of a newer format": {editedLog(func(yore *bolt.Bucket) error {
		return yore.Put([]byte("format"), []byte{0, 0, 1, 0})
	}), eventstore.ErrFormat, "format 256"},
	"a log without its id": {editedLog(func(yore *bolt.Bucket) error {
		return yore.Delete([]byte("id"))
	}), eventstore.ErrCorrupt, "description of itself"},
	"a directory": {func(t *testing.T, path string) {
		require.NoError(t, os.Mkdir(path, 0o700))
	}, eventstore.ErrFormat, "a directory"},
	"a pipe": {func(t *testing.T, path string) {
		if err := mkfifo(path); err != nil {
			t.Skip(err)
		}
	}, eventstore.ErrFormat, "a pipe"},
	"a log with another epoch": {editedLog(func(yore *bolt.Bucket) error {
		return yore.Put([]byte("epoch"), make([]byte, 8))
	}), eventstore.ErrCorrupt, "description of itself"},
	"a log cut short": {func(t *testing.T, path string) {
		create(t, path)
		require.NoError(t, os.Truncate(path, 3*int64(os.Getpagesize())))
	}, eventstore.ErrCorrupt, ": corrupt: the file was cut short: it has 12288 bytes and needs"},
	"a log with both meta pages damaged": {func(t *testing.T, path string) {
		create(t, path)
		damageMeta(t, path, 0)
		damageMeta(t, path, 1)
	}, eventstore.ErrCorrupt, "both meta pages"},
}

func TestOpen_RefusesWhatIsNoLog(t *testing.T) {
	for name, tt := range notLogs {
		for _, readOnly := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				path := logPath(t)
				tt.make(t, path)
				_, err := boltstore.Open(path, &boltstore.Options{ReadOnly: readOnly})
				require.ErrorIs(t, err, tt.want)
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
	require.NotContains(t, err.Error(), "open for writing")
	require.NoError(t, first.Close())
	require.NoError(t, second.Close())
	open(t, path, nil)
	_, err = boltstore.Open(path, readOnly)
	require.ErrorIs(t, err, eventstore.ErrLocked)
	require.ErrorContains(t, err, "a file that is open for writing cannot be opened for reading")
}

// damageMeta changes a byte under the checksum of one of the two meta pages.
func damageMeta(t *testing.T, path string, which int) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	at := int64(which*os.Getpagesize()) + 16 + 40
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// TestOpen_SaysWhenAMetaPageIsDamaged damages either meta page. Without the newer one, the last
// transaction is lost.
func TestOpen_SaysWhenAMetaPageIsDamaged(t *testing.T) {
	heads := map[int]int{}
	for which := range 2 {
		path := logPath(t)
		s, err := boltstore.Open(path, nil)
		require.NoError(t, err)
		appendEvents(t, s, "s", 1)
		appendEvents(t, s, "s", 1)
		require.NoError(t, s.Close())
		damageMeta(t, path, which)

		var said bytes.Buffer
		s = openUnverified(t, path, &boltstore.Options{ReadOnly: true, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		require.Len(t, s.Info().Warnings, 1)
		require.Contains(t, s.Info().Warnings[0], "meta page")
		require.Contains(t, said.String(), "meta page")
		heads[len(positions(t, s, eventstore.All()))]++
		require.NoError(t, s.Close())

		s = open(t, path, nil)
		require.Len(t, s.Info().Warnings, 1)
		appendEvents(t, s, "s", 1)
		require.NoError(t, s.Close())
		require.Empty(t, open(t, path, nil).Info().Warnings, "writing does not repair it")
	}
	require.Equal(t, map[int]int{1: 1, 2: 1}, heads)
}

func TestStore_NoticesThatItsFileIsGone(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"removed":  os.Remove,
		"renamed":  func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error { return os.Rename(path+".other", path) },
	} {
		t.Run(name, func(t *testing.T) {
			path := logPath(t)
			other, err := boltstore.Open(path+".other", nil)
			require.NoError(t, err)
			require.NoError(t, other.Close())
			s := openUnverified(t, path, nil)
			appendEvents(t, s, "s", 1)
			require.NoError(t, lose(path))
			_, err = eventstore.AppendTo(t.Context(), s, "s", eventstore.Any, eventstore.NewEvent{Type: "t"})
			require.ErrorIs(t, err, eventstore.ErrFailed)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, "before the store is closed")
			require.NotContains(t, err.Error(), "reopen")
			require.Len(t, positions(t, s, eventstore.All()), 1)
			var backup bytes.Buffer
			_, err = s.Backup(t.Context(), &backup, nil)
			require.NoError(t, err)
			_, err = boltstore.Restore(t.Context(), path+".restored", nil, &backup)
			require.NoError(t, err)
			require.Len(t, positions(t, open(t, path+".restored", nil), eventstore.All()), 1)
			if name == "renamed" {
				require.NoError(t, os.Rename(path+".old", path))
				appendEvents(t, s, "s", 1)
			}
		})
	}
}

// TestOpen_GetsTheFileThatReplacedTheOneItWaitedFor has a file replaced, as
// Compact does, while another opener waits for its lock.
func TestOpen_GetsTheFileThatReplacedTheOneItWaitedFor(t *testing.T) {
	path := logPath(t)
	replacement, err := boltstore.Open(path+".other", nil)
	require.NoError(t, err)
	appendEvents(t, replacement, "s", 2)
	require.NoError(t, replacement.Close())

	holder, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	opened := make(chan *boltstore.Store)
	go func() {
		s, err := boltstore.Open(path, &boltstore.Options{LockTimeout: time.Minute})
		if err != nil {
			t.Error(err)
		}
		opened <- s
	}()
	time.Sleep(20 * time.Millisecond) // by now it probably waits
	require.NoError(t, os.Rename(path+".other", path))
	require.NoError(t, holder.Close())
	s := <-opened
	require.NotNil(t, s)
	require.Len(t, positions(t, s, eventstore.All()), 2)
	appendEvents(t, s, "s", 1)
	require.NoError(t, s.Close())
	require.Len(t, positions(t, open(t, path, nil), eventstore.All()), 3)
}

// TestOpen_TellsTheLastRecordIsDamaged: such a log opens for reading only.
func TestOpen_TellsTheLastRecordIsDamaged(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s", 3)
	require.NoError(t, s.Close())
	edit(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("log")).Put([]byte{0, 0, 0, 0, 0, 0, 0, 3}, []byte("damaged"))
	})
	_, err = boltstore.Open(path, nil)
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.EqualValues(t, 3, corrupt.Position)

	s = openUnverified(t, path, &boltstore.Options{ReadOnly: true})
	require.Len(t, s.Info().Warnings, 2)
	require.Contains(t, s.Info().Warnings[0], "the end of the log is damaged")
	require.Contains(t, s.Info().Warnings[1], "the event at position 3 cannot be read")
	read, at := readUntilCorrupt(t, s, eventstore.All(), eventstore.ReadOptions{})
	require.Equal(t, []eventstore.Position{1, 2}, read)
	require.EqualValues(t, 3, at)
}
