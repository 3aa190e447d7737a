package straceio_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/prooftest/simfs"
	"github.com/yore-es/yore/internal/prooftest/straceio"
)

// directory is the environment variable that makes this test binary the workload.
const directory = "STRACEIO_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(directory); dir != "" {
		if err := work(dir); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// work makes every call that the package knows.
func work(dir string) error {
	marks, err := os.OpenFile(filepath.Join(dir, simfs.MarksName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	mark := func(text string) error { _, err := marks.WriteString(text + "\n"); return err }
	made, err := os.OpenFile(filepath.Join(dir, "new"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = made.WriteAt([]byte("hello, = 1 \"world\""), 4096)
	err = errors.Join(err, mark("begin"), made.Truncate(8192), made.Sync())
	_, writeErr := made.WriteString("at the start")
	_, moreErr := made.WriteString(", and on")
	err = errors.Join(err, writeErr, moreErr, made.Close(), os.Link(made.Name(), filepath.Join(dir, "log")), os.Remove(made.Name()))
	parent, openErr := os.Open(dir)
	err = errors.Join(err, openErr, parent.Sync(), parent.Close(), mark("linked"), mark("acked"))
	old, openErr := os.OpenFile(filepath.Join(dir, "old"), os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0)
	_, writeErr = old.WriteString("renamed")
	return errors.Join(err, openErr, writeErr, os.Rename(old.Name(), filepath.Join(dir, "log")), old.Sync(), old.Close(),
		os.WriteFile(filepath.Join(os.TempDir(), filepath.Base(dir)), []byte("elsewhere"), 0o600),
		os.Remove(filepath.Join(os.TempDir(), filepath.Base(dir))))
}

func run(t *testing.T, inject ...string) (simfs.Trace, error) {
	t.Helper()
	if err := straceio.Available(t.Context()); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "old"), []byte("old content"), 0o600))
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), directory+"="+dir)
	return straceio.Run(t.Context(), cmd, dir, straceio.Options{Inject: inject})
}

func TestRun_Trace(t *testing.T) {
	trace, err := run(t)
	require.NoError(t, err)
	require.Equal(t, simfs.Disk{"old": {Size: 11, Data: []byte("old content")}}, trace.Base)
	require.Equal(t, []simfs.Op{
		{Kind: simfs.Create, Name: "new", File: 2},
		{Kind: simfs.Write, File: 2, Offset: 4096, Data: []byte("hello, = 1 \"world\"")},
		{Kind: simfs.Mark, Text: "begin"},
		{Kind: simfs.Truncate, File: 2, Size: 8192},
		{Kind: simfs.Sync, File: 2},
		{Kind: simfs.Write, File: 2, Offset: 0, Data: []byte("at the start")},
		{Kind: simfs.Write, File: 2, Offset: 12, Data: []byte(", and on")},
		{Kind: simfs.Link, Name: "log", File: 2},
		{Kind: simfs.Unlink, Name: "new", File: 2},
		{Kind: simfs.SyncDir, Name: "."},
		{Kind: simfs.Mark, Text: "linked"},
		{Kind: simfs.Mark, Text: "acked"},
		{Kind: simfs.Truncate, File: 1},
		{Kind: simfs.Write, File: 1, Data: []byte("renamed")},
		{Kind: simfs.Rename, Name: "old", To: "log", File: 1},
		{Kind: simfs.Sync, File: 1},
	}, trace.Ops)
}

func TestRun_Inject(t *testing.T) {
	trace, err := run(t, "fsync:error=EIO")
	require.ErrorContains(t, err, "input/output error")
	var failed []simfs.Kind
	for _, op := range trace.Ops {
		if op.Failed {
			failed = append(failed, op.Kind)
		}
	}
	require.Equal(t, []simfs.Kind{simfs.Sync, simfs.SyncDir, simfs.Sync}, failed)
}

func TestParse_Interleaved(t *testing.T) {
	log := strings.Join([]string{
		`7 openat(AT_FDCWD, "\x2f\x64\x2f\x61", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5`,
		`7 close(5 <unfinished ...>`,
		`8 openat(AT_FDCWD, "\x2f\x64\x2f\x62", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5`,
		`7 <... close resumed>) = 0`,
		`8 pwrite64(5, "\x41\x42", 2, 0 <unfinished ...>`,
		`7 --- SIGURG {si_signo=SIGURG} ---`,
		`8 <... pwrite64 resumed>) = 1`,
		`8 fdatasync(5) = -1 EIO (Input/output error) (INJECTED)`,
		`8 fdatasync(5 <unfinished ...>) = ?`,
		`8 +++ killed by SIGKILL +++`,
	}, "\n")
	trace, err := straceio.Parse(strings.NewReader(log), "/d", nil)
	require.NoError(t, err)
	require.Equal(t, []simfs.Op{
		{Kind: simfs.Create, Name: "a", File: 1},
		{Kind: simfs.Create, Name: "b", File: 2},
		{Kind: simfs.Write, File: 2, Data: []byte("A")},
		{Kind: simfs.Sync, File: 2, Failed: true},
	}, trace.Ops)
}

// TestParse_NotUnderstood expects an error for calls that the package does not know.
func TestParse_NotUnderstood(t *testing.T) {
	open := `7 openat(AT_FDCWD, "\x2f\x64\x2f\x61", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5` + "\n"
	for _, line := range []string{
		`7 copy_file_range(4, NULL, 5, NULL, 100, 0) = 100`,
		`7 sendfile(5, 4, NULL, 100) = 100`,
		`7 fallocate(5, 0, 0, 100) = 0`,
		`7 pwritev(5, [{iov_base="\x41", iov_len=1}], 1, 0) = 1`,
		`7 truncate("\x2f\x64\x2f\x61", 0) = 0`,
		`7 mkdirat(AT_FDCWD, "\x2f\x64\x2f\x6d", 0700) = 0`,
		`7 renameat(AT_FDCWD, "\x2f\x64\x2f\x61", AT_FDCWD, "\x2f\x65") = 0`,
		`7 sync() = 0`,
		`7 pwrite64(5, "\x41"..., 2, 0) = 2`,
	} {
		_, err := straceio.Parse(strings.NewReader(open+line+"\n"), "/d", nil)
		require.Error(t, err, line)
	}
}
