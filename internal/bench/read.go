package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// read reads the events that match and returns their number.
func (b *bench) read(store eventstore.Store, q eventstore.Query) (int, error) {
	n := 0
	for _, err := range store.Read(b.ctx, q, eventstore.ReadOptions{}) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// lookup is a query and the positions of its matches.
type lookup struct {
	query eventstore.Query
	keys  [][]byte
}

// find makes lookups of queries that have a number of matches each.
func (b *bench) find(store eventstore.Store, matches int, queries ...eventstore.Query) ([]lookup, error) {
	found := make([]lookup, len(queries))
	for i, q := range queries {
		found[i].query = q
		for event, err := range store.Read(b.ctx, q, eventstore.ReadOptions{}) {
			if err != nil {
				return nil, err
			}
			found[i].keys = append(found[i].keys, sequence(uint64(event.Position)))
		}
		if n := len(found[i].keys); n != matches {
			return nil, fmt.Errorf("query for %v: %d matches, want %d", q, n, matches)
		}
	}
	return found, nil
}

// besideGets compares random lookups by the store with bbolt Gets of the same keys
// in the twin, in one transaction for each lookup, with a copy of each value.
func (b *bench) besideGets(store eventstore.Store, twin *bolt.DB, lookups []lookup) (sample, error) {
	random := rand.New(rand.NewPCG(5, 6))
	pick := func() lookup { return lookups[random.IntN(len(lookups))] }
	return b.beside(
		func() (float64, error) {
			return repeated(b.scale.glance, func() (int, error) {
				l := pick()
				n, err := b.read(store, l.query)
				if err == nil && n != len(l.keys) {
					err = fmt.Errorf("query for %v: %d matches, want %d", l.query, n, len(l.keys))
				}
				return 1, err
			})
		},
		func() (float64, error) {
			return repeated(b.scale.glance, func() (int, error) { return 1, getAll(twin, pick().keys) })
		},
	)
}

// getAll gets the values of keys and copies each.
func getAll(db *bolt.DB, keys [][]byte) error {
	values := make([][]byte, 0, len(keys))
	return db.View(func(tx *bolt.Tx) error {
		log := tx.Bucket(logBucket)
		for _, key := range keys {
			value := log.Get(key)
			if value == nil {
				return fmt.Errorf("key %x is not in the twin", key)
			}
			values = append(values, bytes.Clone(value))
		}
		return nil
	})
}

// loadStreams reads streams of a hundred events, as a repository does.
func loadStreams(b *bench) (s sample, err error) {
	err = b.withBoth(func(shared *sharedLog, store *boltstore.Store, twin *bolt.DB) error {
		b.smaller("load", "of %d streams in a log of %d events", shared.streams(), shared.events)
		queries := make([]eventstore.Query, shared.streams())
		for i := range queries {
			queries[i] = eventstore.Stream(sharedStream(i))
		}
		lookups, err := b.find(store, sharedStreamEvents, queries...)
		if err != nil {
			return err
		}
		s, err = b.besideGets(store, twin, lookups)
		return err
	})
	return s, err
}

// queryTags reads a hundred events by type and tags.
func queryTags(b *bench) (s sample, err error) {
	err = b.withBoth(func(shared *sharedLog, store *boltstore.Store, twin *bolt.DB) error {
		b.smaller("query/tags", "in a log of %d events", shared.events)
		queries := make([]eventstore.Query, shared.groups())
		for i := range queries {
			queries[i] = groupQuery(i)
		}
		lookups, err := b.find(store, groupHits, queries...)
		if err != nil {
			return err
		}
		s, err = b.besideGets(store, twin, lookups)
		return err
	})
	return s, err
}

// scanWarm reads the whole log, which is in the page cache.
func scanWarm(b *bench) (s sample, err error) {
	err = b.withBoth(func(shared *sharedLog, store *boltstore.Store, twin *bolt.DB) error {
		b.smaller("scan", "of %d events", shared.events)
		s, err = b.beside(
			func() (float64, error) { return b.scanRate(store, shared.events) },
			func() (float64, error) { return walkRate(twin, shared.events) },
		)
		return err
	})
	return s, err
}

// scanRate returns the events per second of a read of the whole log.
func (b *bench) scanRate(store eventstore.Store, events int) (float64, error) {
	begin := time.Now()
	n, err := b.read(store, eventstore.All())
	if err == nil && n != events {
		err = fmt.Errorf("read %d events of %d", n, events)
	}
	return float64(n) / time.Since(begin).Seconds(), err
}

// walkRate returns the values per second of a cursor that walks the whole twin. It
// copies each value and computes the checksum of the copy, as the engine must.
func walkRate(db *bolt.DB, events int) (float64, error) {
	begin, n := time.Now(), 0
	err := db.View(func(tx *bolt.Tx) error {
		cursor, sum := tx.Bucket(logBucket).Cursor(), uint32(0)
		for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
			sum ^= crc32.Checksum(bytes.Clone(value), castagnoli)
			n++
		}
		if n != events || sum == 0 {
			return fmt.Errorf("walked %d values of %d, checksum %08x", n, events, sum)
		}
		return nil
	})
	return float64(n) / time.Since(begin).Seconds(), err
}
