package storetest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
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

// reading is a mutant whose Read is another.
func reading(family, name string, read func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error]) mutant {
	return mutant{family, name, func(f *faults) { f.read = read }}
}

// optioned is a mutant that reads with other options than it was given.
func optioned(name string, change func(opts *eventstore.ReadOptions)) mutant {
	return reading("read", name, func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
		change(&opts)
		return s.Read(ctx, q, opts)
	})
}

// misreading is a mutant that takes a query for another.
func misreading(family, name string, matches func(q eventstore.Query, e eventstore.Event) bool) mutant {
	return reading(family, name, func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
		if eventstore.ValidateRead(q, opts) != nil {
			return s.Read(ctx, q, opts)
		}
		return filter(s.Read(ctx, eventstore.All(), opts), func(e eventstore.Event) bool { return matches(q, e) })
	})
}

func filter(seq iter.Seq2[eventstore.Event, error], keep func(eventstore.Event) bool) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		for e, err := range seq {
			if (err != nil || keep(e)) && !yield(e, err) {
				return
			}
		}
	}
}

// lagging does not show the last event.
func lagging(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	head, _ := s.Head(ctx)
	return filter(s.Read(ctx, q, opts), func(e eventstore.Event) bool { return e.Position < head })
}

func eventMutants() []mutant {
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
		appending("events", "a time that cannot be is now", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			c.Events = slices.Clone(c.Events)
			for i, e := range c.Events {
				if year := e.Time.Year(); year < 1 || year > 9999 {
					c.Events[i].Time = time.Time{}
				}
			}
			return s.Append(ctx, c)
		}),
		spoiling("events", "tags are sorted", func(e *eventstore.Event) { slices.Sort(e.Tags) }),
		spoiling("events", "the codec is lost", func(e *eventstore.Event) { e.Codec = "" }),
		spoiling("events", "the clock goes back", func(e *eventstore.Event) {
			e.Recorded = e.Recorded.Add(-time.Hour * time.Duration(e.Position))
		}),
		spoiling("events", "every event has a recorded time of its own", func(e *eventstore.Event) {
			e.Recorded = e.Recorded.Add(time.Duration(e.Position))
		}),
		spoiling("events", "time is kept to the millisecond", func(e *eventstore.Event) { e.Time = e.Time.Truncate(time.Millisecond) }),
		spoiling("events", "time is kept as nanoseconds since 1970", func(e *eventstore.Event) { e.Time = time.Unix(0, e.Time.UnixNano()).UTC() }),
		spoiling("events", "time is kept in a local zone", func(e *eventstore.Event) { e.Time = e.Time.In(time.FixedZone("here", 60)) }),
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

// writersPayload keeps the writer's slice instead of its bytes.
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
		appending("limits", "what is too large is dropped without an error", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
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
		appending("limits", "a limit is told in words only", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if errors.Is(err, eventstore.ErrTooLarge) {
				err = eventstore.ErrTooLarge
			}
			return receipt, err
		}),
		{"limits", "limits above the standard ones", func(f *faults) {
			f.info = func(s eventstore.Store) eventstore.Info {
				info := s.Info()
				info.Limits.TagsPerEvent++
				return info
			}
		}},
	}
}

