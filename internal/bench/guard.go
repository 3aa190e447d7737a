package main

import (
	"context"
	"errors"
	"os"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// guarded returns the row of 256 writers whose appends are guarded after the head
// that they have read, or after a position a number of events before it.
func guarded(back eventstore.Position) func(*bench) (sample, error) {
	return func(b *bench) (s sample, err error) {
		path, err := b.copyOfLog()
		if err != nil {
			return sample{}, err
		}
		name := "guard/tags"
		if back > 0 {
			name = "guard/tags-100k"
		}
		b.smaller(name, "in a log of %d events", b.scale.logEvents)
		err = withStore(path, func(store *boltstore.Store) error {
			const writers = 256
			free, bound := b.newCrew(store, "free", writers, 1), make(crew, writers)
			for i := range bound {
				bound[i] = newGuardedWriter(b.ctx, store, i, back)
			}
			s, err = b.beside(
				func() (float64, error) { return bound.during(b.scale.warm, b.scale.window) },
				func() (float64, error) { return free.during(b.scale.warm, b.scale.window) },
			)
			return err
		})
		return s, errors.Join(err, os.Remove(path))
	}
}

// newGuardedWriter returns a writer that reads the head, as a decider does, and
// appends if no relevant event has come after a position.
//
// Relevant are events of a type with two tags of the writer's own. After the head
// there are none, since only this writer appends them. For a guard that goes back
// there must be none either, and yet postings to search: so the two tags are
// neighbours among the loose tags. Each of them is on events of the log, and in turn
// on the events that this writer appends, but never both on one event.
func newGuardedWriter(ctx context.Context, store eventstore.Store, number int, back eventstore.Position) appender {
	w := newWriter(ctx, store, "bound", number, 1)
	tags, event := w.commit.Events[0].Tags, &w.commit.Events[0]
	own := tags
	if back > 0 {
		own = []eventstore.Tag{looseTag(2 * number), looseTag(2*number + 1)}
		event.Tags = []eventstore.Tag{own[0], tags[0]}
		event.Type = logType(number)
	}
	w.commit.Guards = []eventstore.Guard{{Query: eventstore.Match(eventstore.Item{Types: []string{event.Type}, Tags: own})}}
	turn := 0
	w.prepare = func(commit *eventstore.Commit) error {
		head, err := store.Head(ctx)
		if err != nil {
			return err
		}
		commit.Guards[0].After = head - min(head, back)
		if back > 0 {
			turn = 1 - turn
			commit.Events[0].Tags[0] = own[turn]
		}
		return nil
	}
	return w.append
}
