package storetest

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
)

// reading is a mutant with another Read.
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

// misreading is a mutant that matches other events with a query.
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

// lagging hides the last event.
func lagging(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	head, _ := s.Head(ctx)
	return filter(s.Read(ctx, q, opts), func(e eventstore.Event) bool { return e.Position < head })
}

func queryMutants() []mutant {
	return slices.Concat(itemMutants(), itemsMutants())
}

// itemMutants match an item with other events.
func itemMutants() []mutant {
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
	}
}

// itemsMutants put the items of a query together wrongly, or take the zero query or
// All for another.
func itemsMutants() []mutant {
	return []mutant{
		misreading("queries", "items are AND-ed", func(q eventstore.Query, e eventstore.Event) bool {
			for _, item := range q.Items() {
				if !eventstore.Match(item).Matches(e.Stream, e.Type, e.Tags) {
					return false
				}
			}
			return true
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
	return slices.Concat(readOptionMutants(), readAtMutants(), readLoopMutants())
}

// readOptionMutants read with other options than they were given.
func readOptionMutants() []mutant {
	return []mutant{
		reading("read", "the limit counts before filtering", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			return filter(s.Read(ctx, eventstore.All(), opts), func(e eventstore.Event) bool { return q.Matches(e.Stream, e.Type, e.Tags) })
		}),
		reading("read", "the limit counts per item", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			opts.Limit *= max(1, len(q.Items()))
			return s.Read(ctx, q, opts)
		}),
		reading("read", "backward counts from the wrong end", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
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
	}
}

// readAtMutants begin at the wrong version or end at the wrong time.
func readAtMutants() []mutant {
	return []mutant{
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
	}
}

// readLoopMutants end or repeat the sequence of Read wrongly.
func readLoopMutants() []mutant {
	return []mutant{
		reading("read", "an empty store has nothing to read from", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			if head, _ := s.Head(ctx); head == 0 {
				q = eventstore.Query{}
			}
			return s.Read(ctx, q, opts)
		}),
		reading("read", "the context is ignored", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			return s.Read(context.WithoutCancel(ctx), q, opts)
		}),
		reading("read", "the context is looked at once", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			if ctx.Err() != nil {
				return s.Read(ctx, q, opts)
			}
			return s.Read(context.WithoutCancel(ctx), q, opts)
		}),
		reading("read", "a sequence can be ranged over once", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			next, _ := iter.Pull2(s.Read(ctx, q, opts))
			return func(yield func(eventstore.Event, error) bool) {
				for e, err, ok := next(); ok && yield(e, err); e, err, ok = next() {
				}
			}
		}),
		{"read", "a reader that leaves keeps its lock", leakyReaders},
	}
}

// leakyReaders allows four readers at a time, and counts a reader that leaves its
// loop early for ever.
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

// unfixed reads one event at a time until there are no more.
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

// lockedReads blocks writers while a reader is in its loop.
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
