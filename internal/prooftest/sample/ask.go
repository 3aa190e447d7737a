package sample

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/prooftest/fold"
)

// Verdict is the judgement of an answer.
type Verdict int

// The verdicts, from good to bad.
const (
	Right   Verdict = iota // complete and without an error
	Refused                // an error, and everything before it was right
	Missing                // no error, and something was left out
	Wrong                  // something that was never written, or at another place
)

// Answer is the store's answer to a question.
type Answer struct {
	Question string
	Verdict  Verdict
	Err      error  // for Refused
	Detail   string // for Missing and Wrong
}

// Ask asks the store all questions about the sample.
func (s *Sample) Ask(ctx context.Context, store eventstore.RowStore) []Answer {
	q := &questions{ctx: ctx, sample: s, store: store}
	q.description()
	q.reads()
	q.follow()
	q.keys()
	for i := range s.Views {
		q.view(&s.Views[i])
	}
	q.checkpoints()
	return q.answers
}

type questions struct {
	ctx     context.Context
	sample  *Sample
	store   eventstore.RowStore
	answers []Answer
}

func (q *questions) answer(question string, v Verdict, err error, detail string) {
	q.answers = append(q.answers, Answer{question, v, err, detail})
}

// equal judges the answer to a question that has one value.
func equal[T any](q *questions, question string, got, want T, err error, same bool) {
	switch {
	case err != nil:
		q.answer(question, Refused, err, "")
	case !same:
		q.answer(question, Wrong, nil, fmt.Sprintf("%v instead of %v", got, want))
	default:
		q.answer(question, Right, nil, "")
	}
}

func (q *questions) description() {
	info := q.store.Info()
	want := q.sample.Info
	equal(q, "info", info, want, nil, info.StoreID == want.StoreID && info.Epoch == want.Epoch &&
		info.Gapless == want.Gapless && info.Durable == want.Durable && info.Limits == want.Limits)
	head, err := q.store.Head(q.ctx)
	last := eventstore.Position(len(q.sample.Events))
	if err == nil && head < last {
		q.answer("head", Missing, nil, fmt.Sprintf("%d instead of %d", head, last))
		return
	}
	equal(q, "head", head, last, err, head == last)
}

func (q *questions) reads() {
	q.read("read all", eventstore.All(), eventstore.ReadOptions{})
	q.read("read all", eventstore.All(), eventstore.ReadOptions{Backward: true})
	q.read("read as of a time", eventstore.All(), eventstore.ReadOptions{AsOf: q.sample.Events[100].Recorded})
	streams, categories, types, tags := q.sample.names()
	for i, stream := range streams {
		q.read("read stream", eventstore.Stream(stream), eventstore.ReadOptions{Backward: i%2 == 1})
	}
	for _, category := range categories {
		q.read("read category", eventstore.Category(category), eventstore.ReadOptions{})
	}
	for i, name := range types {
		q.read("read type", eventstore.Match(eventstore.Item{Types: []string{name}}), eventstore.ReadOptions{Backward: i%2 == 0})
	}
	for i, tag := range tags {
		item := eventstore.Item{Tags: []eventstore.Tag{tag}}
		q.read("read tag", eventstore.Match(item), eventstore.ReadOptions{})
		item.Tags = append(item.Tags, tags[(i+1)%len(tags)])
		item.Types = types[:3]
		q.read("read tags", eventstore.Match(item), eventstore.ReadOptions{})
	}
}

