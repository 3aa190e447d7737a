package inuse

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mountDisk mounts a new ext4 file system in a file.
func (t *tester) mountDisk() (dir string, err error) {
	image := filepath.Join(t.disk, "disk.img")
	dir = filepath.Join(t.disk, "mounted")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 64<<20), os.MkdirAll(dir, 0o700)); err != nil {
		return "", err
	}
	for _, command := range [][]string{
		{"mkfs.ext4", "-q", "-b", "4096", "-J", "size=4", "-m", "0", "-E", "nodiscard,lazy_itable_init=0", image},
		{"mount", "-o", "loop,noatime", image, dir},
	} {
		if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s: %w: %s", errSkip, command[0], err, strings.TrimSpace(string(output)))
		}
	}
	t.undo = append(t.undo, func() {
		if output, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.problem("umount: %v: %s", err, output)
		}
	})
	return dir, nil
}

// goingDown is the call that stops a file system, and how: nothing more is written.
const (
	goingDown       = 0x8004587d
	withoutLogFlush = 2
)

// stopDisk stops the file system. Pages of the file that the process has not used are not
// in memory then, and cannot be read any more.
func (t *tester) stopDisk(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	if err := unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return err
	}
	how := uint32(withoutLogFlush)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), goingDown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		return fmt.Errorf("%w: stop the file system: %w", errSkip, errno)
	}
	return nil
}
