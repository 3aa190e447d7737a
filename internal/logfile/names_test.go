//go:build !windows

package logfile_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/logfile"
)

func TestResolve(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	in := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.Mkdir(in("real"), 0o700))
	require.NoError(t, os.WriteFile(in("real/log"), nil, 0o600))
	for name, target := range map[string]string{
		"dir": "real", "link": "dir/log", "second": "link", "dangling": "none/log", "loop": "loop",
	} {
		require.NoError(t, os.Symlink(target, in(name)))
	}
	for path, want := range map[string]string{
		"real/log": "real/log", "dir/log": "real/log", "link": "real/log", "second": "real/log",
		"dir/new": "real/new", "new": "new",
	} {
		got, err := logfile.Resolve(in(path))
		require.NoError(t, err, path)
		require.Equal(t, in(want), got, path)
	}
	_, err = logfile.Resolve(in("dangling"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "a symbolic link to nothing")
	_, err = logfile.Resolve(in("none/log"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = logfile.Resolve(in("loop"))
	require.ErrorIs(t, err, syscall.ELOOP)
}

// TestOpen_LongNames: the files beside a log have names that fit.
func TestOpen_LongNames(t *testing.T) {
	for _, n := range []int{100, 110, 111, 143, 240, 249, 255} {
		for _, letter := range []string{"x", "é"} {
			dir := t.TempDir()
			name := strings.Repeat(letter, n/len(letter)+1)[:n]
			path := filepath.Join(dir, name)
			require.NoError(t, os.Rename(newLog(t), path))
			temp, err := logfile.CreateTemp(path, 0, false)
			require.NoError(t, err)
			require.Less(t, len(filepath.Base(temp)), 143)
			other, err := logfile.CreateTemp(path[:len(path)-1]+"y", 0, false)
			require.NoError(t, err)
			db, f, err := logfile.Open(path, logfile.OpenOptions{})
			require.NoError(t, err)
			require.Equal(t, []string{filepath.Base(temp)}, f.Leftovers)
			require.FileExists(t, other, "it belongs to another log")
			require.NoError(t, f.Doubt())
			require.NoError(t, db.Close())
			open(t, path, logfile.OpenOptions{})
			require.Len(t, names(t, dir), 2, "the log and the file of another")
		}
	}
}

func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestOpen_Leftovers: Open for writing removes the files of builders that were killed, and
// nothing else.
func TestOpen_Leftovers(t *testing.T) {
	path := newLog(t)
	dir := filepath.Dir(path)
	beside := func(suffix string) string { return path + suffix }
	temp := func(n int) string { return fmt.Sprintf(".new-%015da", n) }
	kept := []string{"", ".new-", ".new-1", ".new-20260115", ".new-000000000000000A", ".new-000000000000000g", temp(1) + "0", temp(1) + ".yore", ".news-0000000000000001"}
	for _, suffix := range append([]string{temp(0), temp(1)}, kept[1:]...) {
		require.NoError(t, os.WriteFile(beside(suffix), []byte("x"), 0o600))
	}
	require.NoError(t, os.Link(path, beside(temp(2))), "killed while the file got its name")
	require.NoError(t, os.Symlink(path, beside(temp(3))))
	require.NoError(t, os.Mkdir(beside(temp(4)), 0o700))
	held := beside(temp(5))
	require.NoError(t, os.Rename(newLog(t), held))
	builder, _, err := logfile.Open(held, logfile.OpenOptions{})
	require.NoError(t, err)

	db, _, err := logfile.Open(path, logfile.OpenOptions{ReadOnly: true})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.FileExists(t, beside(temp(1)), "a reader removes nothing")

	db, f, err := logfile.Open(path, logfile.OpenOptions{})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"log.yore" + temp(0), "log.yore" + temp(1), "log.yore" + temp(2)}, f.Leftovers)
	var left []string
	for _, suffix := range append(kept, temp(3), temp(4), temp(5)) {
		left = append(left, "log.yore"+suffix)
	}
	require.ElementsMatch(t, left, names(t, dir))
	require.NoError(t, db.Close())
	require.NoError(t, builder.Close())
	open(t, path, logfile.OpenOptions{})
	require.NoFileExists(t, held)
}
