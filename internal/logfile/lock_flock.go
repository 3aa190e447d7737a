//go:build unix && !aix && !solaris

package logfile

import (
	"os"
	"syscall"
)

// unlock gives up the lock of a file that bbolt has opened and left behind: its
// mapping keeps the file open, and so the lock, when the file is closed.
func unlock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }

// lock locks a file, or returns an error if another opener has locked it. A lock that
// this handle or a duplicate already has is kept.
func lock(f *os.File, shared bool) error {
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	return syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
}

// duplicate returns another handle of an open file. Both have the same lock.
func duplicate(f *os.File) (*os.File, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// unheld opens a regular file, following no link, and locks it. It returns an error if
// another opener has locked it.
func unheld(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := lock(f, false); err != nil {
		_ = f.Close() // only read
		return nil, err
	}
	return f, nil
}
