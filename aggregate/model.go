package aggregate

import (
	"fmt"
	"reflect"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/internal/vocabulary"
)

// Model is the part of the log that a decision depends on: a query, and the fold of the
// events that match it into a state S. The state, and the guard under which the decision is
// appended, come from this one definition, so they cannot disagree. Models are small, and
// made by functions for one purpose:
//
//	func seatsTaken(course string) aggregate.Model[int] {
//		return aggregate.NewModel(aggregate.Tagged("course:"+course),
//			fold.On(func(n int, _ StudentSubscribed) int { return n + 1 }))
//	}
//
// A Model never changes. Its faults are returned where it is used.
type Model[S any] struct {
	// Query selects some of the events that the handlers take: those with a tag, of
	// a stream or of a category. [eventstore.All] selects all of them; the zero Query
	// is an error. An item without Types means all types that have a handler; a type
	// that it names must have one.
	Query eventstore.Query
	// Initial returns the state before the first event. Nil means the zero S. It
	// must return a new state each time if a handler changes the state.
	Initial func() S
	// Evolve are the handlers, made by [fold.On] and [fold.OnEvent]: at least one,
	// and no two for one event type.
	Evolve []fold.Handler[S]
	// Last is true if the state depends on the last event only, like a running number.
	// Then no other event is read.
	Last bool

	// stream is true if Query selects a whole stream: it is not narrowed to the
	// handled types, and an event that no handler takes is an error.
	stream bool
	// err is a fault of the model.
	err error
}

// NewModel returns the model with this query and these handlers, whose first state is the
// zero S.
func NewModel[S any](query eventstore.Query, evolve ...fold.Handler[S]) Model[S] {
	return Model[S]{Query: query, Evolve: evolve}
}

// Tagged returns the query for the events that have all of the tags. Without tags it is an
// error where it is used.
func Tagged(tags ...string) eventstore.Query {
	item := eventstore.Item{Tags: make([]eventstore.Tag, len(tags))}
	for i, tag := range tags {
		item.Tags[i] = eventstore.Tag(tag)
	}
	return eventstore.Match(item)
}

// Into binds the model to the variable for its state.
func (m Model[S]) Into(variable *S) BoundModel {
	bound := BoundModel{
		state:   reflect.TypeFor[S](),
		resolve: func(v *vocabulary.Vocabulary) (*folding, error) { return m.resolve(v, variable) },
	}
	if bound.state.Size() > 0 { // variables of no size may share an address
		bound.variable = reflect.ValueOf(variable).Pointer()
	}
	return bound
}

// BoundModel is a model and the variable for its state. Make one with [Model.Into].
type BoundModel struct {
	state    reflect.Type
	variable uintptr // its address; 0 for nil and for a state of no size
	resolve  func(*vocabulary.Vocabulary) (*folding, error)
}

// Models are the models of one decision. Their states may be of different types.
type Models []BoundModel

// Stream returns the name of the aggregate's stream: the category, a dash, the id. It does
// not check them.
func (d Decider[S, C, E]) Stream(id string) eventstore.StreamID {
	return eventstore.StreamID(d.Category + "-" + id)
}

// Model returns the model of one aggregate, over all events of its stream: its state is the
// one that a [Repository] loads. Use it in decisions that depend on more than the aggregate.
// An event that cannot be decoded, or is not an E, is an error.
func (d Decider[S, C, E]) Model(id string) Model[S] {
	m := Model[S]{
		Query:   eventstore.Stream(d.Stream(id)),
		Initial: d.Initial,
		Evolve:  []fold.Handler[S]{fold.On(d.Evolve)},
		stream:  true,
	}
	if id == "" {
		m.err = fmt.Errorf("the id of the aggregate is empty (category %s)", quote.Name(d.Category))
	}
	return m
}

// Decision returns the decision of the aggregate with this id about a command. Its model is
// that of the aggregate's stream, and its events are for that stream, as with
// [Repository.Execute]. Use [Decision.Provided] to add rules that depend on more than the
// aggregate.
func (d Decider[S, C, E]) Decision(id string, cmd C) Decision {
	var state S
	return Decision{
		Command: addressedCommand{stream: d.Stream(id), cmd: cmd},
		Models:  Models{d.Model(id).Into(&state)},
		Decide: func() ([]any, error) {
			events, err := d.Decide(state, cmd)
			return In(d.Stream(id), events...), err
		},
	}
}