// names returns all names by which events can be found, and one of each kind that no
// event has.
func (s *Sample) names() (streams []eventstore.StreamID, categories, types []string, tags []eventstore.Tag) {
	streamSet, categorySet := map[eventstore.StreamID]bool{"cart-none": true}, map[string]bool{"none": true}
	typeSet, tagSet := map[string]bool{"type-none": true}, map[eventstore.Tag]bool{"tag:none": true}
	for _, e := range s.Events {
		if e.Stream != "" {
			streamSet[e.Stream] = true
			categorySet[e.Stream.Category()] = true
		}
		typeSet[e.Type] = true
		for _, tag := range e.Tags {
			tagSet[tag] = true
		}
	}
	return slices.Sorted(maps.Keys(streamSet)), slices.Sorted(maps.Keys(categorySet)),
		slices.Sorted(maps.Keys(typeSet)), slices.Sorted(maps.Keys(tagSet))
}

// matches returns the events that a read of the query must return, in order.
func (s *Sample) matches(query eventstore.Query, opts eventstore.ReadOptions) (events []*eventstore.Event) {
	for i := range s.Events {
		e := &s.Events[i]
		if query.Matches(e.Stream, e.Type, e.Tags) && (opts.AsOf.IsZero() || !e.Recorded.After(opts.AsOf)) {
			events = append(events, e)
		}
	}
	if opts.Backward {
		slices.Reverse(events)
	}
	return events
}

func (q *questions) read(what string, query eventstore.Query, opts eventstore.ReadOptions) {
	question := fmt.Sprintf("%s: %v, backward %v", what, query, opts.Backward)
	q.compare(question, q.sample.matches(query, opts), q.store.Read(q.ctx, query, opts))
}

// compare compares the events of an answer with the right ones.
func (q *questions) compare(question string, want []*eventstore.Event, got iter.Seq2[eventstore.Event, error]) {
	missing := ""
	for e, err := range got {
		if err != nil {
			if missing == "" {
				q.answer(question, Refused, err, "")
			} else { // the reader read beyond the gap before the error came
				q.answer(question, Missing, err, missing)
			}
			return
		}
		i := slices.IndexFunc(want, func(w *eventstore.Event) bool { return w.Position == e.Position })
		if i < 0 || !same(&e, want[i]) {
			q.answer(question, Wrong, nil, fmt.Sprintf("event at position %d: %.200v", e.Position, e))
			return
		}
		if i > 0 && missing == "" {
			missing = fmt.Sprintf("the event at position %d", want[0].Position)
		}
		want = want[i+1:]
	}
	if len(want) > 0 && missing == "" {
		missing = fmt.Sprintf("the event at position %d", want[0].Position)
	}
	if missing != "" {
		q.answer(question, Missing, nil, missing)
		return
	}
	q.answer(question, Right, nil, "")
}

func same(a, b *eventstore.Event) bool {
	return a.Position == b.Position && a.Stream == b.Stream && a.Version == b.Version && a.ID == b.ID && a.Type == b.Type &&
		a.SchemaVersion == b.SchemaVersion && a.Codec == b.Codec && bytes.Equal(a.Data, b.Data) &&
		maps.Equal(a.Metadata, b.Metadata) && slices.Equal(a.Tags, b.Tags) &&
		a.Recorded.Equal(b.Recorded) && a.Time.Equal(b.Time)
}