func queryMutants() []mutant {
	return []mutant{
		misreading("queries", "tags are OR-ed", func(q eventstore.Query, e eventstore.Event) bool {
			for _, item := range q.Items() {
				for _, tag := range item.Tags {
					item.Tags = []eventstore.Tag{tag}
					if eventstore.Match(item).Matches(e.Stream, e.Type, e.Tags) {
						return true
					}
				}
			}
			return q.Matches(e.Stream, e.Type, e.Tags)
		}),
		misreading("queries", "an event may have no more tags than asked for", func(q eventstore.Query, e eventstore.Event) bool {
			exact := slices.ContainsFunc(q.Items(), func(i eventstore.Item) bool { return len(i.Tags) == len(e.Tags) })
			return (q.IsAll() || exact || len(e.Tags) == 0) && q.Matches(e.Stream, e.Type, e.Tags)
		}),
		misreading("queries", "categories are prefixes", func(q eventstore.Query, e eventstore.Event) bool {
			for _, item := range q.Items() {
				for _, category := range item.Categories {
					if strings.HasPrefix(string(e.Stream), category) {
						return true
					}
				}
			}
			return q.Matches(e.Stream, e.Type, e.Tags)
		}),
		misreading("queries", "a category needs a dash", func(q eventstore.Query, e eventstore.Event) bool {
			byCategory := slices.ContainsFunc(q.Items(), func(i eventstore.Item) bool { return len(i.Categories) > 0 })
			return q.Matches(e.Stream, e.Type, e.Tags) && (!byCategory || strings.Contains(string(e.Stream), "-"))
		}),
		misreading("queries", "items are AND-ed", func(q eventstore.Query, e eventstore.Event) bool {
			for _, item := range q.Items() {
				if !eventstore.Match(item).Matches(e.Stream, e.Type, e.Tags) {
					return false
				}
			}
			return true
		}),
		misreading("queries", "types are ignored where tags are given", func(q eventstore.Query, e eventstore.Event) bool {
			var items []eventstore.Item
			for _, item := range q.Items() {
				if len(item.Tags) > 0 {
					item.Types = nil
				}
				items = append(items, item)
			}
			return q.IsAll() || eventstore.Match(items...).Matches(e.Stream, e.Type, e.Tags)
		}),
		misreading("queries", "All is all streams", func(q eventstore.Query, e eventstore.Event) bool {
			return e.Stream != "" && q.Matches(e.Stream, e.Type, e.Tags)
		}),
		reading("queries", "items are read one after the other", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			if len(q.Items()) < 2 || eventstore.ValidateRead(q, opts) != nil {
				return s.Read(ctx, q, opts)
			}
			return oneByOne(s, ctx, q, opts)
		}),
		reading("queries", "the zero query is everything", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			if !q.IsAll() && len(q.Items()) == 0 {
				q = eventstore.All()
			}
			return s.Read(ctx, q, opts)
		}),
		guarding("queries", "guards look at the first item only", func(g *eventstore.Guard) {
			if items := g.Query.Items(); len(items) > 1 {
				g.Query = eventstore.Match(items[0])
			}
		}),
	}
}

// oneByOne reads the items of a query one after the other.
func oneByOne(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		for _, item := range q.Items() {
			for e, err := range s.Read(ctx, eventstore.Match(item), opts) {
				if !yield(e, err) {
					return
				}
			}
		}
	}
}

func readMutants() []mutant {
	type store = eventstore.Store
	return []mutant{
		reading("read", "the limit counts before filtering", func(s store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			return filter(s.Read(ctx, eventstore.All(), opts), func(e eventstore.Event) bool { return q.Matches(e.Stream, e.Type, e.Tags) })
		}),
		reading("read", "the limit counts per item", func(s store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			opts.Limit *= max(1, len(q.Items()))
			return s.Read(ctx, q, opts)
		}),
		reading("read", "backward counts from the wrong end", func(s store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			if !opts.Backward || opts.Limit <= 0 {
				return s.Read(ctx, q, opts)
			}
			opts.Backward = false
			events := readAll(s, q, opts)
			return func(yield func(eventstore.Event, error) bool) {
				for _, e := range reversed(events) {
					if !yield(e, nil) {
						return
					}
				}
			}
		}),
		reading("read", "an empty store has nothing to read from", func(s store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			if head, _ := s.Head(ctx); head == 0 {
				q = eventstore.Query{}
			}
			return s.Read(ctx, q, opts)
		}),
		optioned("backward is ignored", func(o *eventstore.ReadOptions) { o.Backward = false }),
		optioned("From is exclusive", func(o *eventstore.ReadOptions) { o.From += min(o.From, 1) }),
		optioned("To is exclusive", func(o *eventstore.ReadOptions) { o.To -= min(o.To, 1) }),
		optioned("From and To change places backward", func(o *eventstore.ReadOptions) {
			if o.Backward {
				o.From, o.To = o.To, o.From
			}
		}),
		optioned("From and To are put in order", func(o *eventstore.ReadOptions) {
			if o.To > 0 && o.From > o.To {
				o.From, o.To = o.To, o.From
			}
		}),
		optioned("From beyond the head is the head", func(o *eventstore.ReadOptions) { o.From = min(o.From, 10) }),
		optioned("a negative limit is no limit", func(o *eventstore.ReadOptions) { o.Limit = max(o.Limit, 0) }),
		optioned("no limit is a limit of 1,000", func(o *eventstore.ReadOptions) {
			if o.Limit == 0 {
				o.Limit = 1_000
			}
		}),
		optioned("from a version is exclusive", func(o *eventstore.ReadOptions) { o.FromVersion += min(o.FromVersion, 1) }),
		optioned("from a version is ignored", func(o *eventstore.ReadOptions) { o.FromVersion = 0 }),
		optioned("to a version is exclusive", func(o *eventstore.ReadOptions) { o.ToVersion -= min(o.ToVersion, 1) }),
		optioned("to a version is ignored", func(o *eventstore.ReadOptions) { o.ToVersion = 0 }),
		optioned("from and to a version are put in order", func(o *eventstore.ReadOptions) {
			if o.ToVersion > 0 && o.FromVersion > o.ToVersion {
				o.FromVersion, o.ToVersion = o.ToVersion, o.FromVersion
			}
		}),
		optioned("as of a time is exclusive", func(o *eventstore.ReadOptions) {
			if !o.AsOf.IsZero() {
				o.AsOf = o.AsOf.Add(-1)
			}
		}),
		optioned("as of is ignored", func(o *eventstore.ReadOptions) { o.AsOf = time.Time{} }),
		reading("read", "the context is ignored", func(s store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			return s.Read(context.WithoutCancel(ctx), q, opts)
		}),
		reading("read", "the context is looked at once", func(s store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			if ctx.Err() != nil {
				return s.Read(ctx, q, opts)
			}
			return s.Read(context.WithoutCancel(ctx), q, opts)
		}),
		reading("read", "a sequence can be ranged over once", func(s store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			next, _ := iter.Pull2(s.Read(ctx, q, opts))
			return func(yield func(eventstore.Event, error) bool) {
				for e, err, ok := next(); ok && yield(e, err); e, err, ok = next() {
				}
			}
		}),
		{"read", "a reader that leaves keeps its lock", leakyReaders},
	}
}

