package projection

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/yore-es/yore/eventstore"
)

// Decoding an event is half of the work of applying it. So a goroutine of its own reads
// the log and decodes the events, some batches ahead of the writers. A writer that
// reaches an event which is not decoded yet decodes it itself, or waits until the
// goroutine has decoded that event, and never for more than that.

// batch is a batch of the log with the events in it that each writer takes.
type batch struct {
	eventstore.Batch
	inputs map[*writer][]input
}

// input is an event for a writer. It is decoded once, by the first goroutine that asks.
type input struct {
	definition *definition
	event      *eventstore.Event
	shared     bool // other writers take the event too, or this one takes it again
	once       sync.Once
	decoded    decoded
}

// decoded has the values that an event is decoded to.
type decoded struct {
	values []any
	err    error
}

func (in *input) decode() decoded {
	in.once.Do(func() {
		in.decoded.err = errExited // unless decode returns
		in.decoded = in.definition.decode(in.event)
	})
	return in.decoded
}

// errExited means that a handler or an upcaster has called runtime.Goexit, as t.FailNow
// does in a test.
var errExited = errors.New("runtime.Goexit was called, which ended a goroutine of the projection")

func (d *definition) decode(e *eventstore.Event) decoded {
	values, err := d.registry.DecodeAll(e.Type, e.SchemaVersion, e.Codec, e.Data)
	return decoded{values, err}
}

// ahead follows the log for the writers. It yields what Follow yields, with an error as
// the last element. Its goroutine has ended when the loop is left.
func ahead(
	ctx context.Context, store eventstore.Store, q eventstore.Query, after eventstore.Position, writers ...*writer,
) iter.Seq2[batch, error] {
	type result struct {
		batch batch
		err   error
	}
	return func(yield func(batch, error) bool) {
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
			for read, err := range store.Follow(ctx, q, after) {
				b := newBatch(read, applied)
				select {
				case results <- result{b, err}:
				case <-ctx.Done():
					return
				}
				b.decode(ctx)
			}
		})
		for r := range results {
			if !yield(r.batch, r.err) || r.err != nil {
				return
			}
		}
		yield(batch{}, cmp.Or(ctx.Err(), errExited))
	}
}

// newBatch returns the batch for writers that have applied the log up to these positions.
func newBatch(read eventstore.Batch, applied map[*writer]eventstore.Position) batch {
	b := batch{Batch: read, inputs: make(map[*writer][]input, len(applied))}
	for w, through := range applied {
		inputs := make([]input, 0, len(read.Events))
		for i := range read.Events {
			if e := &read.Events[i]; e.Position > through && w.names[e.Type] {
				inputs = append(inputs, input{definition: w.definition, event: e, shared: len(applied) > 1 || w.retries()})
			}
		}
		b.inputs[w] = inputs
	}
	return b
}

// decode decodes the events that no writer has reached yet.
func (b *batch) decode(ctx context.Context) {
	for _, inputs := range b.inputs {
		for i := range inputs {
			if ctx.Err() != nil {
				return
			}
			inputs[i].decode()
		}
	}
}
