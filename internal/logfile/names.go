package logfile

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode/utf8"
)

// Resolve returns the absolute path of a file, without symbolic links. The file need not
// exist, but its directory must; a link to nothing matches fs.ErrNotExist.
func Resolve(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	_, err = os.Stat(absolute) // its errors are those of the system, such as ELOOP
	if err == nil {
		real, err := filepath.EvalSymlinks(absolute)
		if err != nil && runtime.GOOS == "windows" { // it does not know every kind of volume
			return absolute, nil
		}
		return real, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if info, statErr := os.Lstat(absolute); statErr == nil && info.Mode()&fs.ModeSymlink != 0 {
		return "", fmt.Errorf("the path is a symbolic link to nothing: %w", err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(absolute))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the directory does not exist: %w", err)
	}
	return filepath.Join(dir, filepath.Base(absolute)), err
}

// longName is the length in bytes up to which the names of files beside a log begin with
// its whole name. File systems allow 255 bytes a name, and some of them 143.
const longName = 110

// beside returns the path of a file beside the log at path. Its name is the log's with the
// suffix, of 32 bytes at most. If the log's name is long, it is cut and ends in a hash.
func beside(path, suffix string) string {
	name := filepath.Base(path)
	if len(name) > longName {
		hash := fnv.New64a()
		_, _ = hash.Write([]byte(name)) // does not fail
		cut := longName - 17
		for cut > 0 && !utf8.RuneStart(name[cut]) {
			cut--
		}
		name = fmt.Sprintf("%s~%016x", name[:cut], hash.Sum64())
	}
	return filepath.Join(filepath.Dir(path), name+suffix)
}

// newSuffix follows the final name in the name of a file that is not complete yet. A number
// of newDigits hexadecimal digits follows it, which no one gives to a file by hand.
const (
	newSuffix = ".new-"
	newDigits = 16
)

// tempPath returns a path for a file that is to be at path when it is complete.
func tempPath(path string) string {
	return beside(path, fmt.Sprintf("%s%0*x", newSuffix, newDigits, rand.Uint64()))
}

// removeLeftovers removes the files of tempPath that killed processes have left: a process
// that still makes a file has locked it. It follows no links. A file that cannot be removed stays.
func (f *File) removeLeftovers() {
	dir, err := os.Open(filepath.Dir(f.Path))
	if err != nil {
		return // it cannot be read
	}
	defer func() { _ = dir.Close() }() // only read
	names, _ := dir.Readdirnames(-1)   // as many as can be read
	prefix := filepath.Base(beside(f.Path, newSuffix))
	for _, name := range names {
		number, ok := strings.CutPrefix(name, prefix)
		if !ok || len(number) != newDigits || strings.Trim(number, "0123456789abcdef") != "" {
			continue
		}
		if f.removeLeftover(filepath.Join(filepath.Dir(f.Path), name)) {
			f.Leftovers = append(f.Leftovers, name)
		}
	}
}

// removeLeftover removes a file that is not locked, and reports whether it has.
func (f *File) removeLeftover(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	if os.SameFile(info, f.Info) { // a second name of this file, of a process that was killed in Install
		return os.Remove(path) == nil
	}
	file, err := unheld(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // only read
	locked, err := file.Stat()
	if err != nil || !os.SameFile(locked, info) {
		return false
	}
	return os.Remove(path) == nil
}
