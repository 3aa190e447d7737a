package boltstore

import (
	"context"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

// queueLength is how many jobs may wait for the writer; more wait to be let in.
const queueLength = 1024

// job is what a caller hands to the writer and waits for: events to append, rows
// to change, a view to attach. Until the writer takes it, it is its caller's and
// may be withdrawn; then it is the writer's until it has ended.
type job interface {
	// enter judges the job against all before it and adds what it changes to
	// the group. It notes the outcome that it has if the group becomes durable.
	enter(s *Store, g *group)

	// Every job has a ticket, which does the rest.
	take() bool
	end(err error)
	size() (weight, bytes int)
	waiter() *ticket
}

// ticket is a job's place in the queue, and its outcome.
type ticket struct {
	ctx    context.Context
	weight int // events or rows
	bytes  int

	state atomic.Int32 // waiting, taken or withdrawn
	done  chan struct{}
	err   error // the outcome; valid once done is closed
}

const (
	waiting int32 = iota
	taken
	withdrawn
)

func newTicket(ctx context.Context) ticket {
	return ticket{ctx: ctx, done: make(chan struct{})}
}

func (t *ticket) waiter() *ticket           { return t }
func (t *ticket) size() (weight, bytes int) { return t.weight, t.bytes }

// take makes the job the writer's, unless its caller has given it up.
func (t *ticket) take() bool {
	return t.ctx.Err() == nil && t.state.CompareAndSwap(waiting, taken)
}

// end tells the caller the outcome: the one that the job noted, or err, with
// which its group failed.
func (t *ticket) end(err error) {
	if err != nil {
		t.err = err
	}
	close(t.done)
}

// submit hands a job to the writer and waits for its outcome. Until the writer
// takes it, the context and Close can still withdraw it.
func (s *Store) submit(j job) error {
	t := j.waiter()
	select {
	case s.queue <- j:
	case <-t.ctx.Done():
		return t.ctx.Err()
	case <-s.closing:
		return eventstore.ErrClosed
	}
	select {
	case <-t.done:
		return t.err
	case <-t.ctx.Done():
		if t.state.CompareAndSwap(waiting, withdrawn) {
			return t.ctx.Err()
		}
	case <-s.stopped:
		if t.state.CompareAndSwap(waiting, withdrawn) {
			return eventstore.ErrClosed
		}
	}
	<-t.done
	return t.err
}
