package aggtest

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/internal/flat"
)

// Open opens a new, empty store that takes its time from the clock. The Log
// closes it; the function fails the test if it cannot be opened.
type Open func(tb testing.TB, clock func() time.Time) eventstore.Store

// EachStore runs the test as a subtest for each kind of store: "memstore", and
// those that are named here. Give the test's Log the store by [Log.On].
func EachStore(t *testing.T, others map[string]Open, test func(t *testing.T, open Open)) {
	t.Run("memstore", func(t *testing.T) { test(t, openMemstore) })
	for name, open := range others {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func openMemstore(_ testing.TB, clock func() time.Time) eventstore.Store {
	return memstore.New(&memstore.Options{Clock: clock})
}

// Log is the log that is given for decisions, with the time at which the next events
// happen. It never changes, so several cases can begin with the same Log.
type Log struct {
	t        testing.TB
	registry *codec.Registry
	open     Open
	now      time.Time
	given    []commit
	unread   map[reflect.Type]bool
}

// commit has the events appended at a time; each may be an [aggregate.InStream].
type commit struct {
	now    time.Time
	events []any
}

// NewLog returns a log without events, in memory, at the beginning of the year
// 2000 in UTC.
func NewLog(t testing.TB, registry *codec.Registry) *Log {
	t.Helper()
	if registry == nil {
		t.Fatalf("aggtest: the registry is nil")
	}
	return &Log{t: t, registry: registry, open: openMemstore, now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// On returns the log in another kind of store.
func (l *Log) On(open Open) *Log {
	next := *l
	next.open = open
	return &next
}

// At returns the log at a time: that of the events that are given and decided
// from now on. It is an error, which ends the test, to go back in time.
func (l *Log) At(now time.Time) *Log {
	l.t.Helper()
	if now.Before(l.now) && len(l.given) > 0 {
		l.t.Fatalf("aggtest: At(%v) is before %v, when the last events were given", now, l.now)
	}
	next := *l
	next.now = now
	return &next
}

// Later returns the log when this time has passed.
func (l *Log) Later(by time.Duration) *Log {
	l.t.Helper()
	return l.At(l.now.Add(by))
}

// Now returns the time that the log is at, for decisions that ask for it.
func (l *Log) Now() time.Time { return l.now }

// Given returns a log with these events after those that l has: in no stream, or
// in one by [aggregate.In]; a []any among them stands for the values in it. An event that the registry cannot encode ends the
// test; one that does not come back as it was fails it.
func (l *Log) Given(events ...any) *Log {
	l.t.Helper()
	events = flat.Values(events)
	roundTrip(l.t, l.registry, "given", plain(events))
	return l.with(events)
}

func (l *Log) with(events []any) *Log {
	next := *l
	if len(events) > 0 {
		next.given = append(slices.Clip(l.given), commit{l.now, slices.Clone(events)})
	}
	return &next
}

// Unread returns the log for decisions that none of their models need to find again: they
// decide events of the Go types of these values, which their models do not select. Of any
// other type, When reports such an event, because a decision that does not find what it has
// decided is made again in the same way: mostly its tags were forgotten.
func (l *Log) Unread(events ...any) *Log {
	next := *l
	next.unread = maps.Clone(l.unread)
	if next.unread == nil {
		next.unread = make(map[reflect.Type]bool)
	}
	for _, event := range plain(flat.Values(events)) {
		next.unread[reflect.TypeOf(event)] = true
	}
	return &next
}

// When has the decision made on the log. A decision, or a model of it, that
// cannot be ends the test. Asked twice, Decide must say the same. An event that none of the
// decision's models selects fails the test, unless it is [Log.Unread].
func (l *Log) When(decision aggregate.Decision) *Verdict {
	l.t.Helper()
	v := &Verdict{log: l, verdict: verdict{t: l.t, registry: l.registry, what: "when the decision is made"}}
	if decide := decision.Decide; decide != nil {
		decision.Decide = func() ([]any, error) {
			v.events, v.err = decide()
			v.events = flat.Values(v.events)
			again, err := decide()
			if difference := diffEvents(l.registry, v.events, flat.Values(again)); difference != "" || (v.err == nil) != (err == nil) {
				l.t.Errorf("Decide says something else when asked again (errors %v, %v):\n%s", v.err, err, difference)
			}
			return v.events, v.err
		}
	}
	l.run(func(decisions *aggregate.Decisions) {
		l.t.Helper()
		if _, err := decisions.Execute(l.t.Context(), decision); err != nil && v.err == nil {
			l.t.Fatalf("%v", err)
		}
		if v.err == nil {
			l.found(decisions, decision, v.events)
		}
	})
	if v.err != nil {
		v.events = nil
	}
	roundTrip(l.t, l.registry, "decided", plain(v.events))
	return v
}

// found reports decided events that none of the decision's models selects.
func (l *Log) found(decisions *aggregate.Decisions, decision aggregate.Decision, events []any) {
	l.t.Helper()
	guards, err := decisions.Load(l.t.Context(), decision.Models...)
	if err != nil {
		l.t.Fatalf("load the models with the decided events: %v", err)
	}
	for i, decided := range events {
		in, _ := decided.(aggregate.InStream)
		event := plain(events[i : i+1])[0]
		c, err := l.commit(events[i : i+1])
		if err != nil || l.unread[reflect.TypeOf(event)] {
			continue // an event that cannot be encoded is reported elsewhere
		}
		e := c.Events[0]
		if !slices.ContainsFunc(guards, func(g eventstore.Guard) bool { return g.Query.Matches(in.Stream, e.Type, e.Tags) }) {
			l.t.Errorf("decided event %d: no model of the decision selects the %T (type %q, tags %q): "+
				"asked again, the decision would not know of it. Tag it, or say Unread if that is meant", i, event, e.Type, e.Tags)
		}
	}
}

// CheckModel checks the state that a model has on the log.
func CheckModel[S any](l *Log, model aggregate.Model[S], want S) {
	l.t.Helper()
	var state S
	l.run(func(decisions *aggregate.Decisions) {
		if _, err := decisions.Load(l.t.Context(), model.Into(&state)); err != nil {
			l.t.Fatalf("%v", err)
		}
	})
	if want, got := dump(want), dump(state); !slices.Equal(want, got) {
		l.t.Errorf("state of the model:\n%s", diff(want, got))
	}
}

// run calls f for decisions over a store with the given events.
func (l *Log) run(f func(*aggregate.Decisions)) {
	l.t.Helper()
	var now time.Time
	store := l.open(l.t, func() time.Time { return now })
	defer func() {
		l.t.Helper()
		if err := store.Close(); err != nil {
			l.t.Errorf("close the store: %v", err)
		}
	}()
	decisions, err := aggregate.NewDecisions(store, l.registry, nil)
	if err != nil {
		l.t.Fatalf("%v", err)
	}
	for _, c := range l.given {
		now = c.now
		if err := l.append(store, c.events); err != nil {
			l.t.Fatalf("given events: %v", err)
		}
	}
	now = l.now
	f(decisions)
}

// append appends given events as one commit, without conditions.
func (l *Log) append(store eventstore.Store, events []any) error {
	c, err := l.commit(events)
	if err == nil {
		_, err = store.Append(context.WithoutCancel(l.t.Context()), c)
	}
	return err
}

// commit returns a commit of events, without conditions.
func (l *Log) commit(events []any) (c eventstore.Commit, err error) {
	written := make(map[eventstore.StreamID]bool)
	for _, event := range events {
		in, _ := event.(aggregate.InStream)
		if in.Stream != "" && !written[in.Stream] {
			written[in.Stream] = true
			c.Expect = append(c.Expect, eventstore.Expect{Stream: in.Stream, At: eventstore.Any})
		}
		encoded, err := l.registry.Encode(plain([]any{event})[0])
		if err != nil {
			return eventstore.Commit{}, err
		}
		var tags []eventstore.Tag
		for _, tag := range encoded.Tags {
			tags = append(tags, eventstore.Tag(tag))
		}
		c.Events = append(c.Events, eventstore.NewEvent{
			Stream: in.Stream, Type: encoded.Type, SchemaVersion: encoded.SchemaVersion,
			Codec: encoded.Codec, Data: encoded.Data, Tags: tags,
		})
	}
	return c, nil
}

// plain returns the events without their streams.
func plain(events []any) []any {
	list := slices.Clone(events)
	for i, event := range list {
		if in, ok := event.(aggregate.InStream); ok {
			list[i] = in.Event
		}
	}
	return list
}

// Verdict is the result of a decision. Each Then method checks one thing about it and
// returns it, for the next check.
type Verdict struct {
	log *Log
	verdict
}

// Then checks that exactly these events were decided, each in its stream; a []any among
// them stands for the values in it.
func (v *Verdict) Then(events ...any) *Verdict {
	v.t.Helper()
	v.accepted(flat.Values(events))
	return v
}

// ThenNothing checks that there was nothing to do and nothing to refuse.
func (v *Verdict) ThenNothing() *Verdict {
	v.t.Helper()
	v.accepted(nil)
	return v
}

// ThenRejected checks that the decision was a refusal that is the target, as
// [errors.Is] has it.
func (v *Verdict) ThenRejected(target error) *Verdict {
	v.t.Helper()
	v.rejected(target)
	return v
}

// ThenRejectedAs checks that the decision was a refusal of the type that target, a
// pointer, points to, and sets it, as [errors.As] does.
func (v *Verdict) ThenRejectedAs(target any) *Verdict {
	v.t.Helper()
	v.rejectedAs(target)
	return v
}

// After returns the log with the decided events, for the next decision.
func (v *Verdict) After() *Log { return v.log.with(v.events) }
