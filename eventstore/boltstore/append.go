package boltstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/record"
	"github.com/yore-es/yore/internal/rows"
)

// Append implements [eventstore.Store]. A nil error means that the events are on disk:
// written and synced. An error of the file system, such as a full disk, fails the commits of
// one transaction, and no others; appends succeed again when its cause is gone.
func (s *Store) Append(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	receipt, err := s.append(ctx, c)
	return receipt, during("append", err)
}

// during adds the name of the call to an error. A conflict, which is not a fault, is returned
// unchanged.
func during(call string, err error) error {
	if err == nil || errors.Is(err, eventstore.ErrConflict) {
		return err
	}
	return fmt.Errorf("%s: %w", call, err)
}

func (s *Store) append(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	if err := s.usable(ctx); err != nil {
		return eventstore.Receipt{}, err
	}
	if err := rows.MayChange(ctx, s); err != nil {
		return eventstore.Receipt{}, err
	}
	if err := eventstore.Validate(c); err != nil {
		return eventstore.Receipt{}, err
	}
	if err := s.takesChanges(); err != nil {
		return eventstore.Receipt{}, err
	}
	r := s.newRequest(ctx, c)
	if receipt, repeated, err := judge(&r.commit, &r.onDisk); repeated || err != nil {
		return receipt, err
	}
	if receipt, repeated, err := r.advance(s.tail); repeated || err != nil {
		return receipt, err
	}
	if err := r.encode(s); err != nil {
		return eventstore.Receipt{}, err
	}
	if err := s.index.awaitRoom(ctx); err != nil {
		return eventstore.Receipt{}, err
	}
	if err := s.writer.submit(r); err != nil {
		return eventstore.Receipt{}, err
	}
	receipt := r.receipt
	r.release()
	return receipt, nil
}

// request is a commit of events on its way to the writer.
type request struct {
	ticket
	commit   eventstore.Commit
	onDisk   durable              // the past that the caller judges it against
	since    recent               // the past that the writer judges it against
	base     *group               // the last group that the caller has judged it against
	versions []eventstore.Version // as of base, of the stream of each expectation
	few      [2]eventstore.Version
	recorded time.Time // by the clock, on the caller's goroutine
	entries  []entry
	one      [1]entry

	receipt eventstore.Receipt // the outcome, if there is no error
}

// requests are zero requests for reuse, since requests are large.
var requests = sync.Pool{New: func() any { return new(request) }}

// release returns the request to the pool. The writer and the caller must be done with it.
func (r *request) release() {
	*r = request{}
	requests.Put(r)
}

func (s *Store) newRequest(ctx context.Context, c eventstore.Commit) *request {
	r := requests.Get().(*request)
	r.ctx, r.commit, r.base = ctx, c, s.tail.last()
	if r.versions = r.few[:]; len(c.Expect) > len(r.few) {
		r.versions = make([]eventstore.Version, len(c.Expect))
	}
	r.versions = r.versions[:len(c.Expect)]
	r.onDisk = durable{in: s.reader, head: r.base.through, expect: c.Expect, versions: r.versions}
	return r
}

// advance judges the commit again while many events have been published since base, so that
// few are left for the writer. Its result is final, like that of judging on disk.
func (r *request) advance(t *tail) (eventstore.Receipt, bool, error) {
	const few, rounds = groupEvents, 8
	for range rounds {
		last := t.last()
		if last.through-r.base.through <= few {
			break
		}
		if receipt, repeated, err := r.judgeSince(nil, merge(r.base.next.Load(), last)); repeated || err != nil {
			return receipt, repeated, err
		}
		r.base = last
	}
	return eventstore.Receipt{}, false, nil
}

// judgeSince judges the commit against groups in memory: the published ones from published
// on, and more. If nothing speaks against the commit, it brings versions up to date.
func (r *request) judgeSince(published, more *group) (eventstore.Receipt, bool, error) {
	r.since = recent{expect: r.commit.Expect, versions: r.versions, published: published, more: more}
	receipt, repeated, err := judge(&r.commit, &r.since)
	if !repeated && err == nil {
		for i := range r.versions {
			r.versions[i], _ = r.since.version(i)
		}
	}
	return receipt, repeated, err
}

