//go:build linux

package ext4

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// attaching is held while a free loop device is searched and then taken.
var attaching sync.Mutex

// loop is a loop device.
type loop struct{ device *os.File }

// attach makes a file a block device.
func attach(path string) (*loop, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the device keeps it open
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = control.Close() }() // nothing was written
	attaching.Lock()
	defer attaching.Unlock()
	for range 20 { // another process may be faster
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("find a free loop device: %w", err)
		}
		device, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_FD, int(file.Fd()))
		if err == nil {
			return &loop{device}, nil
		}
		if err := errors.Join(err, device.Close()); !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("attach %s: %w", path, err)
		}
	}
	return nil, fmt.Errorf("attach %s: %w", path, unix.EBUSY)
}

// detach detaches the device. The kernel frees it when it is no longer in use.
func (l *loop) detach() error {
	err := unix.IoctlSetInt(int(l.device.Fd()), unix.LOOP_CLR_FD, 0)
	return errors.Join(err, l.device.Close())
}

// withMounted mounts the file system in a file at a directory, which replays its
// journal, and calls work.
func withMounted(image, dir string, work func() error) (err error) {
	l, err := attach(image)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.detach()) }()
	if err := unix.Mount(l.device.Name(), dir, "ext4", unix.MS_NOATIME, ""); err != nil {
		return fmt.Errorf("%w: mount: %w", errNoFileSystem, err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(dir, 0)) }()
	return work()
}