// follow follows all events up to the head.
func (q *questions) follow() {
	ctx, cancel := context.WithTimeout(q.ctx, 5*time.Second)
	defer cancel()
	q.compare("follow all", q.sample.matches(eventstore.All(), eventstore.ReadOptions{}),
		func(yield func(eventstore.Event, error) bool) {
			for batch, err := range q.store.Follow(ctx, eventstore.All(), 0) {
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
		})
}

func (q *questions) keys() {
	for _, key := range slices.Sorted(maps.Keys(q.sample.Keys)) {
		want := q.sample.Keys[key]
		got, found, err := q.store.Lookup(q.ctx, key)
		if err == nil && !found {
			q.answer("look up "+key, Missing, nil, "the key")
			continue
		}
		equal(q, "look up "+key, got, want, err, got.First == want.First && got.Last == want.Last &&
			got.Recorded.Equal(want.Recorded) && slices.Equal(got.Heads, want.Heads))
	}
	_, found, err := q.store.Lookup(q.ctx, "command-none")
	equal(q, "look up a key that is not there", found, false, err, !found)
}

func (q *questions) view(v *View) {
	for i, table := range []string{fold.Events, fold.Streams, fold.Cells, "none"} {
		for _, backward := range []bool{false, true} {
			q.scan(v, eventstore.RowScan{Table: table, Backward: backward != (i == 1)})
		}
	}
	var keys []eventstore.RowKey
	for i := 0; i < len(v.Rows); i += 7 {
		keys = append(keys, v.Rows[i].RowKey)
	}
	set, err := q.store.GetRows(q.ctx, v.ID, keys...)
	q.rows(fmt.Sprintf("get rows of view %q", v.ID), v, everySeventh(v.Rows), present(set.Rows), set.Checkpoint, err)
}

func everySeventh(rows []eventstore.Row) (some []eventstore.Row) {
	for i := 0; i < len(rows); i += 7 {
		some = append(some, rows[i])
	}
	return some
}

func present(rows []eventstore.Row) []eventstore.Row {
	return slices.DeleteFunc(rows, func(r eventstore.Row) bool { return r.Value == nil })
}

func (q *questions) scan(v *View, scan eventstore.RowScan) {
	var want, got []eventstore.Row
	for _, row := range v.Rows {
		if row.Table == scan.Table {
			want = append(want, row)
		}
	}
	if scan.Backward {
		slices.Reverse(want)
	}
	question := fmt.Sprintf("scan view %q, table %q, backward %v", v.ID, scan.Table, scan.Backward)
	checkpoint := v.Checkpoint
	for page, err := range q.store.ScanRows(q.ctx, v.ID, scan) {
		if err != nil {
			q.rows(question, v, want, got, checkpoint, err)
			return
		}
		got, checkpoint = append(got, page.Rows...), page.Checkpoint
	}
	q.rows(question, v, want, got, checkpoint, nil)
}

// rows compares rows, and their checkpoint, with the right ones.
func (q *questions) rows(question string, v *View, want, got []eventstore.Row, at eventstore.Checkpoint, err error) {
	gap, next := false, 0
	for _, row := range got {
		i := slices.IndexFunc(want[next:], func(w eventstore.Row) bool { return w.Table == row.Table && bytes.Equal(w.Key, row.Key) })
		if i < 0 || !bytes.Equal(want[next+i].Value, row.Value) {
			q.answer(question, Wrong, nil, fmt.Sprintf("row %q with value %q", row.Key, row.Value))
			return
		}
		gap, next = gap || i > 0, next+i+1
	}
	switch {
	case err == nil && !at.Equal(v.Checkpoint) && !at.IsZero():
		q.answer(question, Wrong, nil, fmt.Sprintf("with checkpoint %v instead of %v", at, v.Checkpoint))
	case err != nil && !gap:
		q.answer(question, Refused, err, "")
	case gap || next < len(want) || at.IsZero():
		q.answer(question, Missing, err, "rows or checkpoint")
	default:
		q.answer(question, Right, nil, "")
	}
}

func (q *questions) checkpoints() {
	all, err := q.store.Checkpoints(q.ctx)
	if err != nil {
		q.answer("checkpoints", Refused, err, "")
		return
	}
	missing := false
	for _, v := range q.sample.Views {
		at, ok := all[v.ID]
		if missing = missing || !ok; ok && !at.Equal(v.Checkpoint) {
			q.answer("checkpoints", Wrong, nil, fmt.Sprintf("%v of view %q", at, v.ID))
			return
		}
		delete(all, v.ID)
	}
	switch {
	case len(all) > 0:
		q.answer("checkpoints", Wrong, nil, fmt.Sprintf("there are more: %v", all))
	case missing:
		q.answer("checkpoints", Missing, nil, "a view")
	default:
		q.answer("checkpoints", Right, nil, "")
	}
}
