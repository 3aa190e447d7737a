package fairness

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// items is the number of different items in the log: the rows of a view.
const items = 20_000

// rowsEach is the number of rows that a rebuild commits at a time.
const rowsEach = 4000

// sold is the event of the log.
type sold struct {
	Item string `json:"item"`
	N    int    `json:"n"`
}

func registry() (*codec.Registry, error) {
	b := codec.NewBuilder()
	codec.Register[sold](b, "shop.sold", 1)
	return b.Build()
}

// fill appends events of items chosen at random.
func fill(ctx context.Context, s eventstore.Store, events int, rnd *rand.Rand) error {
	for range events / 1000 {
		c := eventstore.Commit{}
		for range 1000 {
			c.Events = append(c.Events, newEvent(rnd))
		}
		if _, err := s.Append(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func newEvent(rnd *rand.Rand) eventstore.NewEvent {
	return eventstore.NewEvent{
		Type: "shop.sold", SchemaVersion: 1, Codec: codec.JSON,
		Data: fmt.Appendf(nil, `{"item":"%06d","n":%d}`, rnd.IntN(items), 1+rnd.IntN(9)),
	}
}

// sales returns a projection that counts what was sold of each item.
func sales(i int) *projection.Projection {
	p := projection.New(fmt.Sprint("sales-", i), 1)
	table := projection.NewTable[string, int](p, "items")
	projection.On(p, func(tx projection.Tx, e fold.Event[sold]) error {
		row, _, err := table.In(tx).Get(e.Data.Item)
		if err != nil {
			return err
		}
		return table.In(tx).Put(e.Data.Item, row+e.Data.N)
	})
	return p
}

// beside is work beside an appender. It begins n parts of it, which run until ctx ends, and
// calls run for each.
type beside func(ctx context.Context, s *boltstore.Store, n int, run func(func() error)) error

// rebuilds writes n views, as rebuilds do: each commits many rows at random keys, again and
// again. It does not read the log and run handlers for that, since a busy processor would
// tell nothing about the store.
func rebuilds(ctx context.Context, s *boltstore.Store, n int, run func(func() error)) error {
	for i := range n {
		view := eventstore.ViewID(fmt.Sprint("rebuilt-", i))
		rnd := rand.New(rand.NewPCG(uint64(i), 0))
		run(func() error {
			c := eventstore.RowCommit{View: view, Rows: make([]eventstore.Row, rowsEach)}
			for round := byte(0); ; round++ {
				c.Expected, c.Checkpoint = c.Checkpoint, eventstore.Checkpoint{Position: 1, Data: []byte{round}}
				for j := range c.Rows {
					key := fmt.Appendf(nil, "%06d", rnd.IntN(items))
					c.Rows[j] = eventstore.Row{RowKey: eventstore.RowKey{Table: "items", Key: key}, Value: key}
				}
				if err := s.CommitRows(ctx, c); err != nil {
					return err
				}
			}
		})
	}
	return nil
}

// followers follows the log n times.
func followers(ctx context.Context, s *boltstore.Store, n int, run func(func() error)) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	for range n {
		run(func() error {
			for _, err := range s.Follow(ctx, eventstore.All(), head) {
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return nil
}

// views attaches n projections.
func views(ctx context.Context, s *boltstore.Store, n int, _ func(func() error)) error {
	events, err := registry()
	if err != nil {
		return err
	}
	host, err := projection.NewHost(s, events, nil)
	if err != nil {
		return err
	}
	for i := range n {
		p := sales(i)
		p.Timeout = time.Minute
		if err := host.Attach(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// latency is the time of an append beside some work.
type latency struct{ p50, p99 time.Duration }

// measure appends events one by one for a while beside n parts of some work.
func measure(ctx context.Context, path string, log int, work beside, n int, while time.Duration, rnd *rand.Rand) (l latency, err error) {
	s, err := boltstore.Open(path, nil)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := fill(ctx, s, log, rnd); err != nil {
		return l, err
	}
	working, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	run := func(part func() error) {
		parts.Go(func() {
			if err := part(); working.Err() == nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
			}
		})
	}
	err = work(working, s, n, run)
	if err == nil {
		err = errors.Join(idle(ctx, while/4), appendFor(ctx, s, while, rnd, &l))
	}
	stop()
	parts.Wait()
	return l, errors.Join(append(failed, err)...)
}

// appendFor appends events one by one, at least a few.
func appendFor(ctx context.Context, s eventstore.Store, while time.Duration, rnd *rand.Rand, l *latency) error {
	var took []time.Duration
	for end := time.Now().Add(while); len(took) < 5 || time.Now().Before(end); {
		begin := time.Now()
		if _, err := s.Append(ctx, eventstore.Commit{Events: []eventstore.NewEvent{newEvent(rnd)}}); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	*l = latency{took[len(took)/2], took[len(took)*99/100]}
	return nil
}

func idle(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
