package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
	"github.com/yore-es/yore/internal/record"
)

// fileFormat is the number of the file's format: the buckets, what is in them,
// and the record and index formats. It changes when an older Yore could not
// read what a newer one writes.
const fileFormat = 1

var (
	storeBucket = []byte("yore") // what the file says of itself
	logBucket   = []byte("log")  // position -> record

	formatKey = []byte("format") // 4 bytes, big-endian
	idKey     = []byte("id")     // 16 bytes
	epochKey  = []byte("epoch")  // 8 bytes, big-endian
)

// Open opens the log in the file at path, and creates it if there is none and
// Options do not say ReadOnly. The caller must Close it.
//
// Errors a caller can match: ErrInvalid (an empty path), ErrLocked (another opener has the file and kept it
// for LockTimeout), ErrFormat (the file is not a Yore log, or of a newer
// format), ErrCorrupt (it was one), and those of the file system.
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
	if !opts.ReadOnly {
		if err := create(path, opts); err != nil {
			return nil, fmt.Errorf("create: %w", err)
		}
	}
	db, err := openBolt(path, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db:       db,
		opts:     opts,
		commitTx: (*bolt.Tx).Commit,
		queue:    make(chan job, queueLength),
		failure:  make(chan struct{}),
		closing:  make(chan struct{}),
		stopped:  make(chan struct{}),
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if opts.ReadOnly {
		close(s.stopped)
	} else {
		go s.runWriter()
	}
	return s, nil
}

// create makes a new, empty log at path if there is no file. It is made under
// another name and linked into place when it is complete and on disk, so that
// a crash leaves either nothing or a log, and of two who create it at once
// neither takes away what the other has opened.
func create(path string, opts Options) (err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		var pathError *fs.PathError // it names a file that nobody knows of
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("its directory is not there: %w", err)
		}
		return err
	}
	defer func() {
		if removeErr := os.Remove(temp.Name()); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	if err := errors.Join(temp.Chmod(opts.FileMode), temp.Close()); err != nil {
		return err
	}
	db, err := bolt.Open(temp.Name(), opts.FileMode, nil)
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(initialize), db.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links: there, the last of two who create at once wins.
		if renameErr := os.Rename(temp.Name(), path); renameErr != nil {
			return errors.Join(err, renameErr)
		}
	}
	return syncDirectory(filepath.Dir(path))
}

