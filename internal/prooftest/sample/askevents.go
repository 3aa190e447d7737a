package sample

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/yore-es/yore/eventstore"
)

// askEvents makes all calls that read events.
func (q *asker) askEvents() {
	q.description()
	q.reads()
	q.follows()
	q.versions()
	q.keys()
}

func (q *asker) description() {
	want := q.sample.Info
	q.call("Info", func(context.Context) Answer {
		info := q.store.Info()
		info.Warnings = nil
		return equal(info, want, nil, info.StoreID == want.StoreID && info.Epoch == want.Epoch &&
			info.Gapless == want.Gapless && info.Durable == want.Durable && info.Limits == want.Limits, false)
	})
	last := eventstore.Position(len(q.sample.Events))
	q.call("Head", func(ctx context.Context) Answer {
		head, err := q.store.Head(ctx)
		return equal(head, last, err, head == last, head < last)
	})
}

func (q *asker) reads() {
	last := eventstore.Position(len(q.sample.Events))
	all := []eventstore.ReadOptions{
		{}, {Backward: true}, {From: last / 3, To: last / 2}, {From: last - min(last, 5), Backward: true}, {Limit: 1}, {Limit: 3, Backward: true},
	}
	for i := range min(last, 4) {
		all = append(all, eventstore.ReadOptions{AsOf: q.sample.Events[i*last/4].Recorded})
	}
	for _, opts := range all {
		q.read(eventstore.All(), opts)
	}
	n := q.sample.names()
	for i, stream := range n.streams {
		query := eventstore.Stream(stream)
		q.read(query, eventstore.ReadOptions{Backward: i%2 == 1})
		q.read(query, eventstore.ReadOptions{FromVersion: 2, ToVersion: 4, Backward: i%2 == 0})
		q.read(query, eventstore.ReadOptions{From: last / 4, Limit: 2})
	}
	for i, category := range n.categories {
		q.read(eventstore.Category(category), eventstore.ReadOptions{Backward: i%2 == 1})
	}
	for i, name := range n.types {
		q.read(eventstore.Match(eventstore.Item{Types: []string{name}}), eventstore.ReadOptions{Backward: i%2 == 0})
	}
	for i, tag := range n.tags {
		item := eventstore.Item{Tags: []eventstore.Tag{tag}}
		q.read(eventstore.Match(item), eventstore.ReadOptions{Backward: i%2 == 0})
		item.Tags = append(item.Tags, n.tags[(i+1)%len(n.tags)])
		item.Types = some(n.types, 3)
		q.read(eventstore.Match(item, eventstore.Item{Streams: some(n.streams, 2)}), eventstore.ReadOptions{})
	}
}

// some returns the first elements, at most most.
func some[E any](all []E, most int) []E { return all[:min(most, len(all))] }

func (q *asker) read(query eventstore.Query, opts eventstore.ReadOptions) {
	want := q.sample.matches(query, opts)
	q.call(fmt.Sprintf("Read %v, %s", query, optionsText(opts)), func(ctx context.Context) Answer {
		return q.compare(want, q.store.Read(ctx, query, opts))
	})
}

func optionsText(o eventstore.ReadOptions) string {
	text := ""
	for _, bound := range []struct {
		name  string
		value int
	}{{"from", int(o.From)}, {"to", int(o.To)}, {"from version", int(o.FromVersion)}, {"to version", int(o.ToVersion)}, {"limit", o.Limit}} {
		if bound.value > 0 {
			text += fmt.Sprintf("%s %d, ", bound.name, bound.value)
		}
	}
	if !o.AsOf.IsZero() {
		text += fmt.Sprintf("as of %v, ", o.AsOf)
	}
	if o.Backward {
		return text + "backward"
	}
	return text + "forward"
}

