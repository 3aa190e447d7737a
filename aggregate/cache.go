package aggregate

import (
	"container/list"
	"context"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// cache holds the states of the aggregates that were used last. A state in it is
// the fold of events that were read from the log, and of nothing else: not of
// what was decided and appended here, which may differ from what is read back.
//
// Each load reads what came after the cached state; what it saw is at least what
// was in the log when it was called. Loads of one aggregate run one at a time. One that
// had to wait while another began and ended needs no read of its own: the other
// began after it was called, so it saw all that this one must see. The one whose
// read was under way already when it was called is not enough, as its snapshot of
// the log may be older.
//
// A cached state never changes. It is cloned before an event evolves it, so that
// an Evolve that panics leaves it as it was, and before it is handed out.
type cache[S any] struct {
	clone func(S) S
	size  int

	mu      sync.Mutex // not held while user code runs
	entries map[eventstore.StreamID]*entry[S]
	recent  *list.List // of *entry[S] that are kept, the one used last in front
}

// entry is an aggregate in the cache, or one that is being loaded. Its fields
// from image on are guarded by the cache's mu.
type entry[S any] struct {
	stream  eventstore.StreamID
	reading chan struct{} // full while a load reads

	image  image[S]      // as the last read left it; shared
	loaded bool          // there is an image
	listed *list.Element // in recent; nil if it is kept only for its users
	users  int
	begun  uint64 // reads
	done   uint64 // the number of the last read that succeeded
}

// newCache returns nil if nothing is to be kept.
func newCache[S any](clone func(S) S, size int) *cache[S] {
	if clone == nil || size < 0 {
		return nil
	}
	if size == 0 {
		size = defaultCacheSize
	}
	return &cache[S]{clone: clone, size: size, entries: make(map[eventstore.StreamID]*entry[S]), recent: list.New()}
}

// load returns the aggregate as of now, of the caller's own. What start returns is
// the caller's; advance must not change a shared state.
func (c *cache[S]) load(
	ctx context.Context, stream eventstore.StreamID,
	start func() image[S], advance func(image[S]) (image[S], error),
) (image[S], error) {
	e, seen := c.enter(stream)
	defer c.leave(e)
	at, err := c.refresh(ctx, e, seen, start, advance)
	if err != nil {
		return image[S]{}, err
	}
	at.state, at.shared = c.clone(at.state), false
	return at, nil
}

// refresh returns the entry's image, brought up to date by a read that began
// after the first so many.
func (c *cache[S]) refresh(
	ctx context.Context, e *entry[S], seen uint64,
	start func() image[S], advance func(image[S]) (image[S], error),
) (image[S], error) {
	select {
	case e.reading <- struct{}{}:
	case <-ctx.Done():
		return image[S]{}, ctx.Err()
	}
	defer func() { <-e.reading }()

	c.mu.Lock()
	at, loaded := e.image, e.loaded
	if e.done > seen {
		c.mu.Unlock()
		at.from = at.version
		return at, nil
	}
	e.begun++
	read := e.begun
	c.mu.Unlock()

	if !loaded {
		at = start()
	}
	at, err := advance(at)
	if err != nil {
		return image[S]{}, err
	}
	at.shared = true
	c.keep(e, read, at)
	return at, nil
}

// enter returns the entry for its next user, and how many reads of it have begun.
func (c *cache[S]) enter(stream eventstore.StreamID) (e *entry[S], begun uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e = c.entries[stream]
	if e == nil {
		e = &entry[S]{stream: stream, reading: make(chan struct{}, 1)}
		c.entries[stream] = e
	}
	e.users++
	return e, e.begun
}

// leave ends a use of the entry. One that is not kept goes with its last user.
func (c *cache[S]) leave(e *entry[S]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.users--; e.users == 0 && e.listed == nil {
		delete(c.entries, e.stream)
	}
}

// keep puts what a read brought into the entry, and lets go of the one that was not
// used for longest. An aggregate that has no events is not kept.
func (c *cache[S]) keep(e *entry[S], read uint64, at image[S]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := e.image.kept
	e.image, e.loaded, e.done = at, true, read
	e.image.kept = max(at.kept, kept)
	switch {
	case at.version == 0:
		return
	case e.listed != nil:
		c.recent.MoveToFront(e.listed)
		return
	}
	e.listed = c.recent.PushFront(e)
	if c.recent.Len() > c.size {
		last := c.recent.Remove(c.recent.Back()).(*entry[S])
		last.listed = nil
		if last.users == 0 {
			delete(c.entries, last.stream)
		}
	}
}

// snapshotted says that there is a snapshot of the aggregate at a version.
func (c *cache[S]) snapshotted(stream eventstore.StreamID, version eventstore.Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[stream]; e != nil {
		e.image.kept = max(e.image.kept, version)
	}
}
