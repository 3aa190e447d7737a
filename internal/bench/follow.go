package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// follower is a goroutine that follows the log from its head.
type follower struct {
	delivered []time.Time // when each event was, in order; only if keep was true
	err       error
}

// follow starts a number of followers of the next events and returns when all of
// them are at the head. wait returns when all events were delivered to all of them.
func (b *bench) follow(store eventstore.Store, followers, events int, keep bool) (all []*follower, wait func() error, err error) {
	head, err := store.Head(b.ctx)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(b.ctx)
	var ready, done sync.WaitGroup
	ready.Add(followers)
	for range followers {
		f := &follower{}
		if keep {
			f.delivered = make([]time.Time, 0, events)
		}
		all = append(all, f)
		done.Go(func() {
			if f.err = f.run(ctx, store, head, events, sync.OnceFunc(ready.Done)); f.err != nil {
				cancel()
			}
		})
	}
	ready.Wait()
	return all, func() error {
		done.Wait()
		cancel()
		var faults []error
		for _, f := range all {
			if f.err != nil && !errors.Is(f.err, context.Canceled) {
				faults = append(faults, f.err)
			}
		}
		return errors.Join(faults...)
	}, nil
}

// run follows until a number of events was delivered. It calls ready at the first
// batch, which comes at once and is empty, or on an error.
func (f *follower) run(ctx context.Context, store eventstore.Store, after eventstore.Position, events int, ready func()) error {
	defer ready()
	seen := 0
	for batch, err := range store.Follow(ctx, eventstore.All(), after) {
		if err != nil {
			return fmt.Errorf("follow: %w", err)
		}
		ready()
		if f.delivered != nil {
			now := time.Now()
			for range batch.Events {
				f.delivered = append(f.delivered, now)
			}
		}
		if seen += len(batch.Events); seen >= events {
			return nil
		}
	}
	return nil
}

// followLive compares the delay of a delivery after its Append returned with the
// duration of the append. A delivery before that has no delay.
func followLive(b *bench) (s sample, err error) {
	err = b.withNewStore(func(store *boltstore.Store) error {
		c := b.newCrew(store, "live", 1, 1)
		if _, err := c.until(b.scale.liveAppends/10, 0); err != nil { // to warm up
			return err
		}
		s, err = b.rounds(b.scale.rounds, func() (sample, error) { return b.liveRound(store, c[0]) })
		return err
	})
	return s, err
}

func (b *bench) liveRound(store eventstore.Store, appendOnce appender) (sample, error) {
	n := b.scale.liveAppends
	followers, wait, err := b.follow(store, 1, n, true)
	if err != nil {
		return sample{}, err
	}
	took, returned := make([]time.Duration, n), make([]time.Time, n)
	for i := range n {
		begin := time.Now()
		if _, err := appendOnce(); err != nil {
			return sample{}, fmt.Errorf("append: %w", err)
		}
		returned[i] = time.Now()
		took[i] = returned[i].Sub(begin)
	}
	if err := wait(); err != nil {
		return sample{}, err
	}
	late := make([]time.Duration, n)
	for i, delivered := range followers[0].delivered[:n] {
		late[i] = max(0, delivered.Sub(returned[i]))
	}
	return sample{milliseconds(percentile(late, 0.99)), milliseconds(percentile(took, 0.5))}, nil
}

// followFanout compares the deliveries of a burst to many followers at the head with
// those to one follower.
func followFanout(b *bench) (s sample, err error) {
	b.smaller("follow/fanout", "a burst of %d events", b.scale.fanoutEvents)
	err = b.withNewStore(func(store *boltstore.Store) error {
		s, err = b.beside(
			func() (float64, error) { return b.burst(store, b.scale.fanoutReaders) },
			func() (float64, error) { return b.burst(store, 1) },
		)
		return err
	})
	return s, err
}

// burst returns the deliveries per second of a burst, appended in commits of a
// hundred, from its first append until the last delivery.
func (b *bench) burst(store eventstore.Store, followers int) (float64, error) {
	_, wait, err := b.follow(store, followers, b.scale.fanoutEvents, false)
	if err != nil {
		return 0, err
	}
	const commit = 100
	w := newWriter(b.ctx, store, "burst", 0, commit)
	begin := time.Now()
	for range b.scale.fanoutEvents / commit {
		if _, err := w.append(); err != nil {
			return 0, fmt.Errorf("append: %w", err)
		}
	}
	if err := wait(); err != nil {
		return 0, err
	}
	return float64(followers*b.scale.fanoutEvents) / time.Since(begin).Seconds(), nil
}
