package leaks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// The ways of the operator's tools.

func (u *user) backup(dir string) error {
	var whole, more bytes.Buffer
	err := u.onCopy(dir, nil, func(s *boltstore.Store) error {
		manifest, err := s.Backup(u.ctx, &whole, nil)
		if err != nil {
			return err
		}
		if err := u.append(s, 3); err != nil {
			return err
		}
		if _, err := s.Backup(u.ctx, &more, &boltstore.BackupOptions{After: manifest.Through}); err != nil {
			return err
		}
		v, err := s.Verify(u.ctx, nil)
		if err == nil && !v.OK() {
			err = fmt.Errorf("verify finds %v", v.Findings)
		}
		return err
	})
	if err != nil {
		return err
	}
	_, err = boltstore.Restore(u.ctx, filepath.Join(dir, "restored.yore"), nil, &whole, &more)
	return err
}

// failingWriter accepts a number of bytes, and then fails.
type failingWriter struct{ left int }

var errNoMore = errors.New("no more")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errNoMore
	}
	return len(p), nil
}

func (u *user) brokenBackup(dir string) error {
	var whole bytes.Buffer
	err := u.onCopy(dir, nil, func(s *boltstore.Store) error {
		if _, err := s.Backup(u.ctx, &failingWriter{1000}, nil); !errors.Is(err, errNoMore) {
			return fmt.Errorf("a backup to what fails gives %w", err)
		}
		if _, err := s.Export(u.ctx, &failingWriter{1000}, nil); !errors.Is(err, errNoMore) {
			return fmt.Errorf("an export to what fails gives %w", err)
		}
		_, err := s.Backup(u.ctx, &whole, nil)
		return err
	})
	if err != nil {
		return err
	}
	part := io.LimitReader(&whole, int64(whole.Len()/2))
	if _, err := boltstore.Restore(u.ctx, filepath.Join(dir, "restored.yore"), nil, part); err == nil {
		return errors.New("half a backup was restored")
	}
	return onlyLog(dir)
}

// onlyLog returns an error if a failed call has left files beside the log.
func onlyLog(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "log.yore" {
			return fmt.Errorf("%s is left", e.Name())
		}
	}
	return nil
}

func (u *user) export(dir string) error {
	var lines bytes.Buffer
	err := u.onCopy(dir, nil, func(s *boltstore.Store) error {
		_, err := s.Export(u.ctx, &lines, nil)
		return err
	})
	if err != nil {
		return err
	}
	_, err = boltstore.Import(u.ctx, filepath.Join(dir, "imported.yore"), &lines, nil)
	return err
}

func (u *user) brokenImport(dir string) error {
	path, err := u.copy(dir)
	if err != nil {
		return err
	}
	if _, err := boltstore.Import(u.ctx, path, bytes.NewReader([]byte("{}\nno line\n")), nil); err == nil {
		return errors.New("invalid lines were imported")
	}
	return onlyLog(dir)
}

func (u *user) compact(dir string) error {
	path, err := u.copy(dir)
	if err != nil {
		return err
	}
	if _, err := boltstore.Compact(u.ctx, path, nil); err != nil {
		return err
	}
	if _, err := boltstore.Reindex(u.ctx, path, nil); err != nil {
		return err
	}
	return u.with(path, nil, func(s *boltstore.Store) error {
		if _, err := boltstore.Compact(u.ctx, path, &boltstore.CompactOptions{LockTimeout: time.Millisecond}); !errors.Is(err, eventstore.ErrLocked) {
			return fmt.Errorf("compacting an open log gives %w", err)
		}
		return nil
	})
}
