package aggregate

import (
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/internal/vocabulary"
)

// folding is a model that has met a registry, and how far it has come. It belongs
// to one call of Execute or Load.
type folding struct {
	asked  eventstore.Query // by today's names
	stored eventstore.Query // by all names under which the same may be stored: what is read and guarded
	whole  bool             // an event that no handler takes is an error
	last   bool             // the last event is enough

	apply   func(stored eventstore.Event, data any) (taken bool)
	publish func() // shows the state to the decision
}

// resolve makes the model a folding into the variable, or says all that is wrong.
func (m Model[S]) resolve(v *vocabulary.Vocabulary, variable *S) (*folding, error) {
	var faults []error
	if m.err != nil {
		faults = append(faults, m.err)
	}
	if variable == nil {
		faults = append(faults, errors.New("Into(nil): the state has no variable"))
	}
	handlers, err := vocabulary.Resolve(v, m.Evolve)
	if err != nil {
		faults = append(faults, err)
	}
	selection, err := m.selection(handlers)
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	var state S
	if m.Initial != nil {
		state = m.Initial()
	}
	return &folding{
		asked:  selection.Asked,
		stored: selection.Stored,
		whole:  m.stream,
		last:   m.Last,
		apply: func(stored eventstore.Event, data any) bool {
			h, taken := handlers.For(data)
			if taken {
				state = h.Apply(state, fold.Event[any]{Event: stored, Data: data})
			}
			return taken
		},
		publish: func() { *variable = state },
	}, nil
}

// selection returns what the model asks for: its query, narrowed to the types that
// it has handlers for. What is named and not handled, or handled and not named, is a
// fault, so that a model counts what it guards.
func (m Model[S]) selection(handlers *vocabulary.Handlers[fold.Handler[S]]) (vocabulary.Selection, error) {
	if !m.Query.IsAll() && len(m.Query.Items()) == 0 {
		return vocabulary.Selection{}, errors.New("its query is empty; all events that it has handlers for are eventstore.All()")
	}
	if m.stream {
		err := eventstore.ValidateRead(m.Query, eventstore.ReadOptions{})
		return vocabulary.Selection{Asked: m.Query, Stored: m.Query}, err
	}
	selection, err := handlers.Select(m.Query)
	if err != nil {
		return selection, err
	}
	var faults []error
	for _, name := range selection.Unhandled {
		faults = append(faults, fmt.Errorf("its query names type %q, which has no handler", name))
	}
	for _, name := range selection.Unasked {
		faults = append(faults, fmt.Errorf("type %q has a handler, but no item of the query names it", name))
	}
	return selection, errors.Join(faults...)
}
