package storetest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// spoiling is a mutant that changes every event it yields.
func spoiling(family, name string, change func(e *eventstore.Event)) mutant {
	return mutant{family, name, func(f *faults) { f.event = change }}
}

func eventMutants() []mutant {
	return slices.Concat(contentMutants(), timeMutants(), idMutants())
}

// contentMutants change an event's payload, metadata, tags or codec.
func contentMutants() []mutant {
	return []mutant{
		{"events", "the writer's payload is kept", writersPayload},
		{"events", "readers share the payload", sharedPayload},
		spoiling("events", "an empty payload is nil", func(e *eventstore.Event) {
			if len(e.Data) == 0 {
				e.Data = nil
			}
		}),
		spoiling("events", "a payload is kept as text", func(e *eventstore.Event) { e.Data = bytes.ToValidUTF8(e.Data, []byte("?")) }),
		spoiling("events", "no metadata is an empty map", func(e *eventstore.Event) {
			if e.Metadata == nil {
				e.Metadata = eventstore.Metadata{}
			}
		}),
		spoiling("events", "no tags is an empty list", func(e *eventstore.Event) {
			if e.Tags == nil {
				e.Tags = []eventstore.Tag{}
			}
		}),
		spoiling("events", "tags are sorted", func(e *eventstore.Event) { slices.Sort(e.Tags) }),
		spoiling("events", "the codec is lost", func(e *eventstore.Event) { e.Codec = "" }),
	}
}

// timeMutants change an event's Time or Recorded.
func timeMutants() []mutant {
	return []mutant{
		appending("events", "a time that cannot be is now", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			c.Events = slices.Clone(c.Events)
			for i, e := range c.Events {
				if year := e.Time.Year(); year < 1 || year > 9999 {
					c.Events[i].Time = time.Time{}
				}
			}
			return s.Append(ctx, c)
		}),
		spoiling("events", "the clock goes back", func(e *eventstore.Event) {
			e.Recorded = e.Recorded.Add(-time.Hour * time.Duration(e.Position))
		}),
		spoiling("events", "every event has a recorded time of its own", func(e *eventstore.Event) {
			e.Recorded = e.Recorded.Add(time.Duration(e.Position))
		}),
		spoiling("events", "time is kept to the millisecond", func(e *eventstore.Event) { e.Time = e.Time.Truncate(time.Millisecond) }),
		spoiling("events", "time is kept as nanoseconds since 1970", func(e *eventstore.Event) { e.Time = time.Unix(0, e.Time.UnixNano()).UTC() }),
		spoiling("events", "time is kept in a local zone", func(e *eventstore.Event) { e.Time = e.Time.In(time.FixedZone("here", 60)) }),
	}
}

// idMutants change or repeat events' ids.
func idMutants() []mutant {
	return []mutant{
		{"events", "the writer's id is replaced", func(f *faults) {
			f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
				c.Events = slices.Clone(c.Events)
				for i := range c.Events {
					c.Events[i].ID = uuid.Nil
				}
				return s.Append(ctx, c)
			}
		}},
		{"events", "ids are issued again", func(f *faults) {
			var issued []uuid.UUID
			f.options = func(o *memstore.Options) {
				o.NewID = func() (uuid.UUID, error) {
					id, err := uuid.NewV7()
					if len(issued) > 400 {
						id = issued[0]
					}
					issued = append(issued, id)
					return id, err
				}
			}
		}},
		{"events", "ids are of version 4", func(f *faults) {
			f.options = func(o *memstore.Options) { o.NewID = uuid.NewRandom }
		}},
	}
}

// writersPayload keeps the writer's slice and not a copy.
func writersPayload(f *faults) {
	var mu sync.Mutex
	kept := make(map[eventstore.Position][]byte)
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		receipt, err := s.Append(ctx, c)
		mu.Lock()
		defer mu.Unlock()
		for i, e := range c.Events {
			kept[receipt.First+eventstore.Position(i)] = e.Data
		}
		return receipt, err
	}
	f.event = func(e *eventstore.Event) {
		mu.Lock()
		defer mu.Unlock()
		e.Data = append([]byte{}, kept[e.Position]...)
	}
}

// sharedPayload gives every reader the same bytes.
func sharedPayload(f *faults) {
	var mu sync.Mutex
	shared := make(map[eventstore.Position][]byte)
	f.event = func(e *eventstore.Event) {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := shared[e.Position]; !ok {
			shared[e.Position] = e.Data
		}
		e.Data = shared[e.Position]
	}
}

func limitMutants() []mutant {
	return []mutant{
		spoiling("limits", "a payload is cut at 16 bits of length", func(e *eventstore.Event) { e.Data = e.Data[:min(len(e.Data), math.MaxUint16)] }),
		appending("limits", "a commit that is too large is dropped without an error", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if errors.Is(err, eventstore.ErrTooLarge) {
				err = nil
			}
			return receipt, err
		}),
		appending("limits", "a commit may have fewer events than the limit says", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			if limit := s.Info().Limits.EventsPerCommit; len(c.Events) >= limit {
				return eventstore.Receipt{}, &eventstore.LimitError{What: "events", Size: len(c.Events), Limit: limit - 1}
			}
			return s.Append(ctx, c)
		}),
		appending("limits", "a limit is not a *LimitError", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if errors.Is(err, eventstore.ErrTooLarge) {
				err = eventstore.ErrTooLarge
			}
			return receipt, err
		}),
		unbounded("names of an item", func(l *eventstore.Limits) { l.NamesPerItem = math.MaxInt }),
		unbounded("names of a query", func(l *eventstore.Limits) { l.NamesPerQuery = math.MaxInt }),
		unbounded("names in guards", func(l *eventstore.Limits) { l.NamesPerCommit = math.MaxInt }),
		unbounded("tags of a commit", func(l *eventstore.Limits) { l.TagsPerCommit = math.MaxInt }),
		unbounded("expectations", func(l *eventstore.Limits) { l.ExpectationsPerCommit = math.MaxInt }),
		unbounded("bytes of a commit", func(l *eventstore.Limits) { l.CommitBytes = math.MaxInt }),
		{"limits", "limits above the standard ones", func(f *faults) {
			f.info = func(s eventstore.Store) eventstore.Info {
				info := s.Info()
				info.Limits.TagsPerEvent++
				return info
			}
		}},
	}
}

// unbounded accepts commits and queries that are over one limit, and drops them.
func unbounded(what string, lift func(*eventstore.Limits)) mutant {
	lifted := eventstore.StandardLimits()
	lift(&lifted)
	return mutant{"limits", what + " are not bounded", func(f *faults) {
		f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			if eventstore.Validate(c) != nil && lifted.Validate(c) == nil {
				return eventstore.Receipt{}, nil
			}
			return s.Append(ctx, c)
		}
		f.read = func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			if eventstore.ValidateRead(q, opts) != nil && lifted.ValidateRead(q, opts) == nil {
				return func(func(eventstore.Event, error) bool) {}
			}
			return s.Read(ctx, q, opts)
		}
	}}
}
