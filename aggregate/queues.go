package aggregate

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/yore-es/yore/eventstore"
)

// queues order the callers that conflict.
//
// Optimistic retry starves slow callers: of the callers that append to one stream at
// the same time, one succeeds and the others have to decide again, and a slow caller
// may lose every time. So after a conflict callers queue: they go on one at a time,
// in the order in which they came. A caller that comes to a stream or a guarded query
// that has a queue joins the queue before its first attempt.
//
// The queues help, they do not lock. Callers of other repositories and of other
// processes are not in them, and the store judges every append as before. Without
// conflicts they cost a look at a counter.
type queues struct {
	open atomic.Int64 // the number of queues

	mu    sync.Mutex
	byKey map[conflictKey]*queue
}

// queue is the callers that conflict on one key.
type queue struct {
	front   chan struct{} // full while a caller is at the front; the others wait to fill it
	callers int           // at the front and waiting; guarded by the mu of queues
}

// conflictKey names what callers conflict on: a stream, or a guarded query.
type conflictKey string

// streamKey returns the key of a stream.
func streamKey(stream eventstore.StreamID) conflictKey { return conflictKey(stream) }

// guardKey returns the key of a guarded query. No stream's name contains NUL.
func guardKey(q eventstore.Query) conflictKey { return conflictKey("\x00" + q.String()) }

// keyOf returns the key of a conflict; "" for any other error.
func keyOf(err error) conflictKey {
	var conflict *eventstore.ConflictError
	switch {
	case !errors.As(err, &conflict):
		return ""
	case conflict.Guard != nil:
		return guardKey(conflict.Guard.Query)
	default:
		return streamKey(conflict.Stream)
	}
}

// caller is one caller and the queues that it is at the front of.
type caller struct {
	queues *queues       // nil: it joins none
	front  []conflictKey // sorted
}

// inFront is the context key of what a caller at the front of a queue calls, such as
// its hooks. A command that is executed there joins no queue: a caller at the front of
// that one may be waiting for this caller.
type inFront struct{}

// newCaller returns a caller that is in no queue. Nil queues are allowed.
func (q *queues) newCaller(ctx context.Context) *caller {
	if ctx.Value(inFront{}) != nil {
		return &caller{}
	}
	return &caller{queues: q}
}

// joinOpen joins those of the keys' queues that exist.
func (c *caller) joinOpen(ctx context.Context, keys []conflictKey) error {
	if c.queues == nil || c.queues.open.Load() == 0 {
		return nil
	}
	_, err := c.join(ctx, c.queues.having(keys)...)
	return err
}

// join waits until the caller is at the front of the keys' queues and of those that
// it was at the front of before. It leaves the latter first, so that all callers join
// queues in one order and no two wait for each other. It reports whether there was a
// queue to join.
func (c *caller) join(ctx context.Context, keys ...conflictKey) (joined bool, err error) {
	if c.queues == nil {
		return false, nil
	}
	all := slices.Clone(c.front)
	for _, key := range keys {
		if key != "" && !slices.Contains(all, key) {
			all, joined = append(all, key), true
		}
	}
	if !joined {
		return false, nil
	}
	c.leave()
	slices.Sort(all)
	for _, key := range all {
		if err := c.queues.enter(ctx, key); err != nil {
			return false, err
		}
		c.front = append(c.front, key)
	}
	return true, nil
}

// leave leaves all queues, so that the next callers go on.
func (c *caller) leave() {
	for _, key := range c.front {
		c.queues.leave(key)
	}
	c.front = c.front[:0]
}

// within returns the context for what the caller calls.
func (c *caller) within(ctx context.Context) context.Context {
	if len(c.front) == 0 {
		return ctx
	}
	return context.WithValue(ctx, inFront{}, true)
}

// having returns those of the keys that have a queue.
func (q *queues) having(keys []conflictKey) []conflictKey {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(keys), func(key conflictKey) bool { return q.byKey[key] == nil })
}

// enter waits until the caller is at the front of the key's queue, which it opens if
// there is none.
func (q *queues) enter(ctx context.Context, key conflictKey) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	at := q.add(key)
	select {
	case at.front <- struct{}{}:
		return nil
	case <-ctx.Done():
		q.remove(key, at)
		return ctx.Err()
	}
}

// leave leaves the queue that the caller is at the front of.
func (q *queues) leave(key conflictKey) {
	q.mu.Lock()
	at := q.byKey[key]
	q.mu.Unlock()
	<-at.front
	q.remove(key, at)
}

// add counts a caller into the key's queue.
func (q *queues) add(key conflictKey) *queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := q.byKey[key]
	if at == nil {
		at = &queue{front: make(chan struct{}, 1)}
		if q.byKey == nil {
			q.byKey = make(map[conflictKey]*queue)
		}
		q.byKey[key] = at
		q.open.Add(1)
	}
	at.callers++
	return at
}

// remove counts a caller out, and closes a queue that has none left.
func (q *queues) remove(key conflictKey, at *queue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if at.callers--; at.callers == 0 {
		delete(q.byKey, key)
		q.open.Add(-1)
	}
}
