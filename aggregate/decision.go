package aggregate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/flat"
	"github.com/yore-es/yore/internal/vocabulary"
)

// Decision is a decision over the events that its models select: of one stream, of many or
// of none. Write a function of the command that returns it: the function declares the
// variables for the states of the models, and Decide reads them.
//
//	func subscribe(student, course string) aggregate.Decision {
//		var capacity, taken int
//		return aggregate.Decision{
//			Models: aggregate.Models{
//				capacityOf(course).Into(&capacity),
//				seatsTaken(course).Into(&taken),
//			},
//			Decide: func() ([]any, error) {
//				if taken >= capacity {
//					return nil, ErrFullyBooked
//				}
//				return []any{StudentSubscribed{Student: student, Course: course}}, nil
//			},
//		}
//	}
//
// [Decisions.Execute] carries out a Decision. Only one call at a time may use it, since the
// calls would share its variables.
type Decision struct {
	// Models select the events that are decided on: at least one model. The decided
	// events are appended only if no event that a model selects has come since.
	Models Models
	// Decide returns the events that follow, none if there is nothing to do, or the
	// reason to refuse. It reads the models' variables, which are set before each
	// call. It must not change the values in them, and may be called more than once.
	//
	// Events are values of registered Go types. They get the tags that the registry
	// derives, and belong to no stream unless [In] gives them one. A []any among them
	// stands for the values in it, so Decide may return
	// []any{aggregate.In(a, x), aggregate.In(b, y)}.
	Decide func() ([]any, error)
	// Command is what the decision is made for. It must be set if the context carries a
	// command id, so that the id is not taken for that of another decision (I18): see
	// [Options].Digest. [CommandHandler] and [Decider.Decision] set it.
	Command any
	// Expect are expectations of streams, written or not, that must hold too. A
	// written stream without one may be at any version.
	Expect []eventstore.Expect
}

// Provided returns the decision d with one more rule, over more models. If the rule returns
// an error, the decision is refused with it, and Decide is not called. Like Decide, the rule
// reads the models' variables and changes nothing.
func (d Decision) Provided(rule func() error, models ...BoundModel) Decision {
	d.Models = slices.Concat(d.Models, models)
	decide := d.Decide
	if decide == nil {
		return d // Execute returns the fault
	}
	d.Decide = func() ([]any, error) {
		if err := rule(); err != nil {
			return nil, err
		}
		return decide()
	}
	return d
}

// InStream is a decided event for a stream. Make it with [In].
type InStream struct {
	Stream eventstore.StreamID
	Event  any
}

// In returns the events as events for the stream. Decide returns them as its result, or
// among events for other streams.
func In[E any](stream eventstore.StreamID, events ...E) []any {
	in := make([]any, len(events))
	for i, event := range events {
		in[i] = InStream{Stream: stream, Event: event}
	}
	return in
}

// addressedCommand is the Command of a decision of an aggregate.
type addressedCommand struct {
	stream eventstore.StreamID
	cmd    any
}

// target returns the decision's command.
func (d *Decision) target(digest func(any) ([]byte, error)) target {
	if of, ok := d.Command.(addressedCommand); ok {
		return target{stream: of.stream, cmd: of.cmd, digest: digest}
	}
	return target{cmd: d.Command, digest: func(cmd any) ([]byte, error) {
		sum, err := digest(cmd)
		if err != nil && cmd == nil {
			err = errors.New("the Decision names no Command, so that the id could be that of any decision")
		}
		return sum, err
	}}
}

// events calls Decide and returns the events as one list.
func (d *Decision) events() ([]any, error) {
	events, err := d.Decide()
	return flat.Values(events), err
}

// addressed returns the stream and the event of a decided event.
func addressed(decided any) (eventstore.StreamID, any) {
	if in, ok := decided.(InStream); ok {
		return in.Stream, in.Event
	}
	return "", decided
}

// expectations returns the expectations of a commit of these events.
func (d *Decision) expectations(events []eventstore.NewEvent) []eventstore.Expect {
	expect := slices.Clone(d.Expect)
	said := make(map[eventstore.StreamID]bool)
	for _, x := range expect {
		said[x.Stream] = true
	}
	for _, event := range events {
		if event.Stream != "" && !said[event.Stream] {
			said[event.Stream] = true
			expect = append(expect, eventstore.Expect{Stream: event.Stream, At: eventstore.Any})
		}
	}
	return expect
}

// resolve returns the foldings of the models, or all their faults.
func (m Models) resolve(v *vocabulary.Vocabulary) ([]*folding, error) {
	var faults []error
	if len(m) == 0 {
		faults = append(faults, errors.New("there are no models, so nothing would be guarded"))
	}
	foldings := make([]*folding, 0, len(m))
	for i, bound := range m {
		if bound.resolve == nil {
			faults = append(faults, fmt.Errorf("model %d is the zero BoundModel: use Model.Into", i))
			continue
		}
		same := func(other BoundModel) bool { return other.variable != 0 && other.variable == bound.variable }
		if first := slices.IndexFunc(m[:i], same); first >= 0 {
			faults = append(faults, fmt.Errorf("models %d and %d have one variable, which can hold the state of one", first, i))
		}
		f, err := bound.resolve(v)
		if err != nil {
			faults = append(faults, fmt.Errorf("model %d (of %v): %w", i, bound.state, err))
		}
		foldings = append(foldings, f)
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrInvalid, errors.Join(faults...))
	}
	return foldings, nil
}
