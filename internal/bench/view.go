package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

const viewKeys = 10_000

// touched is the event of the rows of views. It is stored in 256 bytes, as all
// events are, and has fields that the view does not read.
type touched struct {
	Key int `json:"key"`
}

func viewRegistry() (*codec.Registry, error) {
	events := codec.NewBuilder()
	codec.Register[touched](events, benchType, 1)
	return events.Build()
}

// newView returns a projection that counts the events of each key.
func newView(name string) *projection.Projection {
	p := projection.New(name, 1)
	table := projection.NewTable[int, int](p, "by-key")
	projection.On(p, func(tx projection.Tx, e fold.Event[touched]) error {
		return table.In(tx).Update(e.Data.Key, func(events int) int { return events + 1 })
	})
	return p
}

// newViewWriter returns a writer of events for the view. It changes the key in place.
func newViewWriter(ctx context.Context, store eventstore.Store, number, events int) *writer {
	const head, blank, tail = `{"key":`, "        ", `,"pad":"`
	w := newWriter(ctx, store, "view", number, events)
	for i := range w.commit.Events {
		data := append(make([]byte, 0, payloadBytes), head+blank+tail...)
		for len(data) < payloadBytes-2 {
			data = append(data, 'a'+byte(len(data)%26))
		}
		w.commit.Events[i].Data = append(data, `"}`...)
	}
	random := rand.New(rand.NewPCG(7, uint64(number)))
	w.prepare = func(commit *eventstore.Commit) error {
		for i := range commit.Events {
			place := commit.Events[i].Data[len(head) : len(head)+len(blank)]
			copy(place[copy(place, strconv.Itoa(random.IntN(viewKeys))):], blank)
		}
		return nil
	}
	return w
}

func (b *bench) newViewCrew(store eventstore.Store) crew {
	c := make(crew, 256)
	for i := range c {
		c[i] = newViewWriter(b.ctx, store, i, 1).append
	}
	return c
}

// viewInline compares a store with an attached view with a store without one.
func viewInline(b *bench) (s sample, err error) {
	registry, err := viewRegistry()
	if err != nil {
		return sample{}, err
	}
	err = b.withNewStore(func(plain *boltstore.Store) error {
		return b.withNewStore(func(viewed *boltstore.Store) error {
			views, err := projection.NewHost(viewed, registry, nil)
			if err != nil {
				return err
			}
			if err := views.Attach(b.ctx, newView("touched")); err != nil {
				return err
			}
			with, without := b.newViewCrew(viewed), b.newViewCrew(plain)
			s, err = b.beside(
				func() (float64, error) { return with.during(b.scale.warm, b.scale.window) },
				func() (float64, error) { return without.during(b.scale.warm, b.scale.window) },
			)
			return errors.Join(err, b.checkInline(viewed))
		})
	})
	return s, err
}

// checkInline returns an error if a view was detached, since the store was then
// measured without it.
func (b *bench) checkInline(store *boltstore.Store) error {
	checkpoints, err := store.Checkpoints(b.ctx)
	if err != nil {
		return err
	}
	for view, checkpoint := range checkpoints {
		if checkpoint.Fault != nil {
			return fmt.Errorf("view %q: %s", view, checkpoint.Fault.Reason)
		}
	}
	return nil
}

// viewAsync compares a projection that runs from the start of a log to its head with
// reading that log.
func viewAsync(b *bench) (s sample, err error) {
	b.smaller("view/async", "in a log of %d events", b.scale.viewEvents)
	registry, err := viewRegistry()
	if err != nil {
		return sample{}, err
	}
	err = b.withNewStore(func(store *boltstore.Store) error {
		views, err := projection.NewHost(store, registry, nil)
		if err != nil {
			return err
		}
		w := newViewWriter(b.ctx, store, 0, 1_000)
		for range b.scale.viewEvents / 1_000 {
			if _, err := w.append(); err != nil {
				return fmt.Errorf("append: %w", err)
			}
		}
		round := 0
		s, err = b.beside(
			func() (float64, error) {
				round++
				begin := time.Now()
				err := views.CatchUp(b.ctx, newView(fmt.Sprintf("touched-%d", round)))
				return float64(b.scale.viewEvents) / time.Since(begin).Seconds(), err
			},
			func() (float64, error) { return b.scanRate(store, b.scale.viewEvents) },
		)
		return err
	})
	return s, err
}
