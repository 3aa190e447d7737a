package memstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// Options are the options of New. Nil and the zero Options mean the defaults.
type Options struct {
	// Clock returns the Recorded time of a commit. Nil means time.Now.
	Clock func() time.Time
	// NewID returns the ID of an event that is appended without one. Nil means
	// uuid.NewV7. An error of NewID fails the append, and so does the zero UUID, with
	// ErrInvalid.
	NewID func() (uuid.UUID, error)
	// Logger logs attached views that stop at a fault or run out of time, because no
	// call returns that as an error. Nil means slog.Default(); a logger with
	// slog.DiscardHandler is silent.
	Logger *slog.Logger
}

// Store is an event log in memory, with rows. It implements [eventstore.RowStore]. It is
// safe for concurrent use by multiple goroutines.
type Store struct {
	clock  func() time.Time
	newID  func() (uuid.UUID, error)
	logger *slog.Logger
	id     uuid.UUID
	ended  chan struct{} // closed by Close

	// writing is a lock with room for one element. Append, CommitRows, DropRows and each
	// step of Attach hold it. Inline views run while it is held, so it is a channel: a
	// caller can stop waiting for it when its context ends. It is taken before mu.
	writing chan struct{}

	// mu guards the fields below. It is never held while a view or a loop's body runs
	// (I7). A change of these fields needs both writing and mu, so either of them is
	// enough for reading.
	mu       sync.Mutex
	closed   bool
	changed  chan struct{}                                 // closed and replaced by every append and by Close
	log      []record                                      // log[i] has position i+1; an element never changes
	streams  map[eventstore.StreamID][]eventstore.Position // each stream's events, by version
	keys     map[string]eventstore.Position                // the first event of the commit with this key
	views    map[eventstore.ViewID]*view                   // views that have a checkpoint or rows
	attached []*inline                                     // in the order of Attach

	returning sync.WaitGroup // goroutines that bring late views up to the head
}

var _ eventstore.RowStore = (*Store)(nil)

// record is an event and its place in the commit that wrote it: the i-th of n.
type record struct {
	event  eventstore.Event
	i, n   int
	digest []byte // of the commit, in its first event
}

// New returns an empty store.
func New(opts *Options) *Store {
	s := &Store{
		clock:   time.Now,
		newID:   uuid.NewV7,
		logger:  slog.Default(),
		id:      uuid.New(),
		ended:   make(chan struct{}),
		writing: make(chan struct{}, 1),
		changed: make(chan struct{}),
		streams: make(map[eventstore.StreamID][]eventstore.Position),
		keys:    make(map[string]eventstore.Position),
		views:   make(map[eventstore.ViewID]*view),
	}
	if opts != nil && opts.Clock != nil {
		s.clock = opts.Clock
	}
	if opts != nil && opts.NewID != nil {
		s.newID = opts.NewID
	}
	if opts != nil && opts.Logger != nil {
		s.logger = opts.Logger
	}
	return s
}

// Append implements [eventstore.Store].
func (s *Store) Append(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
	if err := s.beginWrite(ctx, "append", eventstore.Validate(c)); err != nil {
		return eventstore.Receipt{}, err
	}
	defer s.endWrite()
	receipt, repeated, err := s.judge(c)
	if repeated || err != nil {
		return receipt, err
	}
	records, err := s.newRecords(c)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	changes := s.applyAttached(records)
	s.mu.Lock()
	defer s.mu.Unlock()
	records[0].digest = bytes.Clone(c.Digest)
	s.write(c.Key, records)
	for _, change := range changes {
		s.change(change)
	}
	s.wake()
	return s.receipt(records[0].event.Position), nil
}

// judge judges the key and the conditions of a commit. It returns the receipt of the
// commit that c repeats, and true; or the first conflict; or neither. The caller holds
// writing.
func (s *Store) judge(c eventstore.Commit) (eventstore.Receipt, bool, error) {
	if c.Key != "" {
		if first, ok := s.keys[c.Key]; ok {
			return s.repeat(first), true, nil
		}
	}
	conflicts := s.conflicts(c)
	if len(conflicts) == 0 {
		return eventstore.Receipt{}, false, nil
	}
	if c.Key == "" {
		for _, conflict := range conflicts {
			if first, ok := s.sameCommit(conflict.Position, c.Events); ok {
				return s.repeat(first), true, nil
			}
		}
	}
	return eventstore.Receipt{}, false, conflicts[0]
}

