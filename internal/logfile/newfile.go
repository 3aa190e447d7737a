package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/pages"
)

// CreateTemp creates an empty file in the directory of path and returns its name. The mode
// is reduced by the umask, unless exact; zero means 0o600. A missing directory matches
// fs.ErrNotExist.
func CreateTemp(path string, mode fs.FileMode, exact bool) (string, error) {
	if mode == 0 {
		mode = 0o600
	}
	for try := 0; ; try++ {
		temp := tempPath(path)
		file, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) && try < 1000 {
			continue
		}
		if err != nil {
			var pathError *fs.PathError // it names the temporary file, which the caller does not know
			if errors.As(err, &pathError) {
				err = pathError.Err
			}
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("the directory does not exist: %w", err)
			}
			return "", err
		}
		if exact {
			err = file.Chmod(mode)
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return "", errors.Join(err, os.Remove(temp))
		}
		return temp, nil
	}
}

// Install gives the file at temp the name path. With replace it replaces a file of that
// name; without, the error matches fs.ErrExist if there is one, and temp may still exist
// after success too. The caller syncs the directory.
func Install(temp, path string, replace bool) error {
	if replace {
		return os.Rename(temp, path)
	}
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// The file system has no links. Of two concurrent calls, the last one wins there.
	if _, statErr := os.Lstat(path); statErr == nil {
		return fs.ErrExist
	}
	if renameErr := os.Rename(temp, path); renameErr != nil {
		return errors.Join(err, renameErr)
	}
	return nil
}

// SyncName makes the name of a file durable. It syncs the directory. Where the process may
// not read the directory, it syncs the file instead, with all its metadata: that writes the
// name too on the usual file systems, though POSIX does not say so.
func SyncName(path string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be synced there; NTFS journals names
	}
	dir, err := os.Open(filepath.Dir(path))
	if errors.Is(err, fs.ErrPermission) {
		dir, err = os.Open(path)
	}
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Create makes the buckets of a new log of an identity, with an empty index.
func Create(tx *pages.WriteTx, identity Identity) error {
	return errors.Join(describe(tx, identity), index.Create(tx, identity.Seed()))
}

// NewEpoch returns the epoch of a log that replaces logs with the given epochs; there
// must be one at least. It is greater than each of them and at least the time in
// milliseconds, and so greater than that of a log that was replaced before and is gone.
func NewEpoch(others ...uint64) uint64 {
	return max(uint64(time.Now().UnixMilli()), slices.Max(others)+1)
}
