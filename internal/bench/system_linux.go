//go:build linux && (amd64 || arm64)

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// dropFromCache removes the file from the page cache, except pages that a process
// has mapped and used.
func dropFromCache(path string) error {
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = file.Sync() // only synced pages can be dropped
	if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, file.Fd(), 0, 0, dontNeed, 0, 0); errno != 0 && err == nil {
		err = fmt.Errorf("drop %s from the page cache: %w", path, errno)
	}
	return errors.Join(err, file.Close())
}

// inMemory reports whether the directory is on a file system in memory.
func inMemory(dir string) bool {
	const tmpfs = 0x01021994
	var stat syscall.Statfs_t
	return syscall.Statfs(dir, &stat) == nil && stat.Type == tmpfs
}
