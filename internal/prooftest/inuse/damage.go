package inuse

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/prooftest/sample"
	"github.com/yore-es/yore/internal/prooftest/workload"
)

// damage is something that another program does to the open file.
type damage struct {
	name string
	do   func(t *tester, path string) error
	// moved means that the file is whole, but has another name or none: all reads are
	// right.
	moved bool
	// disk means that the file is on a disk that stops: errors of the system are right.
	disk bool
}

// errSkip means that a damage cannot be done on this machine.
var errSkip = errors.New("cannot be had here")

func damages() []damage {
	return []damage{
		{name: "truncated to nothing", do: truncated(func(int64) int64 { return 0 })},
		{name: "truncated to a page", do: truncated(func(int64) int64 { return 4096 })},
		{name: "truncated to the meta pages", do: truncated(func(int64) int64 { return 8192 })},
		{name: "truncated to half", do: truncated(func(used int64) int64 { return used / 2 })},
		{name: "truncated by a page", do: truncated(func(used int64) int64 { return used - 4096 })},
		{name: "truncated to nothing and filled with zeros", do: func(t *tester, path string) error {
			return errors.Join(os.Truncate(path, 0), os.Truncate(path, t.known.Size))
		}},
		{name: "an older copy copied over it", do: over(older, true)},
		{name: "an older copy written over it", do: over(older, false)},
		{name: "the half of an older copy copied over it", do: over(half(older), true)},
		{name: "the half of an older copy written over it", do: over(half(older), false)},
		{name: "an older copy that has gone on written over it", do: over(goneOn, false)},
		{name: "another log copied over it", do: over(other, true)},
		{name: "another log written over it", do: over(other, false)},
		{name: "the half of another log copied over it", do: over(half(other), true)},
		{name: "a text copied over it", do: over(text, true)},
		{name: "a text written over it", do: over(text, false)},
		{name: "zeros written over it", do: over(zeros, false)},
		{name: "removed", do: func(_ *tester, path string) error { return os.Remove(path) }, moved: true},
		{name: "renamed", do: func(_ *tester, path string) error { return os.Rename(path, path+".old") }, moved: true},
		{name: "replaced by a copy", do: replaced, moved: true},
		{name: "moved, and a link left in its place", do: linked, moved: true},
		{name: "the disk stops", do: (*tester).stopDisk, disk: true},
	}
}

// truncated cuts the file to a size that depends on how much of it is used.
func truncated(to func(used int64) int64) func(*tester, string) error {
	return func(t *tester, path string) error { return os.Truncate(path, to(int64(t.known.Used))) }
}

// over writes over the file, as cp does with truncate, and as dd does without.
func over(content func(*tester) ([]byte, error), truncate bool) func(*tester, string) error {
	return func(t *tester, path string) error {
		bytes, err := content(t)
		if err != nil {
			return err
		}
		flags := os.O_WRONLY
		if truncate {
			flags |= os.O_TRUNC
		}
		f, err := os.OpenFile(path, flags, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(bytes)
		return errors.Join(err, f.Close())
	}
}

func older(t *tester) ([]byte, error) { return t.content, nil }
func other(t *tester) ([]byte, error) { return os.ReadFile(t.other) }

// goneOn returns the older copy after as many transactions as the open file has had, and one
// more, which have changed nothing.
func goneOn(t *tester) ([]byte, error) {
	dir, err := t.place(damage{})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "copy.yore")
	err = sample.Write(path, t.content, t.known.Size)
	for range 2 {
		err = errors.Join(err, workload.Amend(path, func(*pages.WriteTx) error { return nil }))
	}
	content, readErr := os.ReadFile(path)
	return content, errors.Join(err, readErr)
}

func zeros(t *tester) ([]byte, error) { return make([]byte, t.known.Size), nil }
func text(t *tester) ([]byte, error) {
	content := make([]byte, t.known.Used)
	for i := range content {
		content[i] = "a line of a log of another kind\n"[i%32]
	}
	return content, nil
}

func half(content func(*tester) ([]byte, error)) func(*tester) ([]byte, error) {
	return func(t *tester) ([]byte, error) {
		bytes, err := content(t)
		return bytes[:len(bytes)/2/4096*4096], err
	}
}

func replaced(t *tester, path string) error {
	if err := sample.Write(path+".copy", t.content, t.known.Size); err != nil {
		return err
	}
	return os.Rename(path+".copy", path)
}

func linked(_ *tester, path string) error {
	return errors.Join(os.Rename(path, path+".old"), os.Symlink(path+".old", path))
}
