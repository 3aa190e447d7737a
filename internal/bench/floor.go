package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
)

var (
	logBucket     = []byte("log")
	streamsBucket = []byte("streams")
)

// openRaw opens a bbolt file with the options that the engine uses.
func openRaw(path string) (*bolt.DB, error) {
	options := &bolt.Options{FreelistType: bolt.FreelistMapType, Timeout: time.Second}
	if reserved := int64(16 << 30); runtime.GOOS != "windows" && reserved <= math.MaxInt {
		options.InitialMmapSize = int(reserved)
	}
	return bolt.Open(path, 0o600, options)
}

// withRaw opens a bbolt file while fn runs.
func withRaw(path string, fn func(*bolt.DB) error) error {
	db, err := openRaw(path)
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	return errors.Join(fn(db), db.Close())
}

// sequence returns the n-th key of a log.
func sequence(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// recordLength returns the length of the engine's record of the last event of an
// append of n.
func recordLength(event eventstore.NewEvent, n int) int {
	return len(record.Append(nil, &event, record.Place{I: n - 1, N: n}, record.Mark{}))
}

// floor measures the disk and bbolt alone: transactions that only append values.
type floor struct {
	path  string
	db    *bolt.DB
	batch int // values in a transaction
	value []byte
	last  uint64 // key
}

// newFloor makes a floor in a new file, with values of a length in bytes, and
// commits the first transaction.
func newFloor(path string, batch, length int) (*floor, error) {
	db, err := openRaw(path)
	if err != nil {
		return nil, err
	}
	f := &floor{path: path, db: db, batch: batch, value: noise(length)}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket(logBucket)
		return err
	})
	if err == nil {
		_, err = f.commit()
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return f, nil
}

// commit makes one transaction and returns the number of values that it put.
func (f *floor) commit() (int, error) {
	tx, err := f.db.Begin(true)
	if err != nil {
		return 0, err
	}
	log := tx.Bucket(logBucket)
	log.FillPercent = 1
	for range f.batch {
		f.last++
		if err := log.Put(sequence(f.last), f.value); err != nil {
			return 0, errors.Join(err, tx.Rollback())
		}
	}
	return f.batch, tx.Commit()
}

// during returns the values per second of a loop that commits one transaction after
// another.
func (f *floor) during(window time.Duration) (float64, error) {
	rate, err := repeated(window, f.commit)
	if err != nil {
		return 0, fmt.Errorf("floor(%d): %w", f.batch, err)
	}
	return rate, nil
}

func (f *floor) close() error { return f.db.Close() }

// withFloor makes a floor while fn runs, and then removes its file.
func (b *bench) withFloor(batch, length int, fn func(*floor) error) error {
	f, err := newFloor(b.path("floor"), batch, length)
	if err != nil {
		return fmt.Errorf("make a floor: %w", err)
	}
	return errors.Join(fn(f), f.close(), os.Remove(f.path))
}

// oneTx appends as embedded stores do: each event in a transaction of its own, with
// a key in the log and one in the stream.
type oneTx struct {
	db    *bolt.DB
	value []byte
}

// withOneTx makes a oneTx in a new file while fn runs.
func (b *bench) withOneTx(length int, fn func(*oneTx) error) error {
	path := b.path("one-tx")
	err := withRaw(path, func(db *bolt.DB) error {
		err := db.Update(func(tx *bolt.Tx) error {
			_, errLog := tx.CreateBucket(logBucket)
			_, errStreams := tx.CreateBucket(streamsBucket)
			return errors.Join(errLog, errStreams)
		})
		if err != nil {
			return err
		}
		return fn(&oneTx{db, noise(length)})
	})
	return errors.Join(err, os.Remove(path))
}

// writer returns a writer with streams of its own, of ten events each.
func (o *oneTx) writer() appender {
	var stream []byte
	version := uint64(streamEvents)
	return func() (int, error) {
		if version == streamEvents {
			stream, version = []byte("bench-"+uuid.Must(uuid.NewV7()).String()), 0
		}
		version++
		return 1, o.db.Update(func(tx *bolt.Tx) error {
			log := tx.Bucket(logBucket)
			log.FillPercent = 1
			position, err := log.NextSequence()
			if err != nil {
				return err
			}
			key := sequence(position)
			if err := log.Put(key, o.value); err != nil {
				return err
			}
			return tx.Bucket(streamsBucket).Put(binary.BigEndian.AppendUint64(stream[:len(stream):len(stream)], version), key)
		})
	}
}
