package aggtest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

// Scenario is a decider and the events that are given. It never changes, so several cases
// can begin with the same Scenario.
type Scenario[S, C, E any] struct {
	t        testing.TB
	registry *codec.Registry
	decider  aggregate.Decider[S, C, E]
	given    []codec.Encoded // decoded anew for each fold, since Evolve may keep and change parts of them
}

// New returns a scenario without events. A decider or registry that no
// repository takes ends the test.
func New[S, C, E any](t testing.TB, registry *codec.Registry, decider aggregate.Decider[S, C, E]) *Scenario[S, C, E] {
	t.Helper()
	if _, err := aggregate.NewRepository(noStore{}, registry, decider, nil); err != nil {
		t.Fatalf("aggtest: %v", err)
	}
	if decider.Initial == nil {
		decider.Initial = func() (zero S) { return zero }
	}
	return &Scenario[S, C, E]{t: t, registry: registry, decider: decider}
}

// noStore stands where a repository wants a store; no test calls it.
type noStore struct{ eventstore.Store }

// Given returns a scenario with these events after those that s has. An event
// that the registry cannot encode ends the test; one that does not come back as
// it was fails it.
func (s *Scenario[S, C, E]) Given(events ...E) *Scenario[S, C, E] {
	s.t.Helper()
	next := *s
	next.given = slices.Concat(s.given, roundTrip(s.t, s.registry, "given", anys(events)))
	return &next
}

// When asks the decider what becomes of the command, and folds the decided events.
// It may be called more than once, for a case each.
func (s *Scenario[S, C, E]) When(cmd C) *Outcome[S, C, E] {
	s.t.Helper()
	state := s.fold(s.given)
	before := dump(state)
	events, err := s.decider.Decide(state, cmd)
	if after := dump(state); !slices.Equal(before, after) {
		s.t.Errorf("when %T: Decide changed the state:\n%s", cmd, diff(before, after))
	}
	o := &Outcome[S, C, E]{scenario: s, cmd: cmd, err: err}
	if err == nil {
		o.events = events
		o.stored = roundTrip(s.t, s.registry, "decided", anys(events))
		o.check()
	}
	return o
}

// check checks that Evolve can take the decided events.
func (o *Outcome[S, C, E]) check() {
	s := o.scenario
	s.t.Helper()
	defer func() {
		s.t.Helper()
		if p := recover(); p != nil {
			s.t.Fatalf("when %T: Evolve panics on what was decided: %v", o.cmd, p)
		}
	}()
	s.fold(slices.Concat(s.given, o.stored))
}

// fold returns the state after the events.
func (s *Scenario[S, C, E]) fold(events []codec.Encoded) S {
	s.t.Helper()
	state := s.decider.Initial()
	for _, encoded := range events {
		state = s.decider.Evolve(state, s.decode(encoded))
	}
	return state
}

func (s *Scenario[S, C, E]) decode(encoded codec.Encoded) E {
	s.t.Helper()
	event, _ := decode(s.t, s.registry, encoded).(E) // it was encoded from an E of this very type
	return event
}

// Outcome is the result of a command. Each Then method checks one thing about it and
// returns it, for the next check.
type Outcome[S, C, E any] struct {
	scenario *Scenario[S, C, E]
	cmd      C
	events   []E
	stored   []codec.Encoded // the events as encoded
	err      error
}

// Then checks that the command was accepted and led to exactly these events.
func (o *Outcome[S, C, E]) Then(events ...E) *Outcome[S, C, E] {
	o.scenario.t.Helper()
	o.verdict().accepted(anys(events))
	return o
}

// ThenNothing checks that the command was accepted and led to no event.
func (o *Outcome[S, C, E]) ThenNothing() *Outcome[S, C, E] {
	o.scenario.t.Helper()
	return o.Then()
}

// ThenRejected checks that the command was refused with an error that is the
// target, as [errors.Is] has it.
func (o *Outcome[S, C, E]) ThenRejected(target error) *Outcome[S, C, E] {
	o.scenario.t.Helper()
	o.verdict().rejected(target)
	return o
}

// ThenRejectedAs checks that the command was refused with an error of the type
// that target, a pointer, points to, and sets it, as [errors.As] does.
func (o *Outcome[S, C, E]) ThenRejectedAs(target any) *Outcome[S, C, E] {
	o.scenario.t.Helper()
	o.verdict().rejectedAs(target)
	return o
}

// ThenState checks the state after the given events and those decided.
func (o *Outcome[S, C, E]) ThenState(state S) *Outcome[S, C, E] {
	s := o.scenario
	s.t.Helper()
	want, got := dump(state), dump(s.fold(slices.Concat(s.given, o.stored)))
	if !slices.Equal(want, got) {
		s.t.Errorf("when %T: state:\n%s", o.cmd, diff(want, got))
	}
	return o
}

func (o *Outcome[S, C, E]) verdict() verdict {
	return verdict{
		t: o.scenario.t, registry: o.scenario.registry,
		what: fmt.Sprintf("when %T", o.cmd), events: anys(o.events), err: o.err,
	}
}
