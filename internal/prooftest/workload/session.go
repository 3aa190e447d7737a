package workload

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
	"github.com/yore-es/yore/internal/prooftest/simfs"
)

// LogName is the name of the store's file on the disk.
const LogName = "log.yore"

// The views that workloads maintain.
const (
	Async  eventstore.ViewID = "async"
	Inline eventstore.ViewID = "inline"
)

// session is a workload that has, or opens, a store on a disk. Its methods are safe
// for concurrent use by multiple goroutines, if each writer is used by one.
type session struct {
	ctx      context.Context
	dir      string
	options  boltstore.Options
	store    *boltstore.Store
	registry *codec.Registry
	marks    *os.File

	mu     sync.Mutex
	script *Script
	done   map[int]int         // commits of each writer in the log
	floor  eventstore.Position // the highest acknowledged position
}

func newSession(ctx context.Context, dir string, script *Script) (*session, error) {
	marks, err := os.OpenFile(filepath.Join(dir, simfs.MarksName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	registry, err := newRegistry()
	if err != nil {
		return nil, errors.Join(err, marks.Close())
	}
	return &session{ctx: ctx, dir: dir, registry: registry, marks: marks, script: script, done: make(map[int]int)}, nil
}

// mark writes a mark. It panics on an error, since nothing later could be judged.
func (s *session) mark(format string, args ...any) {
	if _, err := fmt.Fprintf(s.marks, format+"\n", args...); err != nil {
		panic(err)
	}
}

// open opens the store, and reads from it the progress of the writers.
func (s *session) open() (err error) {
	s.mark("opening")
	if s.store, err = boltstore.Open(filepath.Join(s.dir, LogName), &s.options); err != nil {
		return err
	}
	s.mark("opened")
	s.mu.Lock()
	defer s.mu.Unlock()
	for e, err := range s.store.Read(s.ctx, eventstore.All(), eventstore.ReadOptions{}) {
		if err != nil {
			return err
		}
		id, _ := idOf(e.ID)
		s.done[id.Writer] = max(s.done[id.Writer], id.N)
		s.floor = max(s.floor, e.Position)
	}
	return nil
}

// close closes the store, unless it could not be opened again.
func (s *session) close() error {
	if s.store == nil {
		return nil
	}
	s.mark("closed")
	return s.store.Close()
}

// next returns a writer's next commit.
func (s *session) next(writer int) (ID, eventstore.Commit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := ID{writer, s.done[writer] + 1}
	return id, *s.script.Commit(id)
}

// append appends a writer's next commit, once.
func (s *session) append(writer int) (ID, error) {
	id, c := s.next(writer)
	s.mark("begin %v", id)
	receipt, err := s.store.Append(s.ctx, c)
	switch {
	case errors.Is(err, eventstore.ErrUnknownOutcome):
		s.mark("unknown %v", id)
		return id, err
	case err != nil:
		s.mark("failed %v", id)
		return id, err
	}
	s.mark("acked %v %d %d", id, receipt.First, receipt.Last)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[writer] = id.N
	s.floor = max(s.floor, receipt.Last)
	return id, nil
}

// appendMany appends n commits of a writer, one after the other.
func (s *session) appendMany(writer, n int) error {
	for range n {
		if id, err := s.append(writer); err != nil {
			return fmt.Errorf("append %v: %w", id, err)
		}
	}
	return nil
}

// appendAll has several writers append n commits each, concurrently.
func (s *session) appendAll(writers, n int) error {
	var all sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		all.Go(func() { errs[w] = s.appendMany(w, n) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// attach attaches the inline view.
func (s *session) attach() error {
	view := fold.Inline(Inline)
	view.Timeout = time.Minute // a machine may be slow
	if err := s.store.Attach(s.ctx, view); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	s.mark("attached %s", Inline)
	return nil
}

// followRows brings the async view up to a position, at most step events at a time.
func (s *session) followRows(to eventstore.Position, step int) error {
	set, err := s.store.GetRows(s.ctx, Async)
	if err != nil {
		return err
	}
	at := set.Checkpoint
	if at.IsZero() { // first drop the rest that a power loss has left of an earlier view
		if err := s.dropRows(); err != nil {
			return err
		}
	}
	for at.Position < to {
		var events []eventstore.Event
		for e, err := range s.store.Read(s.ctx, eventstore.All(), eventstore.ReadOptions{From: at.Position + 1, To: to, Limit: step}) {
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		through := eventstore.Checkpoint{Position: at.Position + eventstore.Position(len(events)), Data: []byte("a follower")}
		if err := fold.Commit(s.ctx, s.store, Async, at, through, events); err != nil {
			return fmt.Errorf("commit rows: %w", err)
		}
		s.mark("rows %s %d", Async, through.Position)
		at = through
	}
	return nil
}

// dropRows removes the async view, a few rows at a time.
func (s *session) dropRows() error {
	s.mark("drop %s", Async)
	for {
		more, err := s.store.DropRows(s.ctx, Async, 7)
		if err != nil {
			return fmt.Errorf("drop rows: %w", err)
		}
		if !more {
			s.mark("dropped %s", Async)
			return nil
		}
	}
}
