package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/logbuild"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
)

// Open opens the log in the file at path, and creates it if there is none, unless
// o.ReadOnly is true. The caller must close the Store. A nil o means the defaults.
//
// A symbolic link is followed once: the Store works on the file that it leads to, also if
// the link changes later. A link to nothing is an error that matches fs.ErrNotExist. When
// Open opens the log for writing, it removes the incomplete files beside it, with the names
// NAME.new- and 16 hexadecimal digits, that killed processes have left.
//
// Errors a caller can match: ErrInvalid (the path is empty), ErrLocked (another opener kept
// the file for LockTimeout), ErrFormat (the file is not a Yore log, or has a newer format),
// ErrCorrupt (the log is damaged), and those of the file system.
func Open(path string, o *Options) (*Store, error) {
	if path == "" {
		return nil, fmt.Errorf("open: %w: the path is empty", eventstore.ErrInvalid)
	}
	s, err := open(path, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

func open(path string, opts Options) (*Store, error) {
	path, err := logfile.Resolve(path)
	if err != nil {
		return nil, err
	}
	if !opts.ReadOnly {
		if err := create(path, opts); err != nil {
			return nil, fmt.Errorf("create: %w", err)
		}
	}
	d, err := openDisk(path, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{disk: d, opts: opts, views: newViewSet()}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, d.db.Close())
	}
	s.start()
	return s, nil
}

// create creates an empty log at path if there is no file. The log appears whole or not at
// all, and of two concurrent calls neither replaces the file of the other.
func create(path string, opts Options) (err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	b, err := logbuild.New(path, logbuild.Options{Identity: logfile.Identity{StoreID: id, Epoch: 1}, Mode: opts.FileMode})
	if err != nil {
		return err
	}
	if err := b.Finish(false); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // a concurrent call has created it
}

// load reads the state that the store needs, puts its parts together, and brings the index
// up to the log.
func (s *Store) load() error {
	var identity logfile.Identity
	var end logfile.End
	err := s.readTx(func(tx *pages.Tx) (err error) {
		if identity, err = logfile.LoadIdentity(tx); err != nil {
			return err
		}
		s.seed = identity.Seed()
		if end, err = logfile.LoadHead(tx, s.seed); err != nil {
			if !s.readOnly || end.Position == 0 {
				return fmt.Errorf("%w; the log can be opened for reading, and salvaged", err)
			}
			s.warn(fmt.Sprintf("the end of the log is damaged: %v", err))
		}
		if end.Warning != "" {
			s.warn(end.Warning)
		}
		s.end, s.identity = end.Head, identity
		s.durableTx.Store(int64(tx.ID()))
		s.begunTx.Store(int64(tx.ID()))
		if s.badRows = s.file.BadRows; s.badRows == nil {
			s.badRows = logfile.Protect(func() error { return s.views.load(tx, s.seed) })
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.warnOfDamage()
	s.tail = newTail(newGroup(s.seed, s.end, end.Recorded))
	s.index = newIndexKeeper(s.disk, s.tail, index.Limits{Bytes: s.opts.IndexMemory, Events: unsavedEvents})
	s.writer = &writer{
		disk: s.disk, tail: s.tail, index: s.index, views: s.views,
		queue: newQueue(), stopped: make(chan struct{}),
	}
	s.index.write = s.writer.writeSlice
	s.views.bringBack = s.bringBack
	s.reader = &reader{disk: s.disk, tail: s.tail, index: s.index, stopped: s.writer.stopped}
	err = s.index.open(end.Position)
	s.info = eventstore.Info{
		StoreID: identity.StoreID, Epoch: identity.Epoch, Gapless: true, Durable: true,
		Limits: eventstore.StandardLimits(), Warnings: s.warnings,
	}
	return err
}

// warnOfDamage warns of damage with which the store can be opened.
func (s *Store) warnOfDamage() {
	if s.file.Found.Damaged != "" {
		s.warn(s.file.Found.Damaged + ": the file has the state before its last transaction; that is right if power was lost during that transaction")
	}
	for _, problem := range s.file.Problems {
		s.warn(problem.Error())
	}
	if s.badRows != nil && s.file.BadRows == nil {
		s.warn(fmt.Sprintf("the views cannot be read: %v", s.badRows))
	}
	for view, err := range s.views.refused {
		if errors.Is(err, eventstore.ErrCorrupt) {
			s.warn(fmt.Sprintf("view %q cannot be used until it is dropped: %v", view, err))
		}
	}
}

// start starts the store's goroutines.
func (s *Store) start() {
	if s.readOnly {
		close(s.writer.stopped)
	} else {
		go s.writer.run()
	}
	if s.readOnly || s.opts.alone {
		close(s.index.stopped)
	} else {
		s.index.work <- struct{}{} // the index may have unfinished work
		go s.index.run()
	}
}