// conflicts returns an error for each condition of c that does not hold.
func (s *Store) conflicts(c eventstore.Commit) []*eventstore.ConflictError {
	var conflicts []*eventstore.ConflictError
	for _, x := range c.Expect {
		positions := s.streams[x.Stream]
		actual := eventstore.Version(len(positions))
		if x.At.Holds(actual) {
			continue
		}
		conflict := &eventstore.ConflictError{Stream: x.Stream, Expected: x.At, Actual: actual}
		if v := x.At.FirstConflict(actual); v > 0 {
			conflict.Position = positions[v-1]
			conflict.Type = s.log[conflict.Position-1].event.Type
		}
		conflicts = append(conflicts, conflict)
	}
	for i, g := range c.Guards {
		for p := g.After; p < eventstore.Position(len(s.log)); p++ {
			if e := &s.log[p].event; g.Query.Matches(e.Stream, e.Type, e.Tags) {
				conflicts = append(conflicts, &eventstore.ConflictError{
					Guard: &g, GuardIndex: i, Position: e.Position, Type: e.Type,
				})
				break
			}
		}
	}
	return conflicts
}

// sameCommit reports whether the commit that wrote the event at p has the same ids, in
// the same order, as events. It returns the position of that commit's first event.
func (s *Store) sameCommit(p eventstore.Position, events []eventstore.NewEvent) (eventstore.Position, bool) {
	if p == 0 || s.log[p-1].n != len(events) {
		return 0, false
	}
	first := p - eventstore.Position(s.log[p-1].i)
	for i, e := range events {
		if s.log[int(first)-1+i].event.ID != e.ID {
			return 0, false
		}
	}
	return first, true
}

func (s *Store) repeat(first eventstore.Position) eventstore.Receipt {
	receipt := s.receipt(first)
	receipt.Repeated = true
	return receipt
}

// receipt returns the receipt of the commit whose first event is at first.
func (s *Store) receipt(first eventstore.Position) eventstore.Receipt {
	commit := s.log[first-1:][:s.log[first-1].n]
	receipt := eventstore.Receipt{
		First:    first,
		Last:     commit[len(commit)-1].event.Position,
		Recorded: commit[0].event.Recorded,
	}
	if digest := commit[0].digest; len(digest) > 0 {
		receipt.Digest = bytes.Clone(digest)
	}
	index := make(map[eventstore.StreamID]int) // of each stream in Heads
	for _, r := range commit {
		if r.event.Stream == "" {
			continue
		}
		at, ok := index[r.event.Stream]
		if !ok {
			at = len(receipt.Heads)
			index[r.event.Stream] = at
			receipt.Heads = append(receipt.Heads, eventstore.StreamHead{Stream: r.event.Stream})
		}
		receipt.Heads[at].Version = r.event.Version
	}
	return receipt
}

// newRecords returns the commit's events as they will be in the log. The caller
// holds writing.
func (s *Store) newRecords(c eventstore.Commit) ([]record, error) {
	recorded := s.clock().UTC().Round(0)
	if n := len(s.log); n > 0 && recorded.Before(s.log[n-1].event.Recorded) {
		recorded = s.log[n-1].event.Recorded
	}
	records := make([]record, len(c.Events))
	versions := make(map[eventstore.StreamID]eventstore.Version)
	for i, e := range c.Events {
		event := eventstore.Event{
			Position: eventstore.Position(len(s.log) + i + 1),
			Stream:   e.Stream, ID: e.ID, Type: e.Type, SchemaVersion: e.SchemaVersion, Codec: e.Codec,
			Data: e.Data, Metadata: e.Metadata, Tags: unique(e.Tags),
			Recorded: recorded, Time: e.Time.UTC().Round(0),
		}
		if e.ID == uuid.Nil {
			id, err := s.newID()
			if err != nil {
				return nil, fmt.Errorf("append: id for event %d: %w", i, err)
			}
			if id == uuid.Nil {
				return nil, fmt.Errorf("append: %w: Options.NewID returned the zero UUID", eventstore.ErrInvalid)
			}
			event.ID = id
		}
		if e.Time.IsZero() {
			event.Time = recorded
		}
		if e.Stream != "" {
			versions[e.Stream]++
			event.Version = eventstore.Version(len(s.streams[e.Stream])) + versions[e.Stream]
		}
		records[i] = record{event: clone(event), i: i, n: len(c.Events)}
	}
	return records, nil
}

// write puts a commit into the log. The caller holds writing and mu.
func (s *Store) write(key string, records []record) {
	s.log = append(s.log, records...)
	for _, r := range records {
		if r.event.Stream != "" {
			s.streams[r.event.Stream] = append(s.streams[r.event.Stream], r.event.Position)
		}
	}
	if key != "" {
		s.keys[key] = records[0].event.Position
	}
}

