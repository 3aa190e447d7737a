package aggregate

import (
	"fmt"
	"reflect"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/internal/vocabulary"
)

// Model is what a decision has to know of the log: which events, and what they
// come to. It is a fold of a query; S is its state. From the one definition come
// both the state and the guard that keeps it true until the decision is in the log;
// so they cannot disagree. Models are small and made for a purpose, by functions of
// the values that they are about:
//
//	func seatsTaken(course string) aggregate.Model[int] {
//		return aggregate.NewModel(aggregate.Tagged("course:"+course),
//			fold.On(func(n int, _ StudentSubscribed) int { return n + 1 }))
//	}
//
// A Model never changes; whoever uses it reports what is wrong with it.
type Model[S any] struct {
	// Query says which of the events that Evolve takes are meant: those with a
	// tag, of a stream, of a category. [eventstore.All] means all of them; the
	// zero Query is an error. An item may leave out Types; those that it names
	// must have a handler.
	Query eventstore.Query
	// Initial makes the state before the first event; nil means the zero S. It
	// must return a state of its own each time if Evolve changes what it is given.
	Initial func() S
	// Evolve are the handlers, made by [fold.On] and [fold.OnEvent]: at least one,
	// and no two for one event type. Their types are the types of the query.
	Evolve []fold.Handler[S]
	// Last says that the last event tells all, as a running number does: no other
	// is read.
	Last bool

	// stream says that Query is that of a whole stream: it is not narrowed to
	// the handled types, and an event that no handler takes is an error.
	stream bool
	// err is why the model cannot be.
	err error
}

// NewModel returns the model with this query and these handlers that begins with
// the zero S.
func NewModel[S any](query eventstore.Query, evolve ...fold.Handler[S]) Model[S] {
	return Model[S]{Query: query, Evolve: evolve}
}

// Tagged is the query for the events that carry all of the tags. Without tags it
// names nothing, which is an error where it is used.
func Tagged(tags ...string) eventstore.Query {
	item := eventstore.Item{Tags: make([]eventstore.Tag, len(tags))}
	for i, tag := range tags {
		item.Tags[i] = eventstore.Tag(tag)
	}
	return eventstore.Match(item)
}

// Into binds the model to the variable that is to hold its state.
func (m Model[S]) Into(variable *S) BoundModel {
	return BoundModel{
		state:   reflect.TypeFor[S](),
		resolve: func(v *vocabulary.Vocabulary) (*folding, error) { return m.resolve(v, variable) },
	}
}

// BoundModel is a model and the variable for its state. Make one with [Model.Into].
type BoundModel struct {
	state   reflect.Type
	resolve func(*vocabulary.Vocabulary) (*folding, error)
}

// Models are what one decision is made on; their states may be of different types.
type Models []BoundModel

// Stream returns the name of the stream that holds the events of the aggregate
// with this id: the category, a dash, the id. It checks nothing.
func (d Decider[S, C, E]) Stream(id string) eventstore.StreamID {
	return eventstore.StreamID(d.Category + "-" + id)
}

// Model returns the model of one aggregate, by all events of its stream: the
// state that a [Repository] would load, for decisions that have to know more. As
// there, an event that cannot be decoded or is not an E is an error.
func (d Decider[S, C, E]) Model(id string) Model[S] {
	m := Model[S]{
		Query:   eventstore.Stream(d.Stream(id)),
		Initial: d.Initial,
		Evolve:  []fold.Handler[S]{fold.On(d.Evolve)},
		stream:  true,
	}
	if id == "" {
		m.err = fmt.Errorf("the id of the aggregate is empty (category %q)", d.Category)
	}
	return m
}

// Decision returns the decision about a command that the aggregate with this id
// makes, by the model of its stream, to which the events go: what
// [Repository.Execute] does, for [Decision.Provided] to add what the aggregate
// does not know.
func (d Decider[S, C, E]) Decision(id string, cmd C) Decision {
	var state S
	return Decision{
		Models: Models{d.Model(id).Into(&state)},
		Decide: func() ([]any, error) {
			events, err := d.Decide(state, cmd)
			return In(d.Stream(id), events...), err
		},
	}
}
