package boltstore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

// fileFormat is the number of the file's format: the buckets, what is in them,
// and the record and index formats. It changes when an older Yore could not
// read what a newer one writes. Format 2 has the bucket of changes, format 3 packs in
// the log.
const (
	fileFormat   = 3
	oldestFormat = 1 // that is read, and written to; it is raised when that is needed
)

var (
	storeBucket = []byte("yore") // what the file says of itself
	logBucket   = []byte("log")  // position -> record, or pack of records

	formatKey = []byte("format") // 4 bytes, big-endian
	idKey     = []byte("id")     // 16 bytes
	epochKey  = []byte("epoch")  // 8 bytes, big-endian
	sumKey    = []byte("sum")    // CRC32C of these three values
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
	db, file, err := openFile(path, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db:             db,
		file:           file,
		opts:           opts,
		commitTx:       (*bolt.Tx).Commit,
		queue:          newQueue(),
		failure:        make(chan struct{}),
		repairs:        make(chan struct{}, 1),
		indexWork:      make(chan struct{}, 1),
		closing:        make(chan struct{}),
		stopped:        make(chan struct{}),
		indexerStopped: make(chan struct{}),
	}
	s.writer.store = s
	if err := s.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if opts.ReadOnly {
		close(s.stopped)
	} else {
		go s.runWriter()
	}
	if opts.ReadOnly || opts.alone {
		close(s.indexerStopped)
	} else {
		s.indexWork <- struct{}{} // perhaps there is something left to do
		go s.runIndexer()
	}
	return s, nil
}

// create makes a new, empty log at path if there is no file. It is there as a
// whole or not at all, and of two who create it at once neither takes away what
// the other has opened.
func create(path string, opts Options) (err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return err
	}
	b, err := newBuilder(path, buildOptions{id: id, epoch: 1, mode: opts.FileMode})
	if err != nil {
		return err
	}
	if err := b.finish(false); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // somebody else has just made it
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
			if !s.opts.ReadOnly || head == 0 {
				return fmt.Errorf("%w: the log may be opened for reading, and salvaged", err)
			}
			s.warn(fmt.Sprintf("the last record is damaged: %v", err))
		}
		s.durableTx.Store(int64(tx.ID()))
		if s.file.badRows != nil {
			return nil
		}
		return s.views.load(tx)
	})
	if err != nil {
		return err
	}
	if s.file.found.Damaged != "" {
		s.warn(s.file.found.Damaged + ": the transaction before the last one that was written is all there is; if power was lost while it was written, that is as it should be")
	}
	for _, problem := range s.file.problems {
		s.warn(problem.Error())
	}
	for view, err := range s.views.refused {
		if errors.Is(err, eventstore.ErrCorrupt) {
			s.warn(fmt.Sprintf("view %q cannot be used until it is dropped: %v", view, err))
		}
	}
	s.tail = newTail(head, recorded)
	return s.openIndex(head)
}

// warn notes something that Open found.
func (s *Store) warn(text string) {
	s.info.Warnings = append(s.info.Warnings, text)
	s.opts.Logger.Warn(text, "file", s.file.path)
}

// infoSum is the checksum of what the file says of itself.
func infoSum(format, id, epoch []byte) []byte {
	return binary.BigEndian.AppendUint32(nil, crc32.Checksum(slices.Concat(format, id, epoch), castagnoli))
}

// raiseFormat makes a file of an older format one of this one.
func raiseFormat(tx *bolt.Tx) error {
	store := tx.Bucket(storeBucket)
	format := binary.BigEndian.AppendUint32(nil, fileFormat)
	if bytes.Equal(store.Get(formatKey), format) {
		return nil
	}
	return errors.Join(
		store.Put(sumKey, infoSum(format, store.Get(idKey), store.Get(epochKey))),
		store.Put(formatKey, format),
	)
}

func loadInfo(tx *bolt.Tx) (eventstore.Info, error) {
	store := tx.Bucket(storeBucket)
	if store == nil {
		return eventstore.Info{}, fmt.Errorf("%w: not a Yore log, but another program's bbolt file", eventstore.ErrFormat)
	}
	format, id, epoch, sum := store.Get(formatKey), store.Get(idKey), store.Get(epochKey), store.Get(sumKey)
	if len(format) == 4 {
		if f := binary.BigEndian.Uint32(format); f < oldestFormat || f > fileFormat {
			return eventstore.Info{}, fmt.Errorf("%w: the file has format %d, this version of Yore reads formats %d to %d",
				eventstore.ErrFormat, f, oldestFormat, fileFormat)
		}
	}
	whole := sum == nil || bytes.Equal(sum, infoSum(format, id, epoch)) // the first files had none
	if !whole || len(format) != 4 || len(id) != 16 || len(epoch) != 8 || tx.Bucket(logBucket) == nil {
		return eventstore.Info{}, fmt.Errorf("%w: the file's description of itself is damaged", eventstore.ErrCorrupt)
	}
	return eventstore.Info{
		StoreID: uuid.UUID(id),
		Epoch:   binary.BigEndian.Uint64(epoch),
		Gapless: true,
		Durable: true,
		Limits:  eventstore.StandardLimits(),
	}, nil
}

// loadHead returns the position of the last event and when it was recorded. If
// the last record is damaged, it returns the error beside the position that a
// reader can go by: the record's own, if it is the one that comes next, else that
// of the last whole one.
func loadHead(tx *bolt.Tx) (eventstore.Position, time.Time, error) {
	cursor := tx.Bucket(logBucket).Cursor()
	key, _ := cursor.Last()
	head, recorded, damaged, err := lastWhole(cursor)
	if last, ok := record.ParseKey(key); ok && err != nil && last <= head+damaged {
		head = last
	}
	return head, recorded, err
}

// lastWhole returns the position of the last whole record, or 0, and when it was
// recorded; how many damaged ones there may be behind it; and what is wrong with the
// first of these that was found.
func lastWhole(cursor *bolt.Cursor) (p eventstore.Position, recorded time.Time, damaged eventstore.Position, err error) {
	for key, value := cursor.Last(); key != nil; key, value = cursor.Prev() {
		v, damage := parseValue(key, value)
		if damage != nil {
			damaged += record.MaxPacked
			err = cmp.Or(err, damage)
			continue
		}
		for p := v.Last; v.Has(p); p-- {
			r, damage := record.Decode(p, v.At(p))
			if damage == nil {
				return p, r.Event.Recorded, damaged, err
			}
			damaged++
			err = cmp.Or(err, damage)
		}
	}
	return 0, time.Time{}, damaged, err
}
