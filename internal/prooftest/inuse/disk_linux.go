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
func (t *tester) mountDisk() (_ string, err error) {
	image, dir := t.image()
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 64<<20), os.MkdirAll(dir, 0o700)); err != nil {
		return "", err
	}
	err = errors.Join(
		command("mkfs.ext4", "-q", "-b", "4096", "-J", "size=4", "-m", "0", "-E", "nodiscard,lazy_itable_init=0", image),
		command("mount", "-o", "loop,noatime", image, dir),
	)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errSkip, err)
	}
	t.undo = append(t.undo, func() {
		if err := command("umount", dir); err != nil {
			t.problem("%v", err)
		}
	})
	return dir, nil
}

// image returns the paths of the file with the file system, and of where it is mounted.
func (t *tester) image() (image, dir string) {
	return filepath.Join(t.disk, "disk.img"), filepath.Join(t.disk, "mounted")
}

// remount mounts the file system again.
func (t *tester) remount() error {
	image, dir := t.image()
	return errors.Join(command("umount", dir), command("mount", "-o", "loop,noatime", image, dir))
}

func command(name string, args ...string) error {
	if output, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(output)))
	}
	return nil
}

// goingDown is the call that stops a file system, and how: nothing more is written.
const (
	goingDown       = 0x8004587d
	withoutLogFlush = 2
)

// stopDisk stops the file system: each write to the file fails, and each read that is not of
// the map.
func (t *tester) stopDisk(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	how := uint32(withoutLogFlush)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), goingDown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		return fmt.Errorf("%w: stop the file system: %w", errSkip, errno)
	}
	return nil
}
