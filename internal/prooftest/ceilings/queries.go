package ceilings

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// queries are queries, guards and expectations with many names.
func queries() []attempt {
	limits := eventstore.StandardLimits()
	return []attempt{
		{name: "queries: a million streams in each of 1,024 guards", ceiling: 200, deadline: 10 * time.Second, do: withLog(func(ctx context.Context, s *boltstore.Store) error {
			query := eventstore.Match(eventstore.Item{Streams: named(1_000_000)})
			guards := make([]eventstore.Guard, limits.GuardsPerCommit)
			for i := range guards {
				guards[i].Query = query
			}
			return errors.Join(tooLarge(tryAppend(ctx, s, guards...)), tooLarge(tryRead(ctx, s, query)), tooLarge(tryAttach(ctx, s, query)))
		})},
		{name: "queries: as many names as one may have", ceiling: 100, deadline: 10 * time.Second, do: withLog(func(ctx context.Context, s *boltstore.Store) error {
			return tryRead(ctx, s, largest(limits))
		})},
		{name: "queries: as many names as the guards of a commit may have", ceiling: 100, deadline: 10 * time.Second, do: withLog(func(ctx context.Context, s *boltstore.Store) error {
			var guards []eventstore.Guard
			for range limits.NamesPerCommit / limits.NamesPerQuery {
				guards = append(guards, eventstore.Guard{Query: largest(limits)})
			}
			if err := tryAppend(ctx, s, guards...); err != nil {
				return err
			}
			return tooLarge(tryAppend(ctx, s, append(guards, guards[0])...))
		})},
		{name: "queries: a million expectations", ceiling: 250, deadline: 10 * time.Second, do: withLog(func(ctx context.Context, s *boltstore.Store) error {
			c := eventstore.Commit{Events: []eventstore.NewEvent{{Type: "t"}}}
			for _, stream := range named(1_000_000) {
				c.Expect = append(c.Expect, eventstore.Expect{Stream: stream, At: eventstore.NoStream})
			}
			_, err := s.Append(ctx, c)
			return tooLarge(err)
		})},
		{name: "queries: a commit whose events share 128 long tags", ceiling: 100, deadline: 10 * time.Second, do: withLog(func(ctx context.Context, s *boltstore.Store) error {
			var tags []eventstore.Tag
			for i := range limits.TagsPerEvent {
				tags = append(tags, eventstore.Tag(fmt.Sprintf("%0*d", limits.NameBytes, i)))
			}
			var c eventstore.Commit
			for range limits.EventsPerCommit {
				c.Events = append(c.Events, eventstore.NewEvent{Type: "t", Tags: tags})
			}
			_, err := s.Append(ctx, c)
			return tooLarge(err)
		})},
	}
}

// named returns n names of streams.
func named(n int) []eventstore.StreamID {
	streams := make([]eventstore.StreamID, n)
	for i := range streams {
		streams[i] = eventstore.StreamID(fmt.Sprint("stream-", i))
	}
	return streams
}

// largest returns a query with as many names as the limits allow.
func largest(limits eventstore.Limits) eventstore.Query {
	var items []eventstore.Item
	for streams := named(limits.NamesPerQuery); len(streams) > 0; streams = streams[limits.NamesPerItem:] {
		items = append(items, eventstore.Item{Streams: streams[:limits.NamesPerItem]})
	}
	return eventstore.Match(items...)
}

// withLog opens a log of 20,000 events in 1,000 other streams.
func withLog(do func(context.Context, *boltstore.Store) error) func(context.Context, *place) error {
	return func(ctx context.Context, p *place) (err error) {
		s, err := boltstore.Open(p.log(), nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		for range 20 {
			var c eventstore.Commit
			for i := range 1_000 {
				stream := eventstore.StreamID(fmt.Sprint("other-", i))
				c.Events = append(c.Events, eventstore.NewEvent{Stream: stream, Type: "t"})
				c.Expect = append(c.Expect, eventstore.Expect{Stream: stream, At: eventstore.Any})
			}
			if _, err := s.Append(ctx, c); err != nil {
				return err
			}
		}
		return do(ctx, s)
	}
}

// tooLarge returns an error unless err is ErrTooLarge.
func tooLarge(err error) error {
	switch {
	case err == nil:
		return errors.New("expected ErrTooLarge, found none")
	case !errors.Is(err, eventstore.ErrTooLarge):
		return fmt.Errorf("expected ErrTooLarge, found %w", err)
	}
	return nil
}

func tryAppend(ctx context.Context, s *boltstore.Store, guards ...eventstore.Guard) error {
	_, err := s.Append(ctx, eventstore.Commit{Events: []eventstore.NewEvent{{Type: "t"}}, Guards: guards})
	return err
}

func tryRead(ctx context.Context, s *boltstore.Store, q eventstore.Query) error {
	for _, err := range s.Read(ctx, q, eventstore.ReadOptions{}) {
		return err
	}
	return nil
}

func tryAttach(ctx context.Context, s *boltstore.Store, q eventstore.Query) error {
	return s.Attach(ctx, eventstore.InlineView{View: "v", Query: q, Apply: func(context.Context, eventstore.RowTx, []eventstore.Event) error { return nil }})
}