func initialize(tx *bolt.Tx) error {
	store, err := tx.CreateBucket(storeBucket)
	if err != nil {
		return err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket(logBucket); err != nil {
		return err
	}
	return errors.Join(
		store.Put(formatKey, binary.BigEndian.AppendUint32(nil, fileFormat)),
		store.Put(idKey, id[:]),
		store.Put(epochKey, binary.BigEndian.AppendUint64(nil, 1)),
		index.Reset(tx),
	)
}

// syncDirectory makes a new name in a directory durable.
func syncDirectory(path string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be synced there; NTFS journals names
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// openBolt opens the file as a bbolt database, says in the contract's words why
// it cannot, and makes durable what it found: a process that was killed may
// have left writes that only the page cache has.
func openBolt(path string, opts Options) (db *bolt.DB, err error) {
	var file *os.File
	options := &bolt.Options{
		ReadOnly:        opts.ReadOnly,
		Timeout:         opts.LockTimeout,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: reservedAddresses(),
		OpenFile: func(name string, flag int, mode fs.FileMode) (*os.File, error) {
			var err error
			file, err = openExisting(name, flag, mode)
			return file, err
		},
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = errors.Join(badPage(r), file.Close())
		}
	}()
	db, err = bolt.Open(path, opts.FileMode, options)
	if errors.Is(err, syscall.ENOMEM) && options.InitialMmapSize > 0 { // addresses are limited
		options.InitialMmapSize = 0
		db, err = bolt.Open(path, opts.FileMode, options)
	}
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w (waited %v)", eventstore.ErrLocked, opts.LockTimeout)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w: not a Yore log: %w", eventstore.ErrFormat, err)
	case errors.Is(err, berrors.ErrChecksum):
		return nil, fmt.Errorf("%w: both meta pages: %w", eventstore.ErrCorrupt, err)
	case err != nil:
		return nil, err
	}
	if !opts.ReadOnly {
		if err := db.Sync(); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

// openExisting opens a file that must be there and not be empty: bbolt would
// turn an empty one into a new database.
func openExisting(name string, flag int, mode fs.FileMode) (*os.File, error) {
	file, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%w: it is a directory", eventstore.ErrFormat)
	}
	if err == nil && info.Size() == 0 {
		err = fmt.Errorf("%w: the file is empty", eventstore.ErrFormat)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// reservedAddresses is how much address space to map at once, in bytes. bbolt
// maps the file again when it outgrows its map, and that stops all readers and
// the writer; addresses that are not used cost nothing.
func reservedAddresses() int {
	reserved := int64(16 << 30)
	if runtime.GOOS == "windows" || reserved > math.MaxInt {
		return 0 // there the file itself would become as large, or addresses are few
	}
	return int(reserved)
}

// load reads what the store must know before it can be used, and brings the
// index up to the log.
func (s *Store) load() error {
	var head eventstore.Position
	var recorded time.Time
	err := s.view(func(tx *bolt.Tx) (err error) {
		if s.info, err = loadInfo(tx); err != nil {
			return err
		}
		if head, recorded, err = loadHead(tx); err != nil {
			return err
		}
		return s.views.load(tx)
	})
	if err != nil {
		return err
	}
	s.tail = newTail(head, recorded)
	if err := s.repairIndex(head); err != nil {
		return err
	}
	return s.view(func(tx *bolt.Tx) error {
		s.durableTx.Store(int64(tx.ID()))
		return nil
	})
}

func loadInfo(tx *bolt.Tx) (eventstore.Info, error) {
	store := tx.Bucket(storeBucket)
	if store == nil {
		return eventstore.Info{}, fmt.Errorf("%w: not a Yore log, but another program's bbolt file", eventstore.ErrFormat)
	}
	format, id, epoch := store.Get(formatKey), store.Get(idKey), store.Get(epochKey)
	if len(format) == 4 && binary.BigEndian.Uint32(format) != fileFormat {
		return eventstore.Info{}, fmt.Errorf("%w: the file has format %d, this version of Yore reads format %d",
			eventstore.ErrFormat, binary.BigEndian.Uint32(format), fileFormat)
	}
	if len(format) != 4 || len(id) != 16 || len(epoch) != 8 || tx.Bucket(logBucket) == nil {
		return eventstore.Info{}, fmt.Errorf("%w: the file's description of itself is incomplete", eventstore.ErrCorrupt)
	}
	return eventstore.Info{
		StoreID: uuid.UUID(id),
		Epoch:   binary.BigEndian.Uint64(epoch),
		Gapless: true,
		Durable: true,
		Limits:  eventstore.StandardLimits(),
	}, nil
}

// loadHead returns the position of the last event and when it was recorded.
func loadHead(tx *bolt.Tx) (eventstore.Position, time.Time, error) {
	key, value := tx.Bucket(logBucket).Cursor().Last()
	if key == nil {
		return 0, time.Time{}, nil
	}
	head, ok := record.ParseKey(key)
	if !ok {
		return 0, time.Time{}, fmt.Errorf("%w: key %x in the log", eventstore.ErrCorrupt, key)
	}
	last, err := record.Decode(head, value)
	return head, last.Event.Recorded, err
}

// repairIndex brings the index up to the log, a bounded slice at a time, and
// from the beginning if it is missing or not of this log.
func (s *Store) repairIndex(head eventstore.Position) error {
	var through eventstore.Position
	var usable bool
	err := s.view(func(tx *bolt.Tx) error {
		through, usable = index.Through(tx)
		return nil
	})
	if err != nil || usable && through == head {
		return err
	}
	if s.opts.ReadOnly {
		return fmt.Errorf("%w: the index must be rebuilt, open the file for writing once", eventstore.ErrReadOnly)
	}
	s.opts.Logger.Warn("rebuilding the index", "indexed", uint64(through), "head", uint64(head))
	if !usable || through > head {
		if err := s.db.Update(index.Reset); err != nil {
			return err
		}
		through = 0
	}
	for scan := newScan(s, eventstore.All(), window{from: through + 1, to: head}); !scan.done; {
		if err := scan.page(pageEvents); err != nil {
			return err
		}
		if len(scan.found) == 0 {
			continue
		}
		entries := make([]index.Entry, len(scan.found))
		for i, r := range scan.found {
			entries[i] = index.Entry{
				Position: r.Event.Position, Stream: r.Event.Stream, Version: r.Event.Version,
				Type: r.Event.Type, Tags: r.Event.Tags, Key: r.Key,
			}
		}
		if err := s.db.Update(func(tx *bolt.Tx) error { return index.Add(tx, entries) }); err != nil {
			return err
		}
	}
	return nil
}