// enter implements job. It judges the commit against the groups after base, and adds its
// events to the turn's group.
func (r *request) enter(t *turn) {
	var repeated bool
	if r.receipt, repeated, r.err = r.judgeSince(r.base.next.Load(), t.group); repeated || r.err != nil {
		return
	}
	r.receipt = t.group.add(r)
}

// entry is an event of a request, and later of a group in the tail. The writer sets the
// version and seals the record; after that an entry does not change.
type entry struct {
	stream  eventstore.StreamID
	expect  int // index of the stream's expectation in the commit
	version eventstore.Version
	kind    string // the event's type
	tags    []eventstore.Tag
	id      uuid.UUID
	size    int // of the payload, in bytes
	record  []byte
}

// encode makes the request's entries, except for what the writer adds. Clock and NewID run
// here, on the caller's goroutine.
func (r *request) encode(s *Store) error {
	var err error
	if r.recorded, err = s.now(); err != nil {
		return err
	}
	events := r.commit.Events
	r.weight = len(events)
	mark := record.Mark{Key: r.commit.Key, Digest: r.commit.Digest}
	tagged := 0
	for i := range events {
		r.bytes += record.MaxSize(&events[i], mark)
		tagged += len(events[i].Tags)
	}
	if r.entries = r.one[:]; len(events) > 1 {
		r.entries = make([]entry, len(events))
	}
	buffer := make([]byte, 0, r.bytes)
	tags := make([]eventstore.Tag, 0, tagged)
	expectations := expectationIndex(r.commit.Expect)
	expect := -1 // of the previous event, whose stream is often the same
	for i := range events {
		event := events[i]
		if event.ID == uuid.Nil {
			id, err := s.newID(r.recorded)
			if err != nil {
				return fmt.Errorf("id for event %d: %w", i, err)
			}
			event.ID = id
		}
		if i == 0 || event.Stream != r.entries[i-1].stream {
			expect = expectations(event.Stream)
		}
		start, first := len(buffer), len(tags)
		tags = appendUnique(tags, event.Tags)
		event.Tags = tags[first:len(tags):len(tags)]
		buffer = record.Append(buffer, &event, record.Place{I: i, N: len(events)}, mark)
		r.entries[i] = entry{
			stream: event.Stream,
			expect: expect,
			kind:   event.Type,
			tags:   event.Tags,
			id:     event.ID,
			size:   len(event.Data),
			record: buffer[start:len(buffer):len(buffer)],
		}
	}
	return nil
}

// now returns the time of the clock, in UTC. A time that a record or the header of a backup
// cannot hold, as nanoseconds since 1970, is ErrInvalid.
func (s *Store) now() (time.Time, error) {
	now := s.opts.Clock().UTC()
	if year := now.Year(); year < 1678 || year > 2261 {
		return time.Time{}, fmt.Errorf("%w: the clock says %v, outside the years 1678 to 2261", eventstore.ErrInvalid, now)
	}
	return now, nil
}

// newID returns an id for an event that is recorded at the given time.
func (s *Store) newID(recorded time.Time) (uuid.UUID, error) {
	if s.opts.NewID == nil {
		return s.ids.New(recorded)
	}
	id, err := s.opts.NewID()
	if err == nil && id == uuid.Nil {
		err = fmt.Errorf("%w: Options.NewID returned the zero UUID", eventstore.ErrInvalid)
	}
	return id, err
}

// expectationIndex returns a function that returns the index of a stream's expectation.
func expectationIndex(expect []eventstore.Expect) func(eventstore.StreamID) int {
	if len(expect) <= 8 {
		return func(stream eventstore.StreamID) int {
			for i := range expect {
				if expect[i].Stream == stream {
					return i
				}
			}
			return -1
		}
	}
	index := make(map[eventstore.StreamID]int, len(expect))
	for i := range expect {
		index[expect[i].Stream] = i
	}
	return func(stream eventstore.StreamID) int { return index[stream] }
}

// appendUnique appends the tags in order, without repeats.
func appendUnique(dst, tags []eventstore.Tag) []eventstore.Tag {
	first := len(dst)
	for _, tag := range tags {
		if !slices.Contains(dst[first:], tag) {
			dst = append(dst, tag)
		}
	}
	return dst
}