// leakyReaders has four readers at most, and a loop that is left never gives
// its place back.
func leakyReaders(f *faults) {
	places := make(chan struct{}, 4)
	f.read = func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
		return func(yield func(eventstore.Event, error) bool) {
			places <- struct{}{}
			for e, err := range s.Read(ctx, q, opts) {
				if !yield(e, err) {
					return
				}
			}
			<-places
		}
	}
}

func snapshotMutants() []mutant {
	return []mutant{
		reading("snapshot", "the head is looked at again and again", unfixed),
		reading("snapshot", "the snapshot is fixed before ranging starts", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			if head, _ := s.Head(ctx); opts.To == 0 {
				opts.To = head
			}
			return s.Read(ctx, q, opts)
		}),
		{"snapshot", "a lock is held while the body runs", lockedReads},
		{"snapshot", "one reader at a time", func(f *faults) {
			var mu sync.Mutex
			f.lookup = func(s eventstore.Store, ctx context.Context, key string) (eventstore.Receipt, bool, error) {
				mu.Lock()
				defer mu.Unlock()
				return s.Lookup(ctx, key)
			}
			f.read = func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
				return func(yield func(eventstore.Event, error) bool) {
					mu.Lock()
					defer mu.Unlock()
					s.Read(ctx, q, opts)(yield)
				}
			}
		}},
		reading("snapshot", "Close does not end a loop", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			return s.(*memory).log.Read(ctx, q, opts)
		}),
	}
}

// unfixed reads event by event until there is no more.
func unfixed(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	if opts.Backward {
		return s.Read(ctx, q, opts)
	}
	return func(yield func(eventstore.Event, error) bool) {
		opts.Limit = 1
		for more := true; more; {
			more = false
			for e, err := range s.Read(ctx, q, opts) {
				if !yield(e, err) {
					return
				}
				more, opts.From = err == nil, e.Position+1
			}
		}
	}
}

// lockedReads lets no writer in while a reader is in its loop.
func lockedReads(f *faults) {
	var mu sync.RWMutex
	f.read = func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
		return func(yield func(eventstore.Event, error) bool) {
			mu.RLock()
			defer mu.RUnlock()
			for e, err := range s.Read(ctx, q, opts) {
				if !yield(e, err) {
					return
				}
			}
		}
	}
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		mu.Lock()
		defer mu.Unlock()
		return s.Append(ctx, c)
	}
}
