// Package soak proves that a store can be used for long: under mixed load, closed
// and opened again many times, while heap and file are measured.
package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
	"github.com/yore-es/yore/internal/prooftest/packs"
	"github.com/yore-es/yore/internal/prooftest/proof"
)

// New returns the proof.
func New() proof.Proof {
	return proof.Proof{
		Name:  "soak",
		About: "write, follow, keep views, back up and verify for long, with restarts: heap and file grow with the log and by nothing else",
		Run:   run,
	}
}

const (
	cycles = 10 // number of times that the store is opened

	heapSlack = 16 << 20 // how much heap a closed store may leave
	growth    = 1.4      // the bytes of an event in the file at the end, over those at the start
)

func run(ctx context.Context, env *proof.Env) (proof.Figures, error) {
	length := 20 * time.Second
	if env.Long {
		length = 10 * time.Minute
	}
	s := &soak{ctx: ctx, env: env, path: filepath.Join(env.Disk, "soak.yore"), restored: filepath.Join(env.Disk, "restored.yore")}
	for i := range cycles {
		if err := s.cycle(i, length/cycles); err != nil {
			return s.figures(), fmt.Errorf("cycle %d: %w", i, err)
		}
	}
	return s.figures(), errors.Join(s.judge(), s.final())
}

// soak is a file in long use.
type soak struct {
	ctx            context.Context
	env            *proof.Env
	path, restored string
	backups        []*bytes.Buffer // a full one, and those that continue it
	through        eventstore.Position
	commits        int
	followed       int
	verified       int
	packs          int        // in the log, after the last cycle
	samples        []measured // after each cycle
	openHeap       uint64     // the most while the store was open
}

// measured is the figures between two cycles.
type measured struct {
	events     int
	file, heap uint64 // bytes on disk, bytes in use after a collection
	goroutines int
}

// cycle opens the store, uses it for some time, and closes it: when it is idle, or
// under load.
func (s *soak) cycle(number int, length time.Duration) error {
	store, err := boltstore.Open(s.path, &boltstore.Options{IndexMemory: number % 2})
	if err != nil {
		return err
	}
	l, err := start(s.ctx, s.env, store, number)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	err = s.accompany(store, l, number, time.Now().Add(length))
	if number%2 == 0 {
		err = errors.Join(err, l.stop())
		err = errors.Join(err, store.Close())
	} else {
		err = errors.Join(err, store.Close())
		err = errors.Join(err, l.stop())
	}
	s.commits += int(l.commits.Load())
	s.followed += int(l.followed.Load())
	if err != nil {
		return err
	}
	return s.measure()
}

// accompany does an operator's work during the load, until a time.
func (s *soak) accompany(store *boltstore.Store, l *load, number int, until time.Time) error {
	for time.Now().Before(until) {
		select {
		case err := <-l.failed:
			return err
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-time.After(time.Until(until) / 3):
		}
		if err := s.backUp(store); err != nil {
			return err
		}
		v, err := store.Verify(s.ctx, nil)
		if err != nil || !v.OK() {
			return errors.Join(err, fmt.Errorf("verify finds %v", v.Findings))
		}
		s.verified++
		if err := s.rebuildView(store, number); err != nil {
			return err
		}
		s.openHeap = max(s.openHeap, heap())
		if time.Until(until) < 100*time.Millisecond {
			break
		}
	}
	return nil
}

// backUp takes a backup of the events since the last one.
func (s *soak) backUp(store *boltstore.Store) error {
	var w bytes.Buffer
	manifest, err := store.Backup(s.ctx, &w, &boltstore.BackupOptions{After: s.through})
	if err != nil {
		return fmt.Errorf("back up after position %d: %w", s.through, err)
	}
	s.backups, s.through = append(s.backups, &w), manifest.Through
	return nil
}

// rebuildView drops a view, in slices, and builds it again up to the head. The file
// must reuse the free pages.
func (s *soak) rebuildView(store *boltstore.Store, number int) error {
	const view, most = eventstore.ViewID("rebuilt"), 2000
	for more := true; more; {
		var err error
		if more, err = store.DropRows(s.ctx, view, 500); err != nil {
			return err
		}
	}
	var events []eventstore.Event
	for e, err := range store.Read(s.ctx, eventstore.All(), eventstore.ReadOptions{Limit: most}) {
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil
	}
	through := eventstore.Checkpoint{Position: events[len(events)-1].Position, Data: []byte(fmt.Sprint("cycle ", number))}
	if err := fold.Commit(s.ctx, store, view, eventstore.Checkpoint{}, through, events); err != nil {
		return fmt.Errorf("rebuild a view: %w", err)
	}
	_, err := fold.Check(s.ctx, store, view, events)
	return err
}

