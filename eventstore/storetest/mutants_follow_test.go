package storetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// following is a mutant whose Follow is another.
func following(family, name string, follow func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error]) mutant {
	return mutant{family, name, func(f *faults) { f.follow = follow }}
}

// batching is a mutant that changes every batch.
func batching(family, name string, change func(b *eventstore.Batch)) mutant {
	return mutant{family, name, func(f *faults) { f.batch = change }}
}

func followMutants() []mutant {
	return []mutant{
		following("follow", "a gap where catching up becomes live", gapAtSeam),
		following("follow", "a repeat where catching up becomes live", repeatAtSeam),
		following("follow", "after is inclusive", func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
			return s.Follow(ctx, q, after-min(after, 1))
		}),
		following("follow", "after beyond the head is the head", func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
			head, _ := s.Head(ctx)
			return s.Follow(ctx, q, min(after, head))
		}),
		following("follow", "Close is ignored", func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
			return s.(*memory).log.Follow(ctx, q, after)
		}),
		following("follow", "the context is ignored", func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
			return s.Follow(context.WithoutCancel(ctx), q, after)
		}),
		following("follow", "it ends without an error", func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
			return func(yield func(eventstore.Batch, error) bool) {
				for b, err := range s.Follow(ctx, q, after) {
					if err != nil || !yield(b, err) {
						return
					}
				}
			}
		}),
		{"follow", "followers share the events among them", competing},
		following("follow", "a slow follower loses events", losesWhenSlow),
		{"follow", "a lock is held while the body runs", lockedFollowers},
		{"follow", "a follower that leaves keeps its place", func(f *faults) {
			places := make(chan struct{}, 4)
			f.follow = func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
				return func(yield func(eventstore.Batch, error) bool) {
					places <- struct{}{}
					s.Follow(ctx, q, after)(yield)
				}
			}
		}},
		batching("follow", "Through is ahead of what was yielded", func(b *eventstore.Batch) { b.Through += eventstore.Position(len(b.Events)) }),
		batching("follow", "Through is the last match", func(b *eventstore.Batch) {
			if n := len(b.Events); n > 0 {
				b.Through = b.Events[n-1].Position
			}
		}),
	}
}

// competing yields each event to the first follower only.
func competing(f *faults) {
	var mu sync.Mutex
	taken := make(map[eventstore.Position]bool)
	f.batch = func(b *eventstore.Batch) {
		mu.Lock()
		defer mu.Unlock()
		b.Events = slices.DeleteFunc(b.Events, func(e eventstore.Event) bool {
			defer func() { taken[e.Position] = true }()
			return taken[e.Position]
		})
	}
}

// gapAtSeam loses the first event after the head was reached.
func gapAtSeam(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	return func(yield func(eventstore.Batch, error) bool) {
		seam, lost := false, false
		for b, err := range s.Follow(ctx, q, after) {
			if seam && !lost && len(b.Events) > 0 {
				b.Events, lost = b.Events[1:], true
			}
			seam = seam || b.Live
			if !yield(b, err) {
				return
			}
		}
	}
}

