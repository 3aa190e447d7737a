package aggtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

// Scenario is a decider and the events that are given. It never changes, so many
// cases can begin with the same one.
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
	next.given = slices.Concat(s.given, s.roundTrip("given", events))
	return &next
}

// When asks the decider what becomes of the command. It may be called more than
// once, for a case each.
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
		o.stored = s.roundTrip("decided", events)
	}
	return o
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

// roundTrip encodes the events and checks that they decode to what they were.
func (s *Scenario[S, C, E]) roundTrip(what string, events []E) []codec.Encoded {
	s.t.Helper()
	stored := make([]codec.Encoded, 0, len(events))
	for i, event := range events {
		encoded, err := s.registry.Encode(event)
		if err != nil {
			s.t.Fatalf("%s event %d: %v", what, i, err)
			return nil
		}
		before, after := dump(event), dump(s.decode(encoded))
		if !slices.Equal(before, after) {
			s.t.Errorf("%s event %d: %T is another after it was stored and read:\n%s", what, i, event, diff(before, after))
		}
		stored = append(stored, encoded)
	}
	return stored
}

func (s *Scenario[S, C, E]) decode(encoded codec.Encoded) E {
	s.t.Helper()
	var none E
	value, err := s.registry.Decode(encoded.Type, encoded.SchemaVersion, encoded.Codec, encoded.Data)
	if err != nil {
		s.t.Fatalf("%v", err)
		return none
	}
	event, _ := value.(E) // it was encoded from an E of this very type
	return event
}

// Outcome is what the decider made of a command. Each Then method checks one
// thing about it and returns it, for the next.
type Outcome[S, C, E any] struct {
	scenario *Scenario[S, C, E]
	cmd      C
	events   []E
	stored   []codec.Encoded // the events as encoded
	err      error
}

// Then checks that the command was accepted and led to exactly these events.
func (o *Outcome[S, C, E]) Then(events ...E) *Outcome[S, C, E] {
	t := o.scenario.t
	t.Helper()
	if o.err != nil {
		t.Errorf("when %T: want %s, got a refusal: %v", o.cmd, count(len(events)), o.err)
		return o
	}
	if want, got := dump(events), dump(o.events); !slices.Equal(want, got) {
		t.Errorf("when %T: events:\n%s", o.cmd, o.diffEvents(events, want, got))
	}
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
	t := o.scenario.t
	t.Helper()
	if target == nil {
		t.Fatalf("ThenRejected: the target is nil")
	} else if o.rejected(fmt.Sprintf("%q", target)) && !errors.Is(o.err, target) {
		t.Errorf("when %T: want refusal %q, got %q", o.cmd, target, o.err)
	}
	return o
}

// ThenRejectedAs checks that the command was refused with an error of the type
// that target, a pointer, points to, and sets it, as [errors.As] does.
func (o *Outcome[S, C, E]) ThenRejectedAs(target any) *Outcome[S, C, E] {
	t := o.scenario.t
	t.Helper()
	kind := fmt.Sprintf("%T", target)[1:]
	if o.rejected("of type "+kind) && !errors.As(o.err, target) {
		t.Errorf("when %T: want refusal of type %s, got %T: %v", o.cmd, kind, o.err, o.err)
	}
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

// rejected reports whether the command was refused, and fails the test if not.
func (o *Outcome[S, C, E]) rejected(want string) bool {
	t := o.scenario.t
	t.Helper()
	if o.err == nil {
		t.Errorf("when %T: want refusal %s, got %s:\n%s", o.cmd, want, count(len(o.events)),
			diff(nil, o.scenario.render(o.events)))
	}
	return o.err != nil
}