// measure measures the closed store.
func (s *soak) measure() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if s.packs, err = packs.Count(s.path); err != nil {
		return err
	}
	m := measured{file: uint64(info.Size()), heap: heap() - s.backedUp(), goroutines: runtime.NumGoroutine()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		m.file = uint64(stat.Blocks) * 512 // without holes
	}
	err = s.read(func(store *boltstore.Store) error {
		head, err := store.Head(s.ctx)
		m.events = int(head)
		return err
	})
	s.samples = append(s.samples, m)
	s.env.Progress("%d events, file %d KiB, heap %d KiB, %d goroutines", m.events, m.file>>10, m.heap>>10, m.goroutines)
	return err
}

// backedUp returns the heap that the backups take.
func (s *soak) backedUp() (n uint64) {
	for _, b := range s.backups {
		n += uint64(b.Cap())
	}
	return n
}

// read opens the store for reading and calls do.
func (s *soak) read(do func(*boltstore.Store) error) error {
	store, err := boltstore.Open(s.path, &boltstore.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(do(store), store.Close())
}

// judge compares the figures at the end with those at the beginning.
func (s *soak) judge() error {
	first, last := s.samples[0], s.samples[len(s.samples)-1]
	var errs []error
	if last.heap > first.heap+heapSlack {
		errs = append(errs, fmt.Errorf("the heap grew from %d to %d bytes", first.heap, last.heap))
	}
	if last.goroutines > first.goroutines {
		errs = append(errs, fmt.Errorf("goroutines grew from %d to %d", first.goroutines, last.goroutines))
	}
	if last.perEvent() > first.perEvent()*growth {
		errs = append(errs, fmt.Errorf("the file grew from %.0f to %.0f bytes an event", first.perEvent(), last.perEvent()))
	}
	if last.events < 100*cycles || s.followed < last.events || s.verified < cycles || s.packs < cycles {
		errs = append(errs, fmt.Errorf("hardly anything happened: %d events, %d packs, %d followed, verified %d times",
			last.events, s.packs, s.followed, s.verified))
	}
	return errors.Join(errs...)
}

func (m measured) perEvent() float64 { return float64(m.file) / float64(max(1, m.events)) }

// final checks everything once more: the log, the views, and that the backups
// restore the log.
func (s *soak) final() error {
	var events []eventstore.Event
	err := s.read(func(store *boltstore.Store) error {
		for e, err := range store.Read(s.ctx, eventstore.All(), eventstore.ReadOptions{}) {
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		for _, view := range []eventstore.ViewID{inlineView, asyncView} {
			if _, err := fold.Check(s.ctx, store, view, events); err != nil {
				return err
			}
		}
		v, err := store.Verify(s.ctx, nil)
		if err == nil && !v.OK() {
			err = fmt.Errorf("verify finds %v", v.Findings)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.restore(events)
}

// restore restores the backups and compares the log with the events.
func (s *soak) restore(events []eventstore.Event) error {
	readers := readersOf(s.backups)
	if _, err := boltstore.Restore(s.ctx, s.restored, nil, readers...); err != nil {
		return fmt.Errorf("restore %d backups: %w", len(readers), err)
	}
	store, err := boltstore.Open(s.restored, nil)
	if err != nil {
		return err
	}
	n := 0
	for e, readErr := range store.Read(s.ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err = readErr; err == nil && (e.ID != events[n].ID || e.Version != events[n].Version || !bytes.Equal(e.Data, events[n].Data)) {
			err = fmt.Errorf("the restored log has something else at position %d", e.Position)
		}
		if err != nil {
			break
		}
		n++
	}
	if err == nil && eventstore.Position(n) != s.through {
		err = fmt.Errorf("the restored log has %d events, not %d", n, s.through)
	}
	return errors.Join(err, store.Close())
}

func (s *soak) figures() proof.Figures {
	var f proof.Figures
	f.Add("restarts", len(s.samples)-1)
	f.Add("commits", s.commits)
	f.Add("events_followed", s.followed)
	f.Add("verified", s.verified)
	f.Add("backups", len(s.backups))
	f.Add("packs", s.packs)
	if len(s.samples) == 0 {
		return f
	}
	first, last := s.samples[0], s.samples[len(s.samples)-1]
	f.Add("events", last.events)
	f.Add("file_kib", last.file>>10)
	f.Add("bytes_an_event_first", int(first.perEvent()))
	f.Add("bytes_an_event_last", int(last.perEvent()))
	f.Add("heap_kib_first", first.heap>>10)
	f.Add("heap_kib_last", last.heap>>10)
	f.Add("heap_kib_open", s.openHeap>>10)
	return f
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