// Lookup implements [eventstore.Store].
func (s *Store) Lookup(ctx context.Context, key string) (eventstore.Receipt, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return eventstore.Receipt{}, false, err
	}
	if err := eventstore.ValidateKey(key); err != nil {
		return eventstore.Receipt{}, false, err
	}
	first, ok := s.keys[key]
	if !ok {
		return eventstore.Receipt{}, false, nil
	}
	return s.receipt(first), true, nil
}

// Read implements [eventstore.Store].
func (s *Store) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		log, _, err := s.snapshot(ctx)
		if err == nil {
			err = eventstore.ValidateRead(q, opts)
		}
		if err != nil {
			yield(eventstore.Event{}, err)
			return
		}
		if opts.To > 0 && opts.To < eventstore.Position(len(log)) {
			log = log[:opts.To]
		}
		if opts.From > 0 {
			log = log[min(opts.From-1, eventstore.Position(len(log))):]
		}
		yielded := 0
		for i := range log {
			e := &log[i].event
			if opts.Backward {
				e = &log[len(log)-1-i].event
			}
			if !q.Matches(e.Stream, e.Type, e.Tags) ||
				e.Version < opts.FromVersion || (opts.ToVersion > 0 && e.Version > opts.ToVersion) ||
				(!opts.AsOf.IsZero() && e.Recorded.After(opts.AsOf)) {
				continue
			}
			if _, _, err := s.snapshot(ctx); err != nil {
				yield(eventstore.Event{}, err)
				return
			}
			if !yield(clone(*e), nil) {
				return
			}
			if yielded++; yielded == opts.Limit {
				return
			}
		}
	}
}

// The limits of a batch. A single event may exceed batchBytes.
const (
	batchEvents    = 256
	batchBytes     = 1 << 20 // of payload
	batchPositions = 4096
)

// Follow implements [eventstore.Store].
func (s *Store) Follow(ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	return func(yield func(eventstore.Batch, error) bool) {
		through, atHead := after, false
		for {
			log, changed, err := s.snapshot(ctx)
			if err == nil {
				err = eventstore.ValidateRead(q, eventstore.ReadOptions{})
			}
			if err == nil && through > eventstore.Position(len(log)) {
				err = fmt.Errorf("%w: follow after position %d, beyond the head %d", eventstore.ErrInvalid, after, len(log))
			}
			if err != nil {
				yield(eventstore.Batch{}, err)
				return
			}
			if atHead && through == eventstore.Position(len(log)) {
				select {
				case <-changed:
				case <-ctx.Done():
				}
				continue
			}
			batch := nextBatch(log, q, through)
			through, atHead = batch.Through, batch.Live
			if !yield(batch, nil) {
				return
			}
		}
	}
}

// nextBatch returns the batch that begins after position through.
func nextBatch(log []record, q eventstore.Query, through eventstore.Position) eventstore.Batch {
	batch := eventstore.Batch{Through: through}
	size := 0
	for _, r := range log[through:min(through+batchPositions, eventstore.Position(len(log)))] {
		if q.Matches(r.event.Stream, r.event.Type, r.event.Tags) {
			size += len(r.event.Data)
			if len(batch.Events) > 0 && size > batchBytes {
				break
			}
			batch.Events = append(batch.Events, clone(r.event))
		}
		batch.Through = r.event.Position
		if len(batch.Events) == batchEvents {
			break
		}
	}
	batch.Live = batch.Through == eventstore.Position(len(log))
	return batch
}

// Head implements [eventstore.Store].
func (s *Store) Head(ctx context.Context) (eventstore.Position, error) {
	log, _, err := s.snapshot(ctx)
	return eventstore.Position(len(log)), err
}

// Info implements [eventstore.Store].
func (s *Store) Info() eventstore.Info {
	return eventstore.Info{StoreID: s.id, Epoch: 1, Gapless: true, Limits: eventstore.StandardLimits()}
}

// snapshot returns the log as of now, and a channel that is closed by the next append and
// by Close.
func (s *Store) snapshot(ctx context.Context) ([]record, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return nil, nil, err
	}
	return s.log, s.changed, nil
}

// clone returns a copy of e that shares no memory with it.
func clone(e eventstore.Event) eventstore.Event {
	e.Data = append([]byte{}, e.Data...)
	e.Tags = slices.Clone(e.Tags)
	e.Metadata = maps.Clone(e.Metadata)
	if len(e.Metadata) == 0 {
		e.Metadata = nil
	}
	return e
}

// unique returns the tags in the same order, each once, or nil for none.
func unique(tags []eventstore.Tag) []eventstore.Tag {
	var kept []eventstore.Tag
	for _, tag := range tags {
		if !slices.Contains(kept, tag) {
			kept = append(kept, tag)
		}
	}
	return kept
}
