//go:build unix && !aix && !solaris

package logfile

import (
	"os"
	"syscall"
)

// unlock gives up the lock of a file that bbolt has opened and left behind: its
// mapping keeps the file open, and so the lock, when the file is closed.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
