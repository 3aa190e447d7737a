package aggregate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/flat"
	"github.com/yore-es/yore/internal/vocabulary"
)

// Decision is a decision over as much of the log as its models name, be it of one
// stream, of many or of none. Write it as a function of the command: it declares
// the variables that the models go into, and decides on them.
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
// A Decision is carried out by [Decisions.Execute]; by one call at a time, since
// its variables are shared.
type Decision struct {
	// Models are what it is decided on: at least one. The events are appended
	// only if no event has come that one of them would have been given.
	Models Models
	// Decide returns the events that follow, none if there is nothing to do, or
	// the reason to refuse. It reads the models' variables, which are set anew
	// before each call; it must not change what is in them, and may be called
	// more than once. Events are values of registered Go types, which get the
	// tags that the registry derives and are in no stream; [In] puts them into one.
	// A []any among them stands for the values in it, so that it may return
	// []any{aggregate.In(a, x), aggregate.In(b, y)}.
	Decide func() ([]any, error)
	// Expect says what must hold of streams, those written or others, besides.
	// A written stream that is not here may be at any version.
	Expect []eventstore.Expect
}

// Provided returns the decision d under one more rule, over more models: where the
// rule returns an error, the decision is refused with it, and Decide is not
// asked. The rule is as Decide is: it reads the models' variables and changes nothing.
func (d Decision) Provided(rule func() error, models ...BoundModel) Decision {
	d.Models = slices.Concat(d.Models, models)
	decide := d.Decide
	if decide == nil {
		return d // and let Execute say so
	}
	d.Decide = func() ([]any, error) {
		if err := rule(); err != nil {
			return nil, err
		}
		return decide()
	}
	return d
}

// InStream is a decided event that goes to a stream. [In] makes them.
type InStream struct {
	Stream eventstore.StreamID
	Event  any
}

// In returns the events as ones that go to the stream, for Decide to return: as its
// result, or as a part of one with events for other streams.
func In[E any](stream eventstore.StreamID, events ...E) []any {
	in := make([]any, len(events))
	for i, event := range events {
		in[i] = InStream{Stream: stream, Event: event}
	}
	return in
}

// events asks Decide, and returns the events as one list.
func (d *Decision) events() ([]any, error) {
	events, err := d.Decide()
	return flat.Values(events), err
}

// addressed takes a decided event apart.
func addressed(decided any) (eventstore.StreamID, any) {
	if in, ok := decided.(InStream); ok {
		return in.Stream, in.Event
	}
	return "", decided
}

// expectations returns what must hold of streams for these events.
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

// resolve makes foldings of the models, or says all that is wrong with them.
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
