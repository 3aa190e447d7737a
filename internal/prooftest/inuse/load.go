package inuse

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/prooftest/sample"
)

// underLoad damages the file under readers, followers and appenders. They go on for a
// while and end; then every call is made twice.
func (u *user) underLoad(ctx context.Context, path string) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for running.Err() == nil {
				u.read(running, i%2 == 1)
			}
		})
	}
	all.Go(func() { u.follow(running) })
	for range 2 {
		all.Go(func() {
			for running.Err() == nil {
				u.appendUnderLoad(running)
			}
		})
	}
	time.Sleep(time.Duration(rand.Int64N(int64(10 * time.Millisecond))))
	err := u.damage.do(u.tester, path)
	time.Sleep(20 * time.Millisecond)
	cancel()
	all.Wait()
	for range 2 {
		u.read(ctx, false)
		u.appendUnderLoad(ctx)
		u.read(ctx, true)
	}
	return err
}

// read reads the log, which has more events than are known.
func (u *user) read(ctx context.Context, backward bool) {
	found := 0
	for e, err := range u.store.Read(ctx, eventstore.All(), eventstore.ReadOptions{Backward: backward}) {
		if err != nil {
			if ctx.Err() == nil {
				u.refused("read", err)
			}
			return
		}
		if i := int(e.Position) - 1; i < len(u.known.Events) {
			if found++; e.ID != u.known.Events[i].ID {
				u.problem("read: another event at position %d", e.Position)
			}
		}
	}
	if found < len(u.known.Events) && ctx.Err() == nil {
		u.problem("read: %d events instead of %d, and no error", found, len(u.known.Events))
		return
	}
	u.right()
}

// follow follows the log.
func (u *user) follow(ctx context.Context) {
	for ctx.Err() == nil {
		next := eventstore.Position(1)
		for batch, err := range u.store.Follow(ctx, eventstore.All(), 0) {
			if err != nil {
				if ctx.Err() == nil {
					u.refused("follow", err)
				}
				break
			}
			for _, e := range batch.Events {
				if e.Position != next {
					u.problem("follow: position %d instead of %d", e.Position, next)
				}
				next++
			}
		}
	}
}

// appendUnderLoad appends an event. It may be acknowledged until the damage is done.
func (u *user) appendUnderLoad(ctx context.Context) {
	_, err := u.store.Append(ctx, another)
	if err != nil && ctx.Err() == nil && !sample.Typed(err) && (!u.damage.disk || !ofSystem(err)) && !errors.Is(err, context.Canceled) {
		u.problem("an append: an error that a caller cannot match: %v", err)
	}
}
