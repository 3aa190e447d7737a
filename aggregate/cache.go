package aggregate

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// cache holds the states of the aggregates that were used last. A cached state is the fold
// of events that were read from the log. Events that were decided here are not folded into
// it before they are read, because what is read may differ.
//
// Each load reads the events after the cached state, so it sees at least what was in the
// log when it was called. Loads of one aggregate run one at a time. A load that has waited
// while another load began and ended does not read: the other one began after this one was
// called, so it saw everything that this one has to see. A load that had begun before is
// not enough, as its snapshot of the log may be older.
//
// A cached state never changes. It is cloned before an event evolves it, so that an Evolve
// that panics leaves it as it was, and before it is returned.
type cache[S any] struct {
	clone func(S) S
	size  int

	mu      sync.Mutex // not held while user code runs
	entries map[eventstore.StreamID]*entry[S]
	recent  *list.List // of the *entry[S] that are kept, the one used last first
}

// entry is an aggregate that is in the cache or is being loaded. The cache's mu guards the
// fields from image on.
type entry[S any] struct {
	stream  eventstore.StreamID
	reading chan struct{} // full while a load reads

	image  image[S]      // after the last read; shared
	loaded bool          // there is an image
	listed *list.Element // in recent; nil if it is kept only for its users
	users  int           // loads that use the entry
	begun  uint64        // the number of reads that have begun
	done   uint64        // the number of the last read that has succeeded
}

// newCache returns nil if no states are kept.
func newCache[S any](clone func(S) S, size int) *cache[S] {
	if clone == nil || size < 0 {
		return nil
	}
	if size == 0 {
		size = defaultCacheSize
	}
	return &cache[S]{clone: clone, size: size, entries: make(map[eventstore.StreamID]*entry[S]), recent: list.New()}
}

// load returns the aggregate as of now, for the caller to change. Start returns the image
// without events. Advance brings an image up to date; it must not change a shared state.
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

// refresh returns the entry's image, up to date by a read that began after those that the
// caller has seen begin.
func (c *cache[S]) refresh(
	ctx context.Context, e *entry[S], seen uint64,
	start func() image[S], advance func(image[S]) (image[S], error),
) (image[S], error) {
	if err := e.enter(ctx); err != nil {
		return image[S]{}, err
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
	var err error
	asRead(func() { at, err = advance(at) })
	if err != nil {
		return image[S]{}, err
	}
	at.shared = true
	c.keep(e, read, at)
	return at, nil
}

// enter waits until no other load reads.
func (e *entry[S]) enter(ctx context.Context) error {
	select {
	case e.reading <- struct{}{}:
		return nil
	default:
	}
	if within(readEntry) {
		return fmt.Errorf("%w: it is loaded within an Evolve, which would have to wait for itself: Evolve must be pure", eventstore.ErrInvalid)
	}
	select {
	case e.reading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter returns the entry of a stream for another load, and the number of reads of it that
// have begun.
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

// leave ends a load's use of the entry, and removes an entry that is neither used nor
// kept.
func (c *cache[S]) leave(e *entry[S]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.users--; e.users == 0 && e.listed == nil {
		delete(c.entries, e.stream)
	}
}

// keep puts the image of a read into the entry, and removes the entry that was not used for
// the longest time if there are too many. An aggregate without events is not kept.
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

// snapshotted records that there is a snapshot of the aggregate at a version.
func (c *cache[S]) snapshotted(stream eventstore.StreamID, version eventstore.Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[stream]; e != nil {
		e.image.kept = max(e.image.kept, version)
	}
}
