package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/yore-es/yore/eventstore"
)

// everything is options without bounds.
var everything eventstore.ReadOptions

// event returns a new event with the fields that most rules need.
func event(stream eventstore.StreamID, eventType string, tags ...eventstore.Tag) eventstore.NewEvent {
	return eventstore.NewEvent{Stream: stream, Type: eventType, Tags: tags}
}

// withIDs returns the events with ids, so that they can be sent again.
func withIDs(events ...eventstore.NewEvent) []eventstore.NewEvent {
	for i := range events {
		events[i].ID = uuid.New()
	}
	return events
}

// unconditional returns a commit of the events without a condition.
func unconditional(events ...eventstore.NewEvent) eventstore.Commit {
	c := eventstore.Commit{Events: events}
	seen := make(map[eventstore.StreamID]bool)
	for _, e := range events {
		if e.Stream != "" && !seen[e.Stream] {
			seen[e.Stream] = true
			c.Expect = append(c.Expect, eventstore.Expect{Stream: e.Stream, At: eventstore.Any})
		}
	}
	return c
}

// expecting returns a commit of the events, all of one stream, under one
// expectation.
func expecting(at eventstore.Expectation, events ...eventstore.NewEvent) eventstore.Commit {
	return eventstore.Commit{
		Events: events,
		Expect: []eventstore.Expect{{Stream: events[0].Stream, At: at}},
	}
}

// guarded returns a commit of one event in no stream under guards.
func guarded(guards ...eventstore.Guard) eventstore.Commit {
	return eventstore.Commit{Events: []eventstore.NewEvent{event("", "guarded")}, Guards: guards}
}

func byTag(tags ...eventstore.Tag) eventstore.Query {
	return eventstore.Match(eventstore.Item{Tags: tags})
}

func byType(types ...string) eventstore.Query {
	return eventstore.Match(eventstore.Item{Types: types})
}

// try appends. It may be called by any goroutine.
func (h *harness) try(c eventstore.Commit) (eventstore.Receipt, error) {
	h.step("Append of %d events", len(c.Events))
	return h.store.Append(h.ctx, c)
}

// append appends a commit that must succeed and must be new.
func (h *harness) append(c eventstore.Commit) eventstore.Receipt {
	h.Helper()
	receipt, err := h.try(c)
	if err != nil {
		h.Fatalf("Append: expected success, found error: %v", err)
	}
	if receipt.Repeated {
		h.Fatalf("Append of a new commit: expected Repeated false, found %+v", receipt)
	}
	return receipt
}

// write appends events under no condition, in one commit.
func (h *harness) write(events ...eventstore.NewEvent) eventstore.Receipt {
	h.Helper()
	return h.append(unconditional(events...))
}

// seed appends events under no condition and returns them as read from the log.
func (h *harness) seed(events ...eventstore.NewEvent) []eventstore.Event {
	h.Helper()
	receipt := h.write(events...)
	stored := h.read(eventstore.All(), eventstore.ReadOptions{From: receipt.First, To: receipt.Last})
	if len(stored) != len(events) {
		h.Fatalf("Append of %d events: read back %d from position %d to %d",
			len(events), len(stored), receipt.First, receipt.Last)
	}
	return stored
}

// bulk appends n events under no condition, in as few commits as the limits allow.
func (h *harness) bulk(n int, make func(i int) eventstore.NewEvent) {
	h.Helper()
	limits := h.store.Info().Limits
	var events []eventstore.NewEvent
	size := 0
	for i := range n {
		e := make(i)
		if len(events) == limits.EventsPerCommit || size+len(e.Data) > limits.CommitBytes {
			h.write(events...)
			events, size = nil, 0
		}
		events = append(events, e)
		size += len(e.Data)
	}
	h.write(events...)
}

// fails appends a commit. It must fail with an error that matches want and leave the
// log as it is.
func (h *harness) fails(c eventstore.Commit, want error) {
	h.Helper()
	_ = h.failure(c, want)
}

// failure is fails and returns the error.
func (h *harness) failure(c eventstore.Commit, want error) error {
	h.Helper()
	before := h.head()
	receipt, err := h.try(c)
	h.matches("Append", err, want)
	h.equal("receipt of a failed Append", eventstore.Receipt{}, receipt)
	h.equal("head after a failed Append", before, h.head())
	if after := h.read(eventstore.All(), eventstore.ReadOptions{From: before + 1}); len(after) > 0 {
		h.Fatalf("a failed Append left %d events, the first is %s", len(after), describe(after[0]))
	}
	return err
}

