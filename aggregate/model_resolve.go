package aggregate

import (
	"errors"
	"fmt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/internal/vocabulary"
)

// folding is a model that was resolved against a registry, and its state so far. It belongs
// to one call of Execute or Load.
type folding struct {
	asked  eventstore.Query // by today's names
	stored eventstore.Query // by all names under which these events may be stored: it is read and guarded
	whole  bool             // an event that no handler takes is an error
	last   bool             // only the last event is read

	apply   func(stored eventstore.Event, data any) (taken bool)
	publish func() // sets the model's variable
	initial func() // sets the state to that before the first event

	through eventstore.Position // the events up to it are folded
	events  int                 // that are folded
	tried   bool                // decided events are folded, too
}

// reset leaves out all events.
func (f *folding) reset() {
	f.initial()
	f.through, f.events, f.tried = 0, 0, false
}

// resolve returns the folding of the model into the variable, or all faults.
func (m Model[S]) resolve(v *vocabulary.Vocabulary, variable *S) (*folding, error) {
	var faults []error
	if m.err != nil {
		faults = append(faults, m.err)
	}
	if variable == nil {
		faults = append(faults, errors.New("Into(nil): there is no variable for the state"))
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
	f := &folding{
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
		initial: func() {
			var zero S
			if state = zero; m.Initial != nil {
				state = m.Initial()
			}
		},
	}
	f.initial()
	return f, nil
}

// selection returns the model's query, narrowed to the types that have a handler. A type
// that the query names and no handler takes is a fault, and so is one that a handler takes
// and no item selects: a model folds the events that it guards.
func (m Model[S]) selection(handlers *vocabulary.Handlers[fold.Handler[S]]) (vocabulary.Selection, error) {
	if !m.Query.IsAll() && len(m.Query.Items()) == 0 {
		return vocabulary.Selection{}, errors.New("its query is empty: use eventstore.All() for all events that it has handlers for")
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
	for _, name := range selection.Untagged {
		faults = append(faults, vocabulary.NoTags(name))
	}
	return selection, errors.Join(faults...)
}
