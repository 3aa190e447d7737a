package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

const (
	growthStreams = 1_000_000
	growthWriters = 256
	growthAppend  = 4 // events
)

// grown is the result of the growth runs: their medians.
type grown struct {
	shares sample // of the floor, at the end over at the start
	heap   sample // MiB
	size   sample // bytes per event
}

// growth, memory and size are three rows of the same runs.
func growth(b *bench) (sample, error) {
	g, err := b.growthRuns()
	return g.shares, err
}

func memory(b *bench) (sample, error) {
	g, err := b.growthRuns()
	return g.heap, err
}

func size(b *bench) (sample, error) {
	g, err := b.growthRuns()
	return g.size, err
}

// growthRuns makes the runs on the first call.
func (b *bench) growthRuns() (grown, error) {
	if b.grown != nil {
		return *b.grown, nil
	}
	var shares, sizes []sample
	var heap sample
	for range b.scale.growthRounds {
		run := &growthRun{b: b, path: b.path("growth")}
		if err := run.measure(); err != nil {
			return grown{}, err
		}
		shares = append(shares, sample{run.late, run.early})
		sizes = append(sizes, run.size)
		heap.value = max(heap.value, run.heap.peak/(1<<20)) // the peak of all runs
		b.smaller("growth", "%d events, of which the first and the last %d at most are compared; memory and size are those of the same run",
			run.events, b.scale.growthEnds)
	}
	b.grown = &grown{shares: middle(shares), heap: heap, size: middle(sizes)}
	return *b.grown, nil
}

// growthRun is one run: a log that grows over a million streams.
type growthRun struct {
	b    *bench
	path string

	floors      []*floor
	events      int
	heap        heapWatch
	early, late float64 // shares of the floor
	size        sample
}

// measure makes the run. It keeps the files of the floors until the end: otherwise
// the log would get their blocks, and reused blocks are faster than new ones.
func (r *growthRun) measure() (err error) {
	defer func() {
		for _, f := range r.floors {
			err = errors.Join(err, os.Remove(f.path))
		}
		err = errors.Join(err, os.Remove(r.path))
	}()
	scale := r.b.scale
	err = withStore(r.path, func(store *boltstore.Store) error {
		c := growthCrew(r.b.ctx, store)
		if r.early, err = r.share(c, scale.growthEnds); err != nil {
			return err
		}
		if _, err := r.grow(c, scale.growthEvents-2*scale.growthEnds, scale.growthTime/2); err != nil {
			return err
		}
		if r.late, err = r.share(c, scale.growthEnds); err != nil {
			return err
		}
		head, err := store.Head(r.b.ctx)
		r.events = int(head)
		return err
	})
	if err != nil {
		return err
	}
	if r.size.value, err = bytesInUse(r.path, r.events); err != nil {
		return err
	}
	last := r.floors[len(r.floors)-1]
	r.size.baseline, err = bytesInUse(last.path, int(last.last))
	return err
}

// share returns the rate of appending a number of events over the floor's, which is
// measured right before and right after.
func (r *growthRun) share(c crew, events int) (float64, error) {
	before, err := r.floor()
	if err != nil {
		return 0, err
	}
	rate, err := r.grow(c, events, r.b.scale.growthTime/4)
	if err != nil {
		return 0, err
	}
	after, err := r.floor()
	return rate / ((before + after) / 2), err
}

// grow appends a number of events, or fewer if the limit passes, and returns the
// rate. It watches the heap, which holds the engine's memory and 4 bytes for each
// stream.
func (r *growthRun) grow(c crew, events int, limit time.Duration) (float64, error) {
	if events <= 0 {
		return 0, nil
	}
	runtime.GC()
	stop := r.heap.start()
	defer stop()
	return c.until(events, limit)
}

// floor measures a floor in a file of its own, which grows as the log does.
func (r *growthRun) floor() (float64, error) {
	time.Sleep(r.b.scale.settle)
	event := newWriter(r.b.ctx, nil, "growth", 0, growthAppend).commit.Events[0]
	event.Stream = growthStream(0)
	f, err := newFloor(r.b.path("floor"), growthWriters*growthAppend, recordLength(event, growthAppend))
	if err != nil {
		return 0, err
	}
	r.floors = append(r.floors, f)
	rate, err := f.during(r.b.scale.growthFloor)
	return rate, errors.Join(err, f.close())
}

// growthStream returns a name that has no common prefix with the names before and
// after it.
func growthStream(i uint64) eventstore.StreamID {
	x := (i + 1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	buffer := append(make([]byte, 0, 21), "acct-0000000000000000"...)
	digits := strconv.AppendUint(make([]byte, 0, 16), x, 16)
	copy(buffer[len(buffer)-len(digits):], digits)
	return eventstore.StreamID(buffer)
}

// growthCrew returns writers that append to random streams. A stream has one writer,
// so writers do not conflict.
func growthCrew(ctx context.Context, store eventstore.Store) crew {
	versions := make([]uint32, growthStreams)
	c := make(crew, growthWriters)
	for i := range c {
		random := rand.New(rand.NewPCG(4, uint64(i)))
		commit := newWriter(ctx, store, "growth", i, growthAppend).commit
		commit.Expect = make([]eventstore.Expect, 1)
		c[i] = func() (int, error) {
			stream := random.IntN(growthStreams/growthWriters)*growthWriters + i
			name := growthStream(uint64(stream))
			commit.Expect[0] = eventstore.Expect{Stream: name, At: eventstore.At(eventstore.Version(versions[stream]))}
			for j := range commit.Events {
				commit.Events[j].Stream = name
			}
			_, err := store.Append(ctx, commit)
			versions[stream] += growthAppend
			return growthAppend, err
		}
	}
	return c
}

// heapWatch is the largest size of the heap so far.
type heapWatch struct{ peak float64 } // bytes

// start samples the heap every 100 ms until stop is called. The metric equals
// runtime.MemStats.HeapAlloc but does not stop the world.
func (w *heapWatch) start() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	look := func() {
		metrics.Read(samples)
		w.peak = max(w.peak, float64(samples[0].Value.Uint64()))
	}
	go func() {
		defer close(ended)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			look()
			select {
			case <-ticker.C:
			case <-end:
				return
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// bytesInUse returns how many bytes of a file's pages are in use, for each of a
// number of events. It begins a transaction, without committing it, since bbolt then
// counts the free pages.
func bytesInUse(path string, events int) (perEvent float64, err error) {
	if events == 0 {
		return 0, errors.New("there are no events")
	}
	err = withRaw(path, func(db *bolt.DB) error {
		tx, err := db.Begin(true)
		if err != nil {
			return err
		}
		total := tx.Size()
		if err := tx.Rollback(); err != nil {
			return err
		}
		stats := db.Stats()
		free := int64(stats.FreePageN+stats.PendingPageN) * int64(db.Info().PageSize)
		perEvent = float64(total-free) / float64(events)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("count pages: %w", err)
	}
	return perEvent, nil
}
