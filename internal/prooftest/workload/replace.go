package workload

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// The scenarios that replace the file of the log.

// compact compacts the log between commits.
func compact(s *session) error {
	return s.replaceTwice(func(path string) error {
		_, err := boltstore.Compact(s.ctx, path, nil)
		return err
	})
}

// remake rebuilds all derived data between commits.
func remake(s *session) error {
	return s.replaceTwice(func(path string) error {
		s.mark("replacing")
		_, err := boltstore.Reindex(s.ctx, path, nil)
		return err
	})
}

// restore replaces the log by backups, a full one and one that continues it, between
// commits.
func restore(s *session) error {
	for range 2 {
		var full, rest bytes.Buffer
		manifest, err := s.store.Backup(s.ctx, &full, nil)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if err := s.beforeReplacing(); err != nil {
			return err
		}
		if _, err := s.store.Backup(s.ctx, &rest, &boltstore.BackupOptions{After: manifest.Through}); err != nil {
			return fmt.Errorf("backup after %d: %w", manifest.Through, err)
		}
		err = s.replace(func(path string) error {
			s.mark("replacing")
			_, err := boltstore.Restore(s.ctx, path, &boltstore.RestoreOptions{Replace: true}, &full, &rest)
			return err
		})
		if err != nil {
			return err
		}
	}
	return s.appendMany(0, 4)
}

func (s *session) replaceTwice(with func(path string) error) error {
	for range 2 {
		if err := errors.Join(s.beforeReplacing(), s.replace(with)); err != nil {
			return err
		}
	}
	return s.appendMany(0, 4)
}

// beforeReplacing gives the log events and views.
func (s *session) beforeReplacing() error {
	if err := s.appendAll(2, 4); err != nil {
		return err
	}
	head, err := s.store.Head(s.ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.followRows(head, 20), s.bringUp(1, false), s.attach(), s.appendMany(0, 3))
}

// replace closes the store, replaces its file with a function, and opens it.
func (s *session) replace(with func(path string) error) error {
	return errors.Join(s.close(), with(filepath.Join(s.dir, LogName)), s.open())
}
