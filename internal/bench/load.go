package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

const (
	payloadBytes = 256
	streamEvents = 10 // of a writer's stream, before it begins the next
	benchType    = "bench.appended"
)

// noise returns bytes that cannot be compressed, the same in each call.
func noise(n int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	bytes := make([]byte, n)
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	return bytes
}

// appender appends once and returns the number of events.
type appender func() (int, error)

// writer appends to streams of its own, ten events to each, and expects the version
// that it left. It reuses the memory that it passes to the store, so that the
// garbage is the engine's.
type writer struct {
	ctx     context.Context
	store   eventstore.Store
	commit  eventstore.Commit
	stream  eventstore.StreamID
	version eventstore.Version
	prepare func(*eventstore.Commit) error // called before each append, unless nil
}

// newWriter returns a writer that appends a number of events at a time, with two
// tags that no other writer of the load has.
func newWriter(ctx context.Context, store eventstore.Store, load string, number, events int) *writer {
	w := &writer{ctx: ctx, store: store, version: streamEvents}
	tags := writerTags(load, number)
	w.commit.Events = make([]eventstore.NewEvent, events)
	for i := range w.commit.Events {
		w.commit.Events[i] = eventstore.NewEvent{Type: benchType, SchemaVersion: 1, Codec: "json", Data: noise(payloadBytes), Tags: tags}
	}
	return w
}

func writerTags(load string, number int) []eventstore.Tag {
	return []eventstore.Tag{
		eventstore.Tag(fmt.Sprintf("%s-writer:%04d", load, number)),
		eventstore.Tag(fmt.Sprintf("%s-desk:%04d", load, number)),
	}
}

// append implements appender.
func (w *writer) append() (int, error) {
	w.commit.Expect = w.commit.Expect[:0]
	for i := range w.commit.Events {
		if w.version == streamEvents {
			w.stream, w.version = newStream(), 0
		}
		if i == 0 || w.version == 0 {
			w.commit.Expect = append(w.commit.Expect, eventstore.Expect{Stream: w.stream, At: eventstore.At(w.version)})
		}
		w.commit.Events[i].Stream = w.stream
		w.version++
	}
	if w.prepare != nil {
		if err := w.prepare(&w.commit); err != nil {
			return 0, err
		}
	}
	_, err := w.store.Append(w.ctx, w.commit)
	return len(w.commit.Events), err
}

func newStream() eventstore.StreamID {
	return eventstore.StreamID("bench-" + uuid.Must(uuid.NewV7()).String())
}

// length returns the length of the engine's record of the writer's events.
func (w *writer) length() int {
	event := w.commit.Events[0]
	event.Stream = newStream()
	return recordLength(event, len(w.commit.Events))
}

// crew is concurrent writers, each in a closed loop: a writer appends again as soon
// as its last append has returned.
type crew []appender

// newCrew returns a number of writers of a load, whose tags have the load's name.
func (b *bench) newCrew(store eventstore.Store, load string, writers, events int) crew {
	c := make(crew, writers)
	for i := range c {
		c[i] = newWriter(b.ctx, store, load, i, events).append
	}
	return c
}

// shift is a crew at work.
type shift struct {
	acknowledged atomic.Int64 // events
	stopped      atomic.Bool
	writers      sync.WaitGroup
	mu           sync.Mutex
	err          error // the first
}

// work starts the crew. It works until it is stopped or the wanted number of events
// is acknowledged.
func (c crew) work(wanted int64) *shift {
	s := &shift{}
	for _, appendOnce := range c {
		s.writers.Go(func() {
			for !s.stopped.Load() && s.acknowledged.Load() < wanted {
				n, err := appendOnce()
				if err != nil {
					s.fail(err)
					return
				}
				s.acknowledged.Add(int64(n))
			}
		})
	}
	return s
}

func (s *shift) fail(err error) {
	s.stopped.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = fmt.Errorf("append: %w", err)
	}
}

// wait waits until all writers have ended.
func (s *shift) wait() error {
	s.writers.Wait()
	return s.err
}

// during returns the events per second that the crew has acknowledged within a
// window, after a warm-up. Many appends are acknowledged together, so the window
// begins and ends with an acknowledgement.
func (c crew) during(warm, window time.Duration) (float64, error) {
	const unbounded = 1 << 62
	s := c.work(unbounded)
	time.Sleep(warm)
	before, begin := s.next()
	time.Sleep(window)
	after, end := s.next()
	s.stopped.Store(true)
	return float64(after-before) / end.Sub(begin).Seconds(), s.wait()
}

// next waits until events are acknowledged, or the shift has stopped, and returns
// the total and the time.
func (s *shift) next() (events int64, at time.Time) {
	for seen := s.acknowledged.Load(); ; time.Sleep(100 * time.Microsecond) {
		if events = s.acknowledged.Load(); events > seen || s.stopped.Load() {
			return events, time.Now()
		}
	}
}

// until returns the events per second of the crew until it has appended a number of
// events or the limit has passed. A limit of 0 means none.
func (c crew) until(events int, limit time.Duration) (float64, error) {
	begin := time.Now()
	s := c.work(int64(events))
	if limit > 0 {
		defer time.AfterFunc(limit, func() { s.stopped.Store(true) }).Stop()
	}
	err := s.wait()
	return float64(s.acknowledged.Load()) / time.Since(begin).Seconds(), err
}

// timed returns a crew whose appends are timed, and a list of durations for each
// writer.
func (c crew) timed() (crew, [][]time.Duration) {
	times, timed := make([][]time.Duration, len(c)), make(crew, len(c))
	for i, appendOnce := range c {
		timed[i] = func() (int, error) {
			begin := time.Now()
			n, err := appendOnce()
			times[i] = append(times[i], time.Since(begin))
			return n, err
		}
	}
	return timed, times
}
