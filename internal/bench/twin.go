package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

// The log that is read and guarded has streams of a hundred events. They are
// interleaved, and each pass through the streams is in another order. Each event
// belongs to a group of 2,000, and its place in the group determines its tags and
// type:
//
//	   0 –   99   both tags of the group, and its type: the hits
//	 100 –  199   both tags, another type
//	 200 –  999   the first tag
//	1000 – 1799   the second tag
//	1800 – 1999   neither
//
// So each tag is on 1,000 events, and both tags with the type on 100. An event that
// lacks one of its group's tags, or both, has loose tags instead. Each loose tag is
// on about as many events, but never together with its neighbour (see guard.go). The
// events of a group are at random places of the log.
const (
	sharedStreamEvents = 100
	groupEvents        = 2_000
	groupHits          = 100
	logTypes           = 10
	looseTags          = 1_024
)

func sharedStream(i int) eventstore.StreamID {
	return eventstore.StreamID(fmt.Sprintf("order-%08d", i))
}

func logType(i int) string           { return fmt.Sprintf("bench.type-%d", i%logTypes) }
func looseTag(i int) eventstore.Tag  { return eventstore.Tag(fmt.Sprintf("loose:%04d", i%looseTags)) }
func firstTag(g int) eventstore.Tag  { return eventstore.Tag(fmt.Sprintf("first:%06d", g)) }
func secondTag(g int) eventstore.Tag { return eventstore.Tag(fmt.Sprintf("second:%06d", g)) }

// groupQuery is the query for the hits of a group.
func groupQuery(g int) eventstore.Query {
	return eventstore.Match(eventstore.Item{Types: []string{logType(g)}, Tags: []eventstore.Tag{firstTag(g), secondTag(g)}})
}

// describe returns the type and the tags of the event at a place of its group.
func describe(group, place int, random *rand.Rand) (string, []eventstore.Tag) {
	loose := random.IntN(looseTags)
	switch kind := logType(random.IntN(logTypes)); {
	case place < groupHits:
		return logType(group), []eventstore.Tag{firstTag(group), secondTag(group)}
	case place < 200:
		return logType(group + 1 + random.IntN(logTypes-1)), []eventstore.Tag{firstTag(group), secondTag(group)}
	case place < 1000:
		return kind, []eventstore.Tag{firstTag(group), looseTag(loose)}
	case place < 1800:
		return kind, []eventstore.Tag{secondTag(group), looseTag(loose)}
	default:
		return kind, []eventstore.Tag{looseTag(loose), looseTag(loose + 2)}
	}
}

// sharedLog is the log that several rows read, and its twin: a raw file with values
// as long as the log's records under the same keys.
type sharedLog struct {
	path, twin string
	events     int

	payload []byte
	order   []int // of the streams that are left in this pass, during the build
}

// log returns the shared log. The first call builds it.
func (b *bench) log() (*sharedLog, error) {
	if b.shared != nil {
		return b.shared, nil
	}
	shared := &sharedLog{path: b.path("log"), twin: b.path("twin"), events: b.scale.logEvents, payload: noise(payloadBytes)}
	err := withStore(shared.path, func(store *boltstore.Store) error {
		return withRaw(shared.twin, func(twin *bolt.DB) error {
			twin.NoSync = true // building is not measured
			return errors.Join(shared.fill(b.ctx, store, twin), twin.Sync())
		})
	})
	if err != nil {
		return nil, fmt.Errorf("build a log of %d events: %w", shared.events, err)
	}
	b.shared = shared
	return shared, nil
}

func (l *sharedLog) streams() int { return l.events / sharedStreamEvents }

func (l *sharedLog) groups() int { return l.events / groupEvents }

// fill appends the events, and puts their twins, a few thousand at a time.
func (l *sharedLog) fill(ctx context.Context, store eventstore.Store, twin *bolt.DB) error {
	random := rand.New(rand.NewPCG(2, 3))
	places := random.Perm(l.events)
	for at := 0; at < l.events; {
		commit := l.portion(places, at, random)
		if _, err := store.Append(ctx, commit); err != nil {
			return err
		}
		if err := putTwins(twin, at, commit.Events); err != nil {
			return fmt.Errorf("twin: %w", err)
		}
		at += len(commit.Events)
	}
	return nil
}

// portion returns the next events. places has the places of the events in their
// groups.
func (l *sharedLog) portion(places []int, at int, random *rand.Rand) (commit eventstore.Commit) {
	expected := make(map[int]bool)
	for i := at; i < min(at+5_000, l.events); i++ {
		if len(l.order) == 0 {
			l.order = random.Perm(l.streams())
		}
		stream := l.order[0]
		l.order = l.order[1:]
		name := sharedStream(stream)
		kind, tags := describe(places[i]/groupEvents, places[i]%groupEvents, random)
		commit.Events = append(commit.Events, eventstore.NewEvent{
			Stream: name, Type: kind, SchemaVersion: 1, Codec: "json", Data: l.payload, Tags: tags,
		})
		if !expected[stream] {
			expected[stream] = true
			version := eventstore.Version(i / l.streams()) // the number of passes before this one
			commit.Expect = append(commit.Expect, eventstore.Expect{Stream: name, At: eventstore.At(version)})
		}
	}
	return commit
}

// putTwins puts the records of the events after a position.
func putTwins(db *bolt.DB, after int, events []eventstore.NewEvent) error {
	return db.Update(func(tx *bolt.Tx) error {
		log, err := tx.CreateBucketIfNotExists(logBucket)
		if err != nil {
			return err
		}
		log.FillPercent = 1
		for i := range events {
			value := record.Append(nil, &events[i], record.Place{I: i, N: len(events)}, record.Mark{})
			if err := log.Put(sequence(uint64(after+i+1)), value); err != nil {
				return err
			}
		}
		return nil
	})
}

// withBoth opens the shared log and its twin while fn runs.
func (b *bench) withBoth(fn func(*sharedLog, *boltstore.Store, *bolt.DB) error) error {
	shared, err := b.log()
	if err != nil {
		return err
	}
	return withStore(shared.path, func(store *boltstore.Store) error {
		return withRaw(shared.twin, func(twin *bolt.DB) error { return fn(shared, store, twin) })
	})
}

// copyOfLog copies the shared log, for rows that append to it.
func (b *bench) copyOfLog() (path string, err error) {
	shared, err := b.log()
	if err != nil {
		return "", err
	}
	from, err := os.Open(shared.path)
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := os.OpenFile(b.path("copy"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Sync(), to.Close()); err != nil {
		return "", fmt.Errorf("copy the log: %w", err)
	}
	return to.Name(), nil
}
