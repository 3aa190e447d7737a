package sample

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
)

// Sample is a log's content.
type Sample struct {
	Info    eventstore.Info
	Events  []eventstore.Event // the event of position p at p-1
	Keys    map[string]eventstore.Receipt
	Commits []eventstore.Receipt // of all commits, in order
	Views   []View
	Targets []Target
	Last    int   // events of the last commit, which is the last transaction
	Size    int64 // of the file, in bytes; after Used there are only zeros
	Used    int

	once *history
}

// View is a view of the log and its rows. A zero Checkpoint means that the view does
// not exist.
type View struct {
	ID         eventstore.ViewID
	Checkpoint eventstore.Checkpoint
	Rows       []eventstore.Row // ordered by table and key
}

// Target is an event whose fields can be found in the file by their bytes.
type Target struct {
	Name     string
	Position eventstore.Position
}

// State is what a sample's log held at an earlier moment: its first events, and the
// checkpoints of its views.
type State struct {
	Events      int
	Checkpoints map[eventstore.ViewID]eventstore.Checkpoint
}

// At returns the sample as it was in a state.
func (s *Sample) At(state State) *Sample {
	b := *s
	head := eventstore.Position(state.Events)
	b.Events, b.Keys, b.Views = s.Events[:head:head], maps.Clone(s.Keys), slices.Clone(s.Views)
	b.Commits = slices.DeleteFunc(slices.Clone(s.Commits), func(r eventstore.Receipt) bool { return r.Last > head })
	b.Targets = slices.DeleteFunc(slices.Clone(s.Targets), func(t Target) bool { return t.Position > head })
	maps.DeleteFunc(b.Keys, func(_ string, r eventstore.Receipt) bool { return r.First > head })
	for i, v := range b.Views {
		at := state.Checkpoints[v.ID]
		b.Views[i].Checkpoint = at
		b.Views[i].Rows = fold.Rows(b.Events[:at.Position])
	}
	return &b
}

// Before returns the sample as of before the last transaction.
func (s *Sample) Before() *Sample {
	head := eventstore.Position(len(s.Events) - s.Last)
	state := State{Events: int(head), Checkpoints: make(map[eventstore.ViewID]eventstore.Checkpoint)}
	for _, v := range s.Views {
		v.Checkpoint.Position = min(v.Checkpoint.Position, head)
		state.Checkpoints[v.ID] = v.Checkpoint
	}
	return s.At(state)
}

// State returns the state of the sample.
func (s *Sample) State() State { return State{len(s.Events), s.checkpoints()} }

// KeyAt returns the key of the commit whose first event is at a position, or "".
func (s *Sample) KeyAt(p eventstore.Position) string {
	for key, r := range s.Keys {
		if r.First == p {
			return key
		}
	}
	return ""
}

// with returns the sample with another acknowledged commit.
func (s *Sample) with(c eventstore.Commit, receipt eventstore.Receipt) *Sample {
	b := *s
	b.Events, b.Keys, b.Commits = slices.Clone(s.Events), maps.Clone(s.Keys), slices.Clone(s.Commits)
	b.Views, b.once = slices.Clone(s.Views), &history{}
	b.note(c, receipt)
	return &b
}

// note adds an acknowledged commit to the sample.
func (s *Sample) note(c eventstore.Commit, receipt eventstore.Receipt) {
	if c.Key != "" {
		s.Keys[c.Key] = receipt
	}
	s.Commits = append(s.Commits, receipt)
	for i, e := range c.Events {
		event := eventstore.Event{
			Position: receipt.First + eventstore.Position(i), Stream: e.Stream, ID: e.ID, Type: e.Type,
			SchemaVersion: e.SchemaVersion, Codec: e.Codec, Data: e.Data, Metadata: e.Metadata,
			Recorded: receipt.Recorded, Time: e.Time,
		}
		if e.Stream != "" {
			event.Version = s.Version(e.Stream) + 1
		}
		if e.Time.IsZero() {
			event.Time = receipt.Recorded
		}
		seen := make(map[eventstore.Tag]bool)
		for _, tag := range e.Tags {
			if !seen[tag] {
				event.Tags = append(event.Tags, tag)
			}
			seen[tag] = true
		}
		s.Events = append(s.Events, event)
	}
}

// Grow appends a commit to the store, and returns a sample of the log with it.
func (s *Sample) Grow(ctx context.Context, store eventstore.Store) (*Sample, error) {
	n := s.names()
	c := eventstore.Commit{
		Key:    fmt.Sprint("grown after ", len(s.Events)),
		Expect: []eventstore.Expect{{Stream: lastStream, At: eventstore.At(s.Version(lastStream))}},
		Events: []eventstore.NewEvent{{Stream: lastStream, ID: newID(uint64(len(s.Events))), Type: n.types[0], Data: []byte("more"), Tags: []eventstore.Tag{n.tags[0]}}},
	}
	receipt, err := store.Append(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.with(c, receipt), nil
}

// Version returns the version of the stream's last event.
func (s *Sample) Version(stream eventstore.StreamID) eventstore.Version {
	for i := len(s.Events) - 1; i >= 0; i-- {
		if s.Events[i].Stream == stream {
			return s.Events[i].Version
		}
	}
	return 0
}

// matches returns the events that a read of the query must return, in order.
func (s *Sample) matches(query eventstore.Query, opts eventstore.ReadOptions) (events []*eventstore.Event) {
	for i := range s.Events {
		e := &s.Events[i]
		switch {
		case !query.Matches(e.Stream, e.Type, e.Tags), e.Position < opts.From, opts.To > 0 && e.Position > opts.To,
			e.Version < opts.FromVersion, opts.ToVersion > 0 && e.Version > opts.ToVersion,
			!opts.AsOf.IsZero() && e.Recorded.After(opts.AsOf):
			continue
		}
		events = append(events, e)
	}
	if opts.Backward {
		slices.Reverse(events)
	}
	if opts.Limit > 0 && len(events) > opts.Limit {
		events = events[:opts.Limit]
	}
	return events
}

// names are all names by which events can be found, and one of each kind that no event
// has.
type names struct {
	streams           []eventstore.StreamID
	categories, types []string
	tags              []eventstore.Tag
}

func (s *Sample) names() names {
	streams, categories := map[eventstore.StreamID]bool{"cart-none": true}, map[string]bool{"none": true}
	types, tags := map[string]bool{"type-none": true}, map[eventstore.Tag]bool{"tag:none": true}
	for _, e := range s.Events {
		if e.Stream != "" {
			streams[e.Stream] = true
			categories[e.Stream.Category()] = true
		}
		types[e.Type] = true
		for _, tag := range e.Tags {
			tags[tag] = true
		}
	}
	return names{slices.Sorted(maps.Keys(streams)), slices.Sorted(maps.Keys(categories)),
		slices.Sorted(maps.Keys(types)), slices.Sorted(maps.Keys(tags))}
}

// history is all that the rows of a sample ever were. It is made when it is first
// needed.
type history struct {
	make   sync.Once
	values map[string]bool
}

// was reports whether a row ever had this value.
func (s *Sample) was(row eventstore.Row) bool {
	s.once.make.Do(func() { s.once.values = fold.Values(s.Events) })
	return s.once.values[fold.Name(row)]
}

// newID makes the ids of events that an examination appends.
func newID(n uint64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}