// conflicts appends a commit that must conflict.
func (h *harness) conflicts(c eventstore.Commit) eventstore.ConflictError {
	h.Helper()
	err := h.failure(c, eventstore.ErrConflict)
	var conflict *eventstore.ConflictError
	if !errors.As(err, &conflict) {
		h.Fatalf("conflict: expected a *ConflictError, found %T: %v", err, err)
	}
	return *conflict
}

// repeats appends a commit that the log already has. first is its receipt.
func (h *harness) repeats(c eventstore.Commit, first eventstore.Receipt) {
	h.Helper()
	before := h.head()
	receipt, err := h.try(c)
	if err != nil {
		h.Fatalf("sending the commit again: expected its first receipt, found error: %v", err)
	}
	first.Repeated = true
	h.sameReceipt("sending the commit again", first, receipt)
	h.equal("head after a repeat", before, h.head())
}

func (h *harness) head() eventstore.Position {
	h.Helper()
	h.step("Head")
	head, err := h.store.Head(h.ctx)
	if err != nil {
		h.Fatalf("Head: expected no error, found %v", err)
	}
	return head
}

// read reads. It must succeed.
func (h *harness) read(q eventstore.Query, opts eventstore.ReadOptions) []eventstore.Event {
	h.Helper()
	events, err := h.tryRead(h.ctx, q, opts)
	if err != nil {
		h.Fatalf("Read of %v with %+v: expected no error, found %v", q, opts, err)
	}
	return events
}

// all reads the whole log.
func (h *harness) all() []eventstore.Event {
	h.Helper()
	return h.read(eventstore.All(), everything)
}

// tryRead reads until the end. It may be called by any goroutine.
func (h *harness) tryRead(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) ([]eventstore.Event, error) {
	h.step("Read of %v with %+v", q, opts)
	return h.collect(h.store.Read(ctx, q, opts))
}

// collect ranges over a Read and checks the form of the sequence: an error is the
// last element and comes with the zero Event.
func (h *harness) collect(seq iter.Seq2[eventstore.Event, error]) ([]eventstore.Event, error) {
	var events []eventstore.Event
	var end error
	for e, err := range seq {
		if len(events)%64 == 0 {
			h.step("Read, after %d events", len(events))
		}
		switch {
		case end != nil:
			return events, fmt.Errorf("an element came after the error (%s)", end.Error())
		case err != nil && !reflect.DeepEqual(e, eventstore.Event{}):
			return events, fmt.Errorf("an error came with an event: %s (%s)", describe(e), err.Error())
		case err != nil:
			end = err
		default:
			events = append(events, e)
		}
	}
	return events, end
}

// lookup looks up a key. It must succeed.
func (h *harness) lookup(key string) (eventstore.Receipt, bool) {
	h.Helper()
	h.step("Lookup of %q", key)
	receipt, found, err := h.store.Lookup(h.ctx, key)
	if err != nil {
		h.Fatalf("Lookup of %q: expected no error, found %v", key, err)
	}
	return receipt, found
}

// parallel runs work n times concurrently and waits. An error fails the rule.
func (h *harness) parallel(n int, work func(i int) error) {
	h.Helper()
	start := make(chan struct{})
	errs := make(chan error, n)
	for i := range n {
		go func() {
			<-start
			errs <- work(i)
		}()
	}
	close(start)
	var first error
	for range n {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
		h.step("waiting for concurrent callers")
	}
	if first != nil {
		h.Fatalf("one of %d concurrent callers: %v", n, first)
	}
}

// race appends the commits concurrently and returns how many succeeded. The others
// must conflict.
func (h *harness) race(commits ...eventstore.Commit) int {
	h.Helper()
	var won atomic.Int64
	h.parallel(len(commits), func(i int) error {
		_, err := h.try(commits[i])
		switch {
		case err == nil:
			won.Add(1)
			return nil
		case errors.Is(err, eventstore.ErrConflict):
			return nil
		default:
			return fmt.Errorf("expected success or a conflict, found: %w", err)
		}
	})
	return int(won.Load())
}
