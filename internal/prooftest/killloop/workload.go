package killloop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
)

const (
	inlineView eventstore.ViewID = "inline"
	asyncView  eventstore.ViewID = "async"
)

// The lines that the workload prints, each with one write, before it continues:
//
//	ready
//	acked WRITER NUMBER FIRST LAST
//	follow FOLLOWER AFTER
//	saw FOLLOWER THROUGH POSITION=ID ...
//	error TEXT

// workload is the process that is killed. It appends, follows and keeps views.
func workload(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: FILE")
	}
	time.AfterFunc(time.Minute, func() { os.Exit(1) }) // in case the parent does not kill it
	s, err := boltstore.Open(args[0], &boltstore.Options{LockTimeout: 10 * time.Second, IndexMemory: rand.IntN(2)})
	if err != nil {
		return err
	}
	w := &worker{ctx: ctx, store: s}
	if err := s.Attach(ctx, fold.Inline(inlineView)); err != nil {
		return err
	}
	w.print("ready")
	failed := make(chan error)
	go func() { failed <- w.project() }()
	for i, q := range followed {
		go func() { failed <- w.follow(i, q) }()
	}
	for i := range writers {
		go func() { failed <- w.write(i) }()
	}
	return <-failed
}

const followers = 2

// followed are the queries of the followers.
var followed = [followers]eventstore.Query{
	eventstore.All(),
	eventstore.Union(eventstore.Category("shared"), eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{ownTag(3)}})),
}

type worker struct {
	ctx   context.Context
	store *boltstore.Store
	mu    sync.Mutex // of standard output
}

func (w *worker) print(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Printf(format+"\n", args...) // not buffered
}

// write appends a writer's commits, one after the other.
func (w *worker) write(number int) error {
	a := &appender{worker: w, w: number}
	if err := a.find(); err != nil {
		return err
	}
	for {
		if err := a.next(); err != nil {
			return fmt.Errorf("writer %d, commit %d: %w", a.w, a.n, err)
		}
		time.Sleep(time.Duration(rand.IntN(2500)) * time.Microsecond)
	}
}

// appender is a writer and its progress.
type appender struct {
	*worker
	w, n    int // the next commit
	version eventstore.Version
	last    eventstore.Position // of its own events
	receipt eventstore.Receipt  // of the last commit
}

// find reads the writer's progress from the log.
func (a *appender) find() error {
	own := eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{ownTag(a.w)}})
	for e, err := range a.store.Read(a.ctx, own, eventstore.ReadOptions{Backward: true, Limit: 1}) {
		if err != nil {
			return err
		}
		p, err := placeOf(&e)
		if err != nil {
			return err
		}
		a.n, a.last = p.n+1, e.Position
	}
	for e, err := range a.store.Read(a.ctx, eventstore.Stream(ownStream(a.w)), eventstore.ReadOptions{Backward: true, Limit: 1}) {
		if err != nil {
			return err
		}
		a.version = e.Version
	}
	return nil
}

// next appends the next commit. Sometimes it first sends a commit that must be
// refused, or a repeat.
func (a *appender) next() error {
	c := a.commit()
	if a.n%7 == 3 {
		if err := a.refused(c); err != nil {
			return err
		}
	}
	if key := keyOf(a.w, a.n-1); a.n%5 == 1 && key != "" && a.receipt.First > 0 {
		again, err := a.store.Append(a.ctx, eventstore.Commit{Key: key, Events: c.Events, Expect: c.Expect})
		if err != nil || !again.Repeated || again.First != a.receipt.First || again.Last != a.receipt.Last {
			return fmt.Errorf("repeating key %s gives %v, %w", key, again, err)
		}
	}
	receipt, err := a.store.Append(a.ctx, c)
	if err != nil {
		return err
	}
	a.print("acked %d %d %d %d", a.w, a.n, receipt.First, receipt.Last)
	a.version, _ = receipt.Head(ownStream(a.w))
	a.last, a.receipt = receipt.Last, receipt
	a.n++
	return nil
}

func (a *appender) commit() eventstore.Commit {
	c := eventstore.Commit{Key: keyOf(a.w, a.n), Events: eventsOf(a.w, a.n)}
	expected := map[eventstore.StreamID]bool{"": true}
	for _, e := range c.Events {
		if !expected[e.Stream] {
			expected[e.Stream] = true
			at := eventstore.Any
			if e.Stream == ownStream(a.w) {
				at = eventstore.At(a.version)
			}
			c.Expect = append(c.Expect, eventstore.Expect{Stream: e.Stream, At: at})
		}
	}
	if a.n%3 == 0 {
		own := eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{ownTag(a.w)}})
		c.Guards = []eventstore.Guard{{Query: own, After: a.last}}
	}
	return c
}

// refused sends a commit whose condition does not hold.
func (a *appender) refused(c eventstore.Commit) error {
	bad := eventstore.Commit{Events: []eventstore.NewEvent{{Stream: ownStream(a.w), Type: "refused", Data: []byte("refused")}},
		Expect: []eventstore.Expect{{Stream: ownStream(a.w), At: eventstore.At(a.version + 5)}}, Guards: c.Guards}
	if receipt, err := a.store.Append(a.ctx, bad); !errors.Is(err, eventstore.ErrConflict) {
		return fmt.Errorf("a commit that must be refused gives %v, %w", receipt, err)
	}
	return nil
}

// follow prints what a follower sees, from a little before the head on.
func (w *worker) follow(number int, q eventstore.Query) error {
	head, err := w.store.Head(w.ctx)
	if err != nil {
		return err
	}
	after := head - min(head, 40)
	w.print("follow %d %d", number, after)
	for batch, err := range w.store.Follow(w.ctx, q, after) {
		if err != nil {
			return err
		}
		line := fmt.Appendf(nil, "saw %d %d", number, batch.Through)
		for _, e := range batch.Events {
			line = fmt.Appendf(line, " %d=%s", e.Position, e.ID)
		}
		w.print("%s", line)
	}
	return nil
}

// project keeps the async view.
func (w *worker) project() error {
	all, err := w.store.Checkpoints(w.ctx)
	if err != nil {
		return err
	}
	at := all[asyncView]
	for batch, err := range w.store.Follow(w.ctx, eventstore.All(), at.Position) {
		if err != nil {
			return err
		}
		if batch.Through == at.Position {
			continue
		}
		through := eventstore.Checkpoint{Position: batch.Through}
		if err := fold.Commit(w.ctx, w.store, asyncView, at, through, batch.Events); err != nil {
			return fmt.Errorf("project through position %d: %w", batch.Through, err)
		}
		at = through
	}
	return nil
}
