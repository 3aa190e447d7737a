package boltstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/record"
)

// batchPositions bounds the positions that a batch covers.
const batchPositions = 4096

// Follow implements [eventstore.Store].
func (s *Store) Follow(ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	return func(yield func(eventstore.Batch, error) bool) {
		if err := s.follow(ctx, q, after, yield); err != nil {
			yield(eventstore.Batch{}, err)
		}
	}
}

// follow yields batches until the loop is left, or returns the error with which Follow ends.
func (s *Store) follow(ctx context.Context, q eventstore.Query, after eventstore.Position, yield func(eventstore.Batch, error) bool) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := eventstore.ValidateRead(q, eventstore.ReadOptions{}); err != nil {
		return err
	}
	if head := s.tail.last().through; after > head {
		return fmt.Errorf("%w: follow after position %d, beyond the head %d", eventstore.ErrInvalid, after, head)
	}
	b := batchBuilder{query: q}
	b.streams.begin(q, window{from: after + 1, to: after + 1})
	for through, live := after, false; ; {
		if live {
			if err := s.await(ctx, through); err != nil {
				return err
			}
		}
		batch, err := s.nextBatch(&b, through)
		if err != nil {
			return err
		}
		if err := s.usable(ctx); err != nil {
			return err
		}
		through, live = batch.Through, batch.Live
		if !yield(batch, nil) {
			return nil
		}
	}
}

// await returns when there are events after position p.
func (s *Store) await(ctx context.Context, p eventstore.Position) error {
	s.tail.waiting.Add(1)
	defer s.tail.waiting.Add(-1)
	for {
		last := s.tail.last()
		if last.through > p {
			return nil
		}
		select {
		case <-last.ready: // the next group may have no events
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closing:
			return eventstore.ErrClosed
		}
	}
}

// nextBatch returns the batch after position through, from memory if the tail reaches back
// that far, and otherwise from the file.
func (s *Store) nextBatch(b *batchBuilder, through eventstore.Position) (eventstore.Batch, error) {
	head := s.tail.last().through
	b.to, b.batch = min(head, through+batchPositions), eventstore.Batch{Through: through}
	var err error
	if groups, ok := s.tail.after(through, batchPositions); ok {
		err = b.fromTail(groups)
	} else {
		err = b.fromFile(s.reader)
	}
	damage := errors.As(err, new(*eventstore.CorruptError))
	if err != nil && (len(b.batch.Events) == 0 || !damage) {
		return eventstore.Batch{}, err // with events before the damage, the next batch meets it again
	}
	b.batch.Live = b.batch.Through == head
	return b.batch, nil
}

// batchBuilder fills a batch with the matching events up to position to.
type batchBuilder struct {
	query   eventstore.Query
	streams streamCheck // over all batches
	to      eventstore.Position
	batch   eventstore.Batch
}

func (b *batchBuilder) fromTail(groups []*group) error {
	bytes := 0
	for _, g := range groups {
		for i := int(b.batch.Through + 1 - g.first); i < len(g.entries); i++ {
			e := &g.entries[i]
			if b.batch.Through == b.to {
				return nil
			}
			if b.query.Matches(e.stream, e.kind, e.tags) {
				if bytes += e.size; len(b.batch.Events) > 0 && bytes > logfile.PageBytes {
					return nil
				}
				r, err := record.Decode(g.seed, g.position(i), e.record)
				if err != nil {
					return err
				}
				b.streams.took(&r.Event)
				b.batch.Events = append(b.batch.Events, r.Event)
			}
			b.batch.Through = g.position(i)
			if len(b.batch.Events) == logfile.PageEvents {
				return nil
			}
		}
	}
	return nil
}

func (b *batchBuilder) fromFile(r *reader) error {
	scan := r.scan(b.query, window{from: b.batch.Through + 1, to: b.to})
	scan.streams = b.streams
	scan.borrow()
	defer scan.giveBack()
	for !scan.done {
		err := scan.page(logfile.PageEvents)
		b.batch.Events = slices.Grow(b.batch.Events, len(scan.found))
		for i := range scan.found {
			b.batch.Events = append(b.batch.Events, scan.found[i].Event)
		}
		b.batch.Through = scan.from - 1
		if err == nil && scan.done {
			b.batch.Through = b.to
		}
		var corrupt *eventstore.CorruptError
		if errors.As(cmp.Or(err, scan.doubt), &corrupt) { // the scan may have passed a record that it could not read
			b.batch.Through = min(b.batch.Through, corrupt.Position-1)
		}
		if err != nil || len(b.batch.Events) > 0 {
			return err
		}
	}
	b.batch.Through = b.to
	return nil
}
