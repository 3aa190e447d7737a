package sample

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
)

// askConditions sends commits that must not be appended: each has a condition that an
// event of the log breaks, or repeats a commit of the log.
func (q *asker) askConditions() {
	q.guards()
	q.expectations()
	q.repeats()
	q.decisions()
}

// probe makes a commit that writes to a stream of its own.
func probe(guards []eventstore.Guard, expect ...eventstore.Expect) eventstore.Commit {
	return eventstore.Commit{
		Events: []eventstore.NewEvent{{ID: newID(7), Type: "probe", Data: []byte("{}")}},
		Guards: guards, Expect: expect,
	}
}

// guards sends commits with a guard that one event breaks: for each event a guard on its
// stream, or its type, and for each name a guard that only the last event breaks.
func (q *asker) guards() {
	for i := range q.sample.Events {
		e := &q.sample.Events[i]
		query := eventstore.Stream(e.Stream)
		if e.Stream == "" {
			query = eventstore.Match(eventstore.Item{Types: []string{e.Type}, Tags: e.Tags})
		}
		q.guard(query, e.Position-1)
	}
	n := q.sample.names()
	for _, category := range n.categories {
		q.lastGuard(eventstore.Category(category))
	}
	for _, name := range n.types {
		q.lastGuard(eventstore.Match(eventstore.Item{Types: []string{name}}))
	}
	for i, tag := range n.tags {
		item := eventstore.Item{Tags: []eventstore.Tag{tag}}
		q.lastGuard(eventstore.Match(item))
		q.lastGuard(eventstore.Match(item, eventstore.Item{Streams: []eventstore.StreamID{n.streams[i%len(n.streams)]}}))
	}
}

// lastGuard guards against the last event that matches.
func (q *asker) lastGuard(query eventstore.Query) {
	if last := q.sample.matches(query, eventstore.ReadOptions{Backward: true, Limit: 1}); len(last) > 0 {
		q.guard(query, last[0].Position-1)
	}
}

// guard sends a commit with a guard that holds, and one that does not.
func (q *asker) guard(query eventstore.Query, after eventstore.Position) {
	want := q.sample.matches(query, eventstore.ReadOptions{From: after + 1, Limit: 1})[0]
	c := probe([]eventstore.Guard{{Query: eventstore.Stream("cart-none"), After: 0}, {Query: query, After: after}})
	q.call(fmt.Sprintf("Append with guard %v, after %d", query, after), func(ctx context.Context) Answer {
		return q.conflict(ctx, c, fmt.Sprintf("a conflict of guard 1 at position %d", want.Position), func(e *eventstore.ConflictError) bool {
			return e.Guard != nil && e.GuardIndex == 1 && e.Position == want.Position && e.Type == want.Type
		})
	})
}

// conflict appends a commit that must have a conflict.
func (q *asker) conflict(ctx context.Context, c eventstore.Commit, want string, right func(*eventstore.ConflictError) bool) Answer {
	receipt, err := q.store.Append(ctx, c)
	var conflict *eventstore.ConflictError
	switch {
	case err == nil:
		return Answer{Verdict: Passed, Got: fmt.Sprintf("appended %+v", receipt), Want: want}
	case errors.As(err, &conflict) && right(conflict):
		return Answer{Verdict: Right}
	case errors.As(err, &conflict):
		return Answer{Verdict: Wrong, Got: err.Error(), Want: want, err: err}
	}
	return refused(err, want)
}

// expectations sends commits with an expectation that a stream does not meet.
func (q *asker) expectations() {
	for _, stream := range q.sample.names().streams {
		v := q.sample.Version(stream)
		for _, at := range []eventstore.Expectation{eventstore.NoStream, eventstore.At(v / 2), eventstore.At(v - min(v, 1)), eventstore.At(v + 1), eventstore.Exists} {
			if at.Holds(v) {
				continue
			}
			q.expectation(stream, at, v)
		}
	}
}

func (q *asker) expectation(stream eventstore.StreamID, at eventstore.Expectation, v eventstore.Version) {
	var first eventstore.Position
	if breaks := at.FirstConflict(v); breaks > 0 {
		first = q.sample.matches(eventstore.Stream(stream), eventstore.ReadOptions{FromVersion: breaks, Limit: 1})[0].Position
	}
	c := probe(nil, eventstore.Expect{Stream: stream, At: at})
	q.call(fmt.Sprintf("Append expecting stream %q at %v", stream, at), func(ctx context.Context) Answer {
		return q.conflict(ctx, c, fmt.Sprintf("a conflict: version %d, first at position %d", v, first), func(e *eventstore.ConflictError) bool {
			return e.Guard == nil && e.Stream == stream && e.Actual == v && e.Position == first
		})
	})
}