// repeatAtSeam repeats the last event before the head was reached.
func repeatAtSeam(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	return func(yield func(eventstore.Batch, error) bool) {
		var last []eventstore.Event
		for b, err := range s.Follow(ctx, q, after) {
			b.Events = append(last, b.Events...)
			last = nil
			if n := len(b.Events); b.Live && n > 0 {
				last = b.Events[n-1:]
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// losesWhenSlow buffers 300 events and loses those that do not fit.
func losesWhenSlow(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	return func(yield func(eventstore.Batch, error) bool) {
		for live := false; ; {
			for b, err := range s.Follow(ctx, q, after) {
				after, live = b.Through, live || b.Live
				if !yield(b, err) || err != nil {
					return
				}
				if head, _ := s.Head(ctx); live && head > after+300 {
					after = head - 300
					break
				}
			}
		}
	}
}

// lockedFollowers blocks writers while a follower's body runs.
func lockedFollowers(f *faults) {
	var mu sync.RWMutex
	f.follow = func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
		return func(yield func(eventstore.Batch, error) bool) {
			for b, err := range s.Follow(ctx, q, after) {
				mu.RLock()
				more := yield(b, err)
				mu.RUnlock()
				if !more {
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

func batchMutants() []mutant {
	return []mutant{
		following("batches", "no batch without events", func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
			return batchesThat(s.Follow(ctx, q, after), func(b eventstore.Batch) bool { return len(b.Events) > 0 })
		}),
		following("batches", "no batch without events on the way to the head", func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
			return batchesThat(s.Follow(ctx, q, after), func(b eventstore.Batch) bool { return len(b.Events) > 0 || b.Live })
		}),
		following("batches", "no batch at the head where it starts", func(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
			return batchesThat(s.Follow(ctx, q, after), func(b eventstore.Batch) bool { return b.Through > after })
		}),
		following("batches", "a batch is all that there is", oneBatch),
		batching("batches", "never live", func(b *eventstore.Batch) { b.Live = false }),
		batching("batches", "always live", func(b *eventstore.Batch) { b.Live = true }),
		batching("batches", "Through does not advance past what does not match", func(b *eventstore.Batch) {
			if n := len(b.Events); n > 0 {
				b.Through = b.Events[n-1].Position
			} else {
				b.Through = 0
			}
		}),
	}
}

func batchesThat(seq iter.Seq2[eventstore.Batch, error], keep func(eventstore.Batch) bool) iter.Seq2[eventstore.Batch, error] {
	return func(yield func(eventstore.Batch, error) bool) {
		for b, err := range seq {
			if (err != nil || keep(b)) && !yield(b, err) {
				return
			}
		}
	}
}

// oneBatch collects batches until the head is reached.
func oneBatch(s eventstore.Store, ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	return func(yield func(eventstore.Batch, error) bool) {
		var events []eventstore.Event
		for b, err := range s.Follow(ctx, q, after) {
			events = append(events, b.Events...)
			if err == nil && !b.Live {
				continue
			}
			if err == nil {
				b.Events, events = events, nil
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func lifeMutants() []mutant {
	return slices.Concat(closeMutants(), identityMutants(), openMutants())
}

// closeMutants answer wrongly once they are closed.
func closeMutants() []mutant {
	return []mutant{
		{"life", "a second Close is an error", func(f *faults) {
			var mu sync.Mutex
			closed := make(map[eventstore.Store]bool)
			f.close = func(s eventstore.Store) error {
				mu.Lock()
				defer mu.Unlock()
				if closed[s] {
					return eventstore.ErrClosed
				}
				closed[s] = true
				return s.Close()
			}
		}},
		{"life", "Head answers after Close", func(f *faults) {
			f.head = func(s eventstore.Store, ctx context.Context) (eventstore.Position, error) {
				return s.(*memory).log.Head(ctx)
			}
		}},
		reading("life", "Read answers after Close", func(s eventstore.Store, ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
			return s.(*memory).log.Read(ctx, q, opts)
		}),
		{"life", "Lookup answers after Close", func(f *faults) {
			f.lookup = func(s eventstore.Store, ctx context.Context, key string) (eventstore.Receipt, bool, error) {
				return s.(*memory).log.Lookup(ctx, key)
			}
		}},
		appending("life", "Append after Close succeeds", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			return s.(*memory).log.Append(ctx, c)
		}),
		appending("life", "Append after Close is an error of its own", func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
			receipt, err := s.Append(ctx, c)
			if errors.Is(err, eventstore.ErrClosed) {
				err = errors.New("closed")
			}
			return receipt, err
		}),
		{"life", "Close lets waiting appends be written", func(f *faults) { closeAfterWaiting(f, false) }},
		{"life", "an append that Close has refused is written", func(f *faults) { closeAfterWaiting(f, true) }},
	}
}

// closeAfterWaiting closes the store when all appends that have come before have been
// written; with refused, all but the first of them return ErrClosed all the same.
func closeAfterWaiting(f *faults, refused bool) {
	var running sync.WaitGroup
	var begun atomic.Bool
	var mu sync.RWMutex // an append begins, or is refused; guards closing
	closing := make(map[eventstore.Store]bool)
	closed := func(s eventstore.Store) bool {
		mu.RLock()
		defer mu.RUnlock()
		return closing[s]
	}
	begin := func(s eventstore.Store) bool {
		mu.RLock()
		defer mu.RUnlock()
		if !closing[s] {
			running.Add(1)
		}
		return !closing[s]
	}
	f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		if !begin(s) {
			return eventstore.Receipt{}, eventstore.ErrClosed
		}
		defer running.Done()
		first := !begun.Swap(true)
		receipt, err := s.Append(ctx, c)
		if err == nil && refused && !first && closed(s) {
			err = eventstore.ErrClosed
		}
		return receipt, err
	}
	f.head = func(s eventstore.Store, ctx context.Context) (eventstore.Position, error) {
		if closed(s) {
			return 0, eventstore.ErrClosed
		}
		return s.Head(ctx)
	}
	f.close = func(s eventstore.Store) error {
		mu.Lock()
		closing[s] = true
		mu.Unlock()
		running.Wait()
		return s.Close()
	}
}

// identityMutants give a wrong StoreID or Epoch.
func identityMutants() []mutant {
	return []mutant{
		{"life", "a new log has no epoch", func(f *faults) {
			f.info = func(s eventstore.Store) eventstore.Info {
				info := s.Info()
				info.Epoch = 0
				return info
			}
		}},
		{"life", "all logs have one id", func(f *faults) {
			f.info = func(s eventstore.Store) eventstore.Info {
				info := s.Info()
				info.StoreID = uuid.NameSpaceURL
				return info
			}
		}},
		{"life", "a log gets a new id when it is opened", func(f *faults) {
			ids := make(map[eventstore.Store]uuid.UUID)
			f.info = func(s eventstore.Store) eventstore.Info {
				if _, ok := ids[s]; !ok {
					ids[s] = uuid.New()
				}
				info := s.Info()
				info.StoreID = ids[s]
				return info
			}
		}},
	}
}

// openMutants lose something when they are opened again, or open what must be refused.
func openMutants() []mutant {
	return []mutant{
		reopening("reopening loses the last commit", func(f *faults) { f.read = lagging }),
		reopening("reopening loses the keys", func(f *faults) {
			f.lookup = func(eventstore.Store, context.Context, string) (eventstore.Receipt, bool, error) {
				return eventstore.Receipt{}, false, nil
			}
		}),
		reopening("reopening forgets the versions", func(f *faults) {
			f.append = func(s eventstore.Store, ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
				receipt, err := s.Append(ctx, c)
				for i := range receipt.Heads {
					receipt.Heads[i].Version = 1
				}
				return receipt, err
			}
		}),
		{"life", "a second opener is let in", func(f *faults) {
			f.config = func(cfg *Config) {
				cfg.OpenSecond = func(tb testing.TB, s eventstore.Store) (eventstore.Store, error) { return cfg.Reopen(tb, s), nil }
			}
		}},
		{"life", "read-only mode writes", func(f *faults) {
			f.config = func(cfg *Config) { cfg.OpenReadOnly = cfg.Reopen }
		}},
		{"life", "a newer format is taken for a damaged file", func(f *faults) {
			f.config = func(cfg *Config) {
				cfg.OpenNewer = func(testing.TB) (eventstore.Store, error) { return nil, eventstore.ErrCorrupt }
			}
		}},
	}
}

// reopening is a mutant that is broken once it is reopened.
func reopening(name string, breaks func(f *faults)) mutant {
	return mutant{"life", name, func(f *faults) {
		f.config = func(cfg *Config) {
			reopen := cfg.Reopen
			cfg.Reopen = func(tb testing.TB, s eventstore.Store) eventstore.Store {
				reopened := reopen(tb, s).(*broken)
				reopened.faults = new(faults)
				breaks(reopened.faults)
				return reopened
			}
		}
	}}
}
