package simfs_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/simfs"
)

// mount returns a mounted file system. The test must use its files by system calls
// only: the page fault of a mapped file would wait for this process.
func mount(t *testing.T) *simfs.Mounted {
	t.Helper()
	m, err := simfs.Mount(t.TempDir())
	if errors.Is(err, simfs.ErrUnavailable) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func TestRecorder_RecordsWhatIsDone(t *testing.T) {
	m := mount(t)
	r, err := m.NewDisk("disk", simfs.Disk{"old": {Size: 6, Data: []byte("before")}})
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(r.Dir(), "old"))
	require.NoError(t, err)
	require.Equal(t, "before", string(content))

	path := filepath.Join(r.Dir(), "new")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	require.NoError(t, err)
	_, err = file.WriteAt([]byte("hello"), 10000)
	require.NoError(t, err)
	require.NoError(t, file.Truncate(20000))
	require.NoError(t, file.Sync())
	require.NoError(t, os.WriteFile(filepath.Join(r.Dir(), simfs.MarksName), []byte("a mark\n"), 0o600))
	require.NoError(t, file.Close())
	require.NoError(t, os.Link(path, filepath.Join(r.Dir(), "second")))
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Rename(filepath.Join(r.Dir(), "second"), filepath.Join(r.Dir(), "old")))
	dir, err := os.Open(r.Dir())
	require.NoError(t, err)
	require.NoError(t, errors.Join(dir.Sync(), dir.Close()))

	var done []string
	for _, op := range r.Trace().Ops {
		done = append(done, op.String())
	}
	require.Equal(t, []string{
		"create new = file 2", "write file 2 [10000,+5)", "truncate file 2 to 20000", "sync file 2", `mark "a mark"`,
		"link second = file 2", "unlink new", "rename second to old", "syncdir .",
	}, done)
	cached := r.Cached()
	require.Len(t, cached, 1)
	require.EqualValues(t, 20000, cached["old"].Size)
	require.Equal(t, cached, r.Trace().Durable(r.Len()))

	entries, err := os.ReadDir(r.Dir())
	require.NoError(t, err)
	require.Len(t, entries, 2, "the file and the marks")
	r.Discard()
}

func TestRecorder_Inject(t *testing.T) {
	m := mount(t)
	r, err := m.NewDisk("disk", simfs.Disk{"file": {Size: 5 * 4096}})
	require.NoError(t, err)
	file, err := os.OpenFile(filepath.Join(r.Dir(), "file"), os.O_RDWR, 0)
	require.NoError(t, err)
	data := pageOf('x')
	do := func() (err error) { _, err = file.WriteAt(data, 3*4096); return err }

	r.Inject(simfs.Fault{At: simfs.WriteData, Nth: 2, Err: syscall.EIO})
	require.NoError(t, do())
	require.False(t, r.Injected())
	require.ErrorIs(t, do(), syscall.EIO)
	require.True(t, r.Injected())
	require.NoError(t, do(), "there is one fault at a time")

	r.Inject(simfs.Fault{At: simfs.WriteData, Nth: 1, Err: syscall.ENOSPC, Short: true})
	_, err = file.WriteAt(data, 4*4096)
	require.ErrorIs(t, err, syscall.ENOSPC)
	ops := r.Trace().Ops
	require.Equal(t, "write file 1 [16384,+2048)", ops[len(ops)-2].String())
	require.Equal(t, "write file 1 [18432,+2048), failed", ops[len(ops)-1].String())

	r.Inject(simfs.Fault{At: simfs.SyncData, Nth: 1, Err: syscall.EIO})
	require.ErrorIs(t, file.Sync(), syscall.EIO)
	r.Inject(simfs.Fault{At: simfs.SetSize, Nth: 1, Err: syscall.ENOSPC})
	require.ErrorIs(t, file.Truncate(1<<20), syscall.ENOSPC)
	require.EqualValues(t, 5*4096, r.Cached()["file"].Size)
	require.NoError(t, file.Close())
}

func TestRecorder_Block(t *testing.T) {
	m := mount(t)
	r, err := m.NewDisk("disk", simfs.Disk{"file": {Size: 4 * 4096}})
	require.NoError(t, err)
	file, err := os.OpenFile(filepath.Join(r.Dir(), "file"), os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(pageOf('m'), 4096)
	require.NoError(t, err)
	reached, release := r.Block(simfs.SyncMeta, 1)
	ended := make(chan error)
	go func() { ended <- syscall.Fsync(int(file.Fd())) }()
	<-reached
	before := r.Len()
	release()
	require.ErrorIs(t, <-ended, syscall.EINTR)
	require.Equal(t, before, r.Len(), "the sync was not done")
	require.NoError(t, file.Sync())
	require.NoError(t, file.Close())
}