// compare compares the events of an answer with the right ones.
func (q *asker) compare(want []*eventstore.Event, got iter.Seq2[eventstore.Event, error]) Answer {
	all, n := want, 0
	for e, err := range got {
		if err != nil {
			return refused(err, fmt.Sprintf("%d events", len(all)))
		}
		i := slices.IndexFunc(want, func(w *eventstore.Event) bool { return w.Position == e.Position })
		switch {
		case i == 0 && same(&e, want[0]):
		case len(want) > 0 && q.sample.has(&e):
			return Answer{Verdict: Short, Got: fmt.Sprintf("no event at position %d before position %d", want[0].Position, e.Position),
				Want: fmt.Sprintf("%d events", len(all))}
		default:
			return Answer{Verdict: Wrong, Got: eventText(&e), Want: wanted(all, e.Position)}
		}
		want, n = want[1:], n+1
	}
	if len(want) > 0 {
		return Answer{Verdict: Short, Got: fmt.Sprintf("%d events and nil", n),
			Want: fmt.Sprintf("%d events, the next at position %d", len(all), want[0].Position)}
	}
	return Answer{Verdict: Right}
}

func wanted(all []*eventstore.Event, p eventstore.Position) string {
	for _, e := range all {
		if e.Position == p {
			return eventText(e)
		}
	}
	return fmt.Sprintf("no event at position %d", p)
}

func eventText(e *eventstore.Event) string {
	return fmt.Sprintf("position %d, stream %q at version %d, type %q, tags %q, id %v, recorded %v, time %v, metadata %q, data %.100q",
		e.Position, e.Stream, e.Version, e.Type, e.Tags, e.ID, e.Recorded, e.Time, e.Metadata, e.Data)
}

// has reports whether the log has this event.
func (s *Sample) has(e *eventstore.Event) bool {
	return 0 < e.Position && int(e.Position) <= len(s.Events) && same(e, &s.Events[e.Position-1])
}

func same(a, b *eventstore.Event) bool {
	return a.Position == b.Position && a.Stream == b.Stream && a.Version == b.Version && a.ID == b.ID && a.Type == b.Type &&
		a.SchemaVersion == b.SchemaVersion && a.Codec == b.Codec && bytes.Equal(a.Data, b.Data) &&
		maps.Equal(a.Metadata, b.Metadata) && slices.Equal(a.Tags, b.Tags) &&
		a.Recorded.Equal(b.Recorded) && a.Time.Equal(b.Time)
}

func (q *asker) follows() {
	n := q.sample.names()
	q.follow(eventstore.All(), 0)
	q.follow(eventstore.All(), eventstore.Position(len(q.sample.Events)/2))
	q.follow(eventstore.All(), eventstore.Position(len(q.sample.Events)))
	for _, stream := range some(n.streams, 3) {
		q.follow(eventstore.Stream(stream), 0)
	}
	q.follow(eventstore.Match(eventstore.Item{Tags: n.tags[:1]}, eventstore.Item{Types: n.types[:1]}), 0)
}

// follow follows up to the head.
func (q *asker) follow(query eventstore.Query, after eventstore.Position) {
	want := q.sample.matches(query, eventstore.ReadOptions{From: after + 1})
	q.call(fmt.Sprintf("Follow %v, after %d", query, after), func(ctx context.Context) Answer {
		return q.compare(want, untilLive(q.store.Follow(ctx, query, after)))
	})
}

func untilLive(batches iter.Seq2[eventstore.Batch, error]) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		for batch, err := range batches {
			if err != nil {
				yield(eventstore.Event{}, err)
				return
			}
			for _, e := range batch.Events {
				if !yield(e, nil) {
					return
				}
			}
			if batch.Live {
				return
			}
		}
	}
}

func (q *asker) versions() {
	for _, stream := range q.sample.names().streams {
		want := q.sample.Version(stream)
		q.call(fmt.Sprintf("VersionOf %q", stream), func(ctx context.Context) Answer {
			v, err := eventstore.VersionOf(ctx, q.store, stream)
			return equal(v, want, err, v == want, v < want)
		})
	}
}

func (q *asker) keys() {
	for _, key := range append(slices.Sorted(maps.Keys(q.sample.Keys)), "command-none") {
		want, exists := q.sample.Keys[key]
		q.call(fmt.Sprintf("Lookup %q", key), func(ctx context.Context) Answer {
			got, found, err := q.store.Lookup(ctx, key)
			return equal(fmt.Sprint(got, found), fmt.Sprint(want, exists), err, found == exists && sameReceipt(got, want), !found)
		})
	}
}

func sameReceipt(a, b eventstore.Receipt) bool {
	return a.First == b.First && a.Last == b.Last && a.Recorded.Equal(b.Recorded) && slices.Equal(a.Heads, b.Heads) &&
		bytes.Equal(a.Digest, b.Digest)
}