// repeats sends commits of the log again: by key with other content, and by the ids of
// their events.
func (q *asker) repeats() {
	for _, receipt := range q.sample.Commits {
		c := q.sample.commit(receipt)
		name := fmt.Sprintf("Append again positions %d to %d", receipt.First, receipt.Last)
		if c.Key != "" {
			c = probe(nil)
			c.Key = q.sample.KeyAt(receipt.First)
			name = fmt.Sprintf("Append with key %q", c.Key)
		}
		if c.Key == "" && len(c.Expect) == 0 {
			continue // nothing tells the store that it is a repeat
		}
		q.call(name, func(ctx context.Context) Answer {
			got, err := q.store.Append(ctx, c)
			switch want := fmt.Sprintf("%+v, repeated", receipt); {
			case err == nil && !got.Repeated:
				return Answer{Verdict: Passed, Got: fmt.Sprintf("appended %+v", got), Want: want}
			case errors.Is(err, eventstore.ErrConflict):
				return Answer{Verdict: Wrong, Got: err.Error(), Want: want, err: err}
			default:
				return equal(got, want, err, sameReceipt(got, receipt), false)
			}
		})
	}
}

// commit returns the commit of a receipt as it was sent.
func (s *Sample) commit(receipt eventstore.Receipt) eventstore.Commit {
	c := eventstore.Commit{Key: s.KeyAt(receipt.First)}
	seen := make(map[eventstore.StreamID]bool)
	for _, e := range s.Events[receipt.First-1 : receipt.Last] {
		c.Events = append(c.Events, eventstore.NewEvent{Stream: e.Stream, ID: e.ID, Type: e.Type, SchemaVersion: e.SchemaVersion,
			Codec: e.Codec, Data: e.Data, Metadata: e.Metadata, Tags: e.Tags, Time: e.Time})
		if e.Stream != "" && !seen[e.Stream] {
			seen[e.Stream] = true
			c.Expect = append(c.Expect, eventstore.Expect{Stream: e.Stream, At: eventstore.At(e.Version - 1)})
		}
	}
	return c
}

// decisions has accounts pay out more than they have.
func (q *asker) decisions() {
	p, err := newPayOut(q.store)
	if err != nil {
		panic(err) // it depends on nothing that can be damaged
	}
	for _, account := range accounts {
		if q.sample.sum(account) != balance {
			continue // in an earlier state
		}
		for how, pay := range map[string]func(context.Context, string) error{"stream": p.byStream, "tag": p.byTag} {
			q.call(fmt.Sprintf("Execute a payout of account %q by its %s", account, how), func(ctx context.Context) Answer {
				switch err := pay(ctx, account); {
				case err == nil:
					return Answer{Verdict: Passed, Got: "paid out", Want: errTooLittle.Error()}
				case errors.Is(err, errTooLittle):
					return Answer{Verdict: Right}
				default:
					return refused(err, errTooLittle.Error())
				}
			})
		}
		q.call(fmt.Sprintf("Load account %q", account), func(ctx context.Context) Answer {
			sum, v, err := p.repository.Load(ctx, account)
			return equal(fmt.Sprint(sum, " at version ", v), "1 at version 4", err, sum == balance && v == 4, v < 4)
		})
	}
}

// sum returns the sum of an account.
func (s *Sample) sum(account string) (sum int) {
	for _, e := range s.matches(eventstore.Stream(eventstore.StreamID(accountCategory+"-"+account)), eventstore.ReadOptions{}) {
		var c changed
		if err := json.Unmarshal(e.Data, &c); err != nil {
			panic(err) // it was made here
		}
		sum += c.Amount
	}
	return sum
}

// the commit that must pass writes to this stream.
const lastStream eventstore.StreamID = "cart-0"

// append sends a commit whose conditions all hold. It returns the sample with it, if it
// was appended.
func (q *asker) append() (known *Sample, appended bool) {
	last := eventstore.Position(len(q.sample.Events))
	n := q.sample.names()
	c := eventstore.Commit{
		Key: "after the damage", Digest: []byte("its digest"),
		Events: []eventstore.NewEvent{{Stream: lastStream, ID: newID(1), Type: n.types[0], Codec: "json", Data: []byte("more"),
			Tags: []eventstore.Tag{n.tags[0]}}},
		Expect: []eventstore.Expect{{Stream: lastStream, At: eventstore.At(q.sample.Version(lastStream))}},
	}
	for _, stream := range n.streams {
		c.Guards = append(c.Guards, eventstore.Guard{Query: eventstore.Stream(stream), After: last})
		if at := slices.MaxFunc(append(q.sample.matches(eventstore.Stream(stream), eventstore.ReadOptions{}), &eventstore.Event{}), byPosition); at.Position > 0 {
			c.Guards = append(c.Guards, eventstore.Guard{Query: eventstore.Stream(stream), After: at.Position})
		}
	}
	var receipt eventstore.Receipt
	q.call("Append whose conditions hold", func(ctx context.Context) Answer {
		var err error
		want := eventstore.Receipt{First: last + 1, Last: last + 1, Digest: c.Digest, Heads: []eventstore.StreamHead{{Stream: lastStream, Version: q.sample.Version(lastStream) + 1}}}
		if receipt, err = q.store.Append(ctx, c); errors.Is(err, eventstore.ErrConflict) {
			return Answer{Verdict: Clash, Got: err.Error(), Want: "appended", err: err}
		}
		want.Recorded = receipt.Recorded
		appended = err == nil
		return equal(receipt, want, err, sameReceipt(receipt, want), false)
	})
	if !appended {
		return q.sample, false
	}
	return q.sample.with(c, receipt), true
}

func byPosition(a, b *eventstore.Event) int { return int(a.Position) - int(b.Position) }
