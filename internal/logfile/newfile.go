package logfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/internal/index"
)

// newSuffix is what the name of a file that is not complete has behind the name
// that it is to get; a dash and a number follow.
const newSuffix = ".new"

// CreateTemp makes an empty file beside path, and returns its name.
func CreateTemp(path string, mode fs.FileMode) (string, error) {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+newSuffix+"-*")
	if err != nil {
		var pathError *fs.PathError // it names a file that nobody knows of
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("its directory is not there: %w", err)
		}
		return "", err
	}
	if mode == 0 {
		mode = 0o600
	}
	if err := errors.Join(temp.Chmod(mode), temp.Close()); err != nil {
		return "", errors.Join(err, os.Remove(temp.Name()))
	}
	return temp.Name(), nil
}

// Install gives the file at temp the name path: instead of the file that has it,
// or only if none has; then the error matches fs.ErrExist. Without replace, temp
// may still be there too. The directory is not synced yet.
func Install(temp, path string, replace bool) error {
	if replace {
		return os.Rename(temp, path)
	}
	err := os.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without links: there, of two who do this at once the last one wins.
	if _, statErr := os.Lstat(path); statErr == nil {
		return fs.ErrExist
	}
	if renameErr := os.Rename(temp, path); renameErr != nil {
		return errors.Join(err, renameErr)
	}
	return nil
}

// SyncDirectory makes a new name in a directory durable.
func SyncDirectory(path string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be synced there; NTFS journals names
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Describe makes the buckets of a new log and writes what it says of itself.
func Describe(tx *bolt.Tx, id uuid.UUID, epoch uint64) error {
	store, err := tx.CreateBucket(StoreBucket)
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket(LogBucket); err != nil {
		return err
	}
	formatValue := binary.BigEndian.AppendUint32(nil, fileFormat)
	epochValue := binary.BigEndian.AppendUint64(nil, epoch)
	return errors.Join(
		store.Put(FormatKey, formatValue),
		store.Put(IdKey, id[:]),
		store.Put(EpochKey, epochValue),
		store.Put(SumKey, InfoSum(formatValue, id[:], epochValue)),
		index.Create(tx),
	)
}

// NewEpoch returns an epoch for a log that takes the place of others, which had
// these: later than each of them, and, since it goes by the clock, than those
// of logs that are not there any more to be asked.
func NewEpoch(others ...uint64) uint64 {
	return max(uint64(time.Now().UnixMilli()), slices.Max(others)+1)
}
