package projection

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// To decode an event is half of the work of applying it. So the log is read, and its
// events are decoded, on a goroutine of its own, some batches ahead of the writers.
// A writer that comes to an event before it was decoded decodes it: a writer never
// waits for more than the event that is being decoded.

// portion is a batch of the log, and of each writer the events that it takes.
type portion struct {
	eventstore.Batch
	readings map[*writer][]reading
}

// reading is an event that may be decoded already.
type reading struct {
	definition *definition
	event      *eventstore.Event
	kept       bool // others take the event too, or the same one again
	once       sync.Once
	decoded    decoded
}

// decoded is what the upcasters make of an event.
type decoded struct {
	values []any
	err    error
}

func (r *reading) decode() decoded {
	r.once.Do(func() {
		r.decoded.err = errNotDecoded // unless it comes back
		r.decoded = r.definition.decode(r.event)
	})
	return r.decoded
}

var errNotDecoded = errors.New("the decoding of an event has ended its goroutine")

func (d *definition) decode(e *eventstore.Event) decoded {
	values, err := d.registry.DecodeAll(e.Type, e.SchemaVersion, e.Codec, e.Data)
	return decoded{values, err}
}

// ahead follows the log for the writers. It yields what Follow yields, with an
// error as the last element. When the loop is left its goroutine has ended.
func ahead(
	ctx context.Context, store eventstore.Store, q eventstore.Query, after eventstore.Position, writers ...*writer,
) iter.Seq2[portion, error] {
	type result struct {
		portion
		err error
	}
	return func(yield func(portion, error) bool) {
		applied := make(map[*writer]eventstore.Position, len(writers))
		for _, w := range writers {
			applied[w] = w.through
		}
		ctx, stop := context.WithCancel(ctx)
		results := make(chan result, 1)
		var reader sync.WaitGroup
		defer reader.Wait()
		defer stop()
		reader.Go(func() {
			defer close(results)
			for batch, err := range store.Follow(ctx, q, after) {
				p := newPortion(batch, applied)
				select {
				case results <- result{p, err}:
				case <-ctx.Done():
					return
				}
				p.decode(ctx)
			}
		})
		for r := range results {
			if !yield(r.portion, r.err) || r.err != nil {
				return
			}
		}
		yield(portion{}, cmp.Or(ctx.Err(), errNotDecoded))
	}
}

// newPortion returns the portion of writers that have applied the log up to their
// positions.
func newPortion(batch eventstore.Batch, applied map[*writer]eventstore.Position) portion {
	p := portion{Batch: batch, readings: make(map[*writer][]reading, len(applied))}
	for w, through := range applied {
		readings := make([]reading, 0, len(batch.Events))
		for i := range batch.Events {
			if e := &batch.Events[i]; e.Position > through && w.names[e.Type] {
				readings = append(readings, reading{definition: w.definition, event: e, kept: len(applied) > 1 || w.retries()})
			}
		}
		p.readings[w] = readings
	}
	return p
}

// decode decodes what no writer has come to yet.
func (p *portion) decode(ctx context.Context) {
	for _, readings := range p.readings {
		for i := range readings {
			if ctx.Err() != nil {
				return
			}
			readings[i].decode()
		}
	}
}
