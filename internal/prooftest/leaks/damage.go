package leaks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// The ways with files that are no log, or not an intact one.

// refused opens, for reading and for writing, a file that Open must refuse.
func (u *user) refused(path string) error {
	for _, readOnly := range []bool{false, true} {
		s, err := boltstore.Open(path, &boltstore.Options{ReadOnly: readOnly, LockTimeout: time.Millisecond})
		if err == nil {
			return errors.Join(fmt.Errorf("%s was opened", path), s.Close())
		}
	}
	return nil
}

func (u *user) garbage(dir string) error {
	text, fifo := filepath.Join(dir, "text"), filepath.Join(dir, "fifo")
	if err := errors.Join(os.WriteFile(text, bytes.Repeat([]byte("text "), 5000), 0o600), syscall.Mkfifo(fifo, 0o600)); err != nil {
		return err
	}
	for _, path := range []string{text, fifo, dir, filepath.Join(dir, "none", "log.yore")} {
		if err := u.refused(path); err != nil {
			return err
		}
	}
	return nil
}

func (u *user) cut(dir string) error {
	for _, size := range []int{0, 100, 5000, 8192, 20_000, len(u.content) - 4096} {
		path := filepath.Join(dir, fmt.Sprint(size))
		if err := errors.Join(os.WriteFile(path, u.content[:size], 0o600), u.refused(path)); err != nil {
			return err
		}
	}
	return nil
}

// damaged overwrites page after page, and uses the store if it can be opened.
func (u *user) damaged(dir string) error {
	page := os.Getpagesize()
	for offset := 2 * page; offset < len(u.content); offset += 7 * page {
		path, err := u.copy(dir)
		if err != nil {
			return err
		}
		garbage := bytes.Clone(u.content)
		for i := range min(page, len(garbage)-offset) {
			garbage[offset+i] = byte(i * 11)
		}
		if err := os.WriteFile(path, garbage, 0o600); err != nil {
			return err
		}
		s, err := boltstore.Open(path, &boltstore.Options{LockTimeout: time.Millisecond})
		if err != nil {
			continue
		}
		var readErr error
		for _, readErr = range s.Read(u.ctx, eventstore.Stream("s-1"), eventstore.ReadOptions{}) {
		}
		if readErr != nil && !errors.Is(readErr, eventstore.ErrCorrupt) {
			return readErr
		}
		_, verifyErr := s.Verify(u.ctx, nil)
		_ = u.append(s, 1) // may be refused
		if err := errors.Join(verifyErr, s.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (u *user) salvage(dir string) error {
	path, err := u.copy(dir)
	if err != nil {
		return err
	}
	page := os.Getpagesize()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, page), int64(len(u.content)/page/2*page))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	_, err = boltstore.Salvage(u.ctx, path, filepath.Join(dir, "saved.yore"), nil)
	return err
}
