package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
	"github.com/yore-es/yore/internal/prooftest/proof"
)

const (
	writers = 4
	streams = 200

	inlineView eventstore.ViewID = "inline"
	asyncView  eventstore.ViewID = "async"
)

// load is the users of an open store, until it is stopped or the store is closed.
type load struct {
	ctx    context.Context
	cancel context.CancelFunc
	store  *boltstore.Store
	pause  time.Duration // of a writer, after a commit
	wait   sync.WaitGroup
	failed chan error // the first failure

	commits, followed atomic.Int64
}

// start attaches a view and begins to write, follow, project and read.
func start(ctx context.Context, env *proof.Env, store *boltstore.Store, cycle int) (*load, error) {
	l := &load{store: store, failed: make(chan error, 1), pause: time.Duration(env.Scale(4, 16)) * time.Millisecond}
	l.ctx, l.cancel = context.WithCancel(ctx)
	if err := store.Attach(l.ctx, fold.Inline(inlineView)); err != nil {
		l.cancel()
		return nil, err
	}
	for i := range writers {
		random := env.Rand(uint64(cycle*100 + i))
		l.run(func() error { return l.write(i, random) })
	}
	random := env.Rand(uint64(cycle*100 + writers))
	l.run(func() error { return l.read(random) })
	l.run(l.project)
	for _, q := range []eventstore.Query{eventstore.All(), eventstore.Category("cart")} {
		l.run(func() error { return l.follow(q) })
	}
	return l, nil
}

// run runs a part of the load. It must end when the load is stopped or the store is
// closed; any other end is a failure.
func (l *load) run(part func() error) {
	l.wait.Go(func() {
		err := part()
		if l.ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
			return
		}
		select {
		case l.failed <- err:
		default: // something has already failed
		}
	})
}

// stop ends the load and returns the first failure.
func (l *load) stop() error {
	l.cancel()
	l.wait.Wait()
	select {
	case err := <-l.failed:
		return err
	default:
		return nil
	}
}

// write appends commits to one or more streams.
func (l *load) write(writer int, random *rand.Rand) error {
	for n := 0; ; n++ {
		c := newCommit(random)
		if n%4 == 0 {
			c.Key = fmt.Sprintf("%d-%d-%d", writer, n, random.Uint64())
		}
		receipt, err := l.store.Append(l.ctx, c)
		if err != nil {
			return err
		}
		if c.Key != "" {
			again, err := l.store.Append(l.ctx, c)
			if err != nil {
				return err
			}
			if !again.Repeated || again.First != receipt.First {
				return fmt.Errorf("key %s again: %v instead of %v", c.Key, again, receipt)
			}
		}
		l.commits.Add(1)
		select {
		case <-time.After(l.pause):
		case <-l.ctx.Done():
			return l.ctx.Err()
		}
	}
}

// newCommit makes a commit of one to three small events, or of enough larger ones
// that their records are packed.
func newCommit(random *rand.Rand) eventstore.Commit {
	var c eventstore.Commit
	n, most := 1+random.IntN(3), 60
	if random.IntN(32) == 0 {
		n, most = 10+random.IntN(10), 500
	}
	expected := make(map[eventstore.StreamID]bool)
	for range n {
		category := []string{"cart", "order"}[random.IntN(2)]
		stream := eventstore.StreamID(fmt.Sprintf("%s-%d", category, random.IntN(streams)))
		if !expected[stream] {
			expected[stream] = true
			c.Expect = append(c.Expect, eventstore.Expect{Stream: stream, At: eventstore.Any})
		}
		c.Events = append(c.Events, eventstore.NewEvent{
			Stream: stream, Type: fmt.Sprint("type-", random.IntN(8)), Codec: "json",
			Data: fmt.Appendf(nil, `{"n":%d,"text":%q}`, random.Uint64(), make([]byte, random.IntN(most))),
			Tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint("tag:", random.IntN(50)))},
		})
	}
	return c
}

// read reads random streams and tags.
func (l *load) read(random *rand.Rand) error {
	for {
		q := eventstore.Stream(eventstore.StreamID(fmt.Sprint("cart-", random.IntN(streams))))
		if random.IntN(2) == 0 {
			q = eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint("tag:", random.IntN(50)))}})
		}
		last := eventstore.Position(0)
		for e, err := range l.store.Read(l.ctx, q, eventstore.ReadOptions{Limit: 500}) {
			if err != nil {
				return err
			}
			if e.Position <= last || !q.Matches(e.Stream, e.Type, e.Tags) {
				return fmt.Errorf("read %v: position %d after %d", q, e.Position, last)
			}
			last = e.Position
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-l.ctx.Done():
			return l.ctx.Err()
		}
	}
}

// follow follows from the beginning. A follower of all events must see each.
func (l *load) follow(q eventstore.Query) error {
	last := eventstore.Position(0)
	for batch, err := range l.store.Follow(l.ctx, q, 0) {
		if err != nil {
			return err
		}
		for _, e := range batch.Events {
			if q.IsAll() && e.Position != last+1 || e.Position <= last {
				return fmt.Errorf("follow %v: position %d after %d", q, e.Position, last)
			}
			last = e.Position
			l.followed.Add(1)
		}
	}
	return io.ErrUnexpectedEOF
}

// project maintains the async view.
func (l *load) project() error {
	all, err := l.store.Checkpoints(l.ctx)
	if err != nil {
		return err
	}
	at := all[asyncView]
	for batch, err := range l.store.Follow(l.ctx, eventstore.All(), at.Position) {
		if err != nil {
			return err
		}
		if batch.Through == at.Position {
			continue
		}
		through := eventstore.Checkpoint{Position: batch.Through}
		if err := fold.Commit(l.ctx, l.store, asyncView, at, through, batch.Events); err != nil {
			return err
		}
		at = through
	}
	return io.ErrUnexpectedEOF
}

func readersOf(buffers []*bytes.Buffer) (readers []io.Reader) {
	for _, b := range buffers {
		readers = append(readers, bytes.NewReader(b.Bytes()))
	}
	return readers
}
