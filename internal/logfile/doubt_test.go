//go:build linux || darwin

package logfile_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/logfile"
)

// TestDoubt_InTheWay has something else in the place of the note. Open ignores it, and Doubt
// moves it aside without writing to it.
func TestDoubt_InTheWay(t *testing.T) {
	for name, plant := range map[string]func(victim, note string) error{
		"a link":           os.Symlink,
		"a dangling link":  func(victim, note string) error { return os.Symlink(victim+"-none", note) },
		"a full directory": func(_, note string) error { return os.MkdirAll(filepath.Join(note, "x"), 0o700) },
		"another file":     func(_, note string) error { return os.WriteFile(note, []byte("a log of the user"), 0o600) },
		"a pipe":           func(_, note string) error { return syscall.Mkfifo(note, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := newLog(t)
			victim, note := filepath.Join(t.TempDir(), "victim"), path+".doubt"
			require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
			require.NoError(t, plant(victim, note))
			before, err := os.Lstat(note)
			require.NoError(t, err)

			db, f, err := logfile.Open(path, logfile.OpenOptions{})
			require.NoError(t, err)
			require.NoError(t, f.Doubt())
			require.NoError(t, db.Close())
			info, err := os.Lstat(note)
			require.NoError(t, err)
			require.True(t, info.Mode().IsRegular())
			aside, err := os.Lstat(note + ".aside-1")
			require.NoError(t, err)
			require.True(t, os.SameFile(before, aside))
			content, err := os.ReadFile(victim)
			require.NoError(t, err)
			require.Equal(t, "precious", string(content))
			require.NoFileExists(t, victim+"-none")

			open(t, path, logfile.OpenOptions{})
			require.NoFileExists(t, note)
		})
	}
}

// TestDoubt_ThroughALink: the note lies beside the file, not beside a link to it.
func TestDoubt_ThroughALink(t *testing.T) {
	path := newLog(t)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	db, f, err := logfile.Open(link, logfile.OpenOptions{})
	require.NoError(t, err)
	require.NoError(t, f.Doubt())
	require.NoError(t, f.Doubt(), "there is a note already")
	require.NoError(t, db.Close())
	require.NoFileExists(t, link+".doubt")
	require.FileExists(t, path+".doubt")
	open(t, path, logfile.OpenOptions{})
	require.NoFileExists(t, path+".doubt")
}
