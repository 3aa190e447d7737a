package main

import (
	"slices"

	"github.com/yore-es/yore/eventstore/boltstore"
)

// appends returns the row of a number of concurrent writers that append a number of
// events at a time. Its baseline is the floor with as many values in a transaction
// as the writers can have in a group.
func appends(writers, events int) func(*bench) (sample, error) {
	return func(b *bench) (s sample, err error) {
		length := newWriter(b.ctx, nil, "append", 0, events).length()
		err = b.withNewStore(func(store *boltstore.Store) error {
			c := b.newCrew(store, "append", writers, events)
			return b.withFloor(writers*events, length, func(f *floor) error {
				s, err = b.beside(
					func() (float64, error) { return c.during(b.scale.warm, b.scale.window) },
					func() (float64, error) { return f.during(b.scale.window) },
				)
				return err
			})
		})
		return s, err
	}
}

// appendsVersusOneTx compares the engine with a transaction for each append.
func appendsVersusOneTx(b *bench) (s sample, err error) {
	const writers = 256
	length := newWriter(b.ctx, nil, "append", 0, 1).length()
	err = b.withNewStore(func(store *boltstore.Store) error {
		c := b.newCrew(store, "append", writers, 1)
		return b.withOneTx(length, func(o *oneTx) error {
			others := make(crew, writers)
			for i := range others {
				others[i] = o.writer()
			}
			s, err = b.beside(
				func() (float64, error) { return c.during(b.scale.warm, b.scale.window) },
				func() (float64, error) { return others.during(b.scale.warm, b.scale.window) },
			)
			return err
		})
	})
	return s, err
}

// appendStalls compares the slowest appends with the median, in a run that is long
// enough for the engine to flush its index several times.
func appendStalls(b *bench) (s sample, err error) {
	b.smaller("append/p99", "rounds of %d events, or %v", b.scale.stallEvents, b.scale.stallTime)
	err = b.withNewStore(func(store *boltstore.Store) error {
		c := b.newCrew(store, "append", 256, 1)
		s, err = b.rounds(b.scale.rounds, func() (sample, error) {
			timed, times := c.timed()
			if _, err := timed.until(b.scale.stallEvents, b.scale.stallTime); err != nil {
				return sample{}, err
			}
			all := slices.Concat(times...)
			return sample{milliseconds(percentile(all, 0.99)), milliseconds(percentile(all, 0.5))}, nil
		})
		return err
	})
	return s, err
}
