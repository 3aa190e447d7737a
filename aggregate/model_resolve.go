package aggregate

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
)

// vocabulary is what a registry says about names and Go types. It never changes.
type vocabulary struct {
	registry *codec.Registry
	all      []codec.Registration
	names    map[reflect.Type]string
}

func newVocabulary(registry *codec.Registry) *vocabulary {
	v := &vocabulary{registry: registry, names: make(map[reflect.Type]string)}
	for r := range registry.All() {
		v.all = append(v.all, r)
		v.names[r.Type] = r.Name
	}
	return v
}

// taken returns the registered types that a handler of t takes: t, or those that
// implement it.
func (v *vocabulary) taken(t reflect.Type) ([]reflect.Type, error) {
	if t.Kind() != reflect.Interface {
		if _, registered := v.names[t]; !registered {
			return nil, fmt.Errorf("%v has a handler: %w", t, v.unregistered(t))
		}
		return []reflect.Type{t}, nil
	}
	var types []reflect.Type
	for _, r := range v.all {
		if r.Type.Implements(t) {
			types = append(types, r.Type)
		}
	}
	if len(types) == 0 {
		return nil, fmt.Errorf("%v has a handler, but no registered type implements it", t)
	}
	return types, nil
}

// name returns today's name of a decoded value.
func (v *vocabulary) name(value any) string { return v.names[reflect.TypeOf(value)] }

func (v *vocabulary) unregistered(t reflect.Type) error {
	err := &codec.UnregisteredTypeError{Type: t}
	if t.Kind() == reflect.Pointer {
		_, err.Pointer = v.names[t.Elem()]
	}
	return err
}

// stored returns the query for the events that may be stored under other names
// than those by which q asks for them.
func (v *vocabulary) stored(q eventstore.Query) eventstore.Query {
	if q.IsAll() {
		return q
	}
	items := slices.Clone(q.Items())
	for i := range items {
		if len(items[i].Types) > 0 {
			items[i].Types = v.registry.StoredNames(items[i].Types...)
		}
	}
	return eventstore.Match(items...)
}

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
func (m Model[S]) resolve(v *vocabulary, variable *S) (*folding, error) {
	var faults []error
	if m.err != nil {
		faults = append(faults, m.err)
	}
	if variable == nil {
		faults = append(faults, errors.New("Into(nil): the state has no variable"))
	}
	handlers, err := m.handlers(v)
	if err != nil {
		faults = append(faults, err)
	}
	asked, err := m.query(v, handlers)
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
		asked:  asked,
		stored: v.stored(asked),
		whole:  m.stream,
		last:   m.Last,
		apply: func(stored eventstore.Event, data any) bool {
			h, taken := handlers[reflect.TypeOf(data)]
			if taken {
				state = h.apply(state, stored, data)
			}
			return taken
		},
		publish: func() { *variable = state },
	}, nil
}

// handlers returns the handlers by the registered type that they take.
func (m Model[S]) handlers(v *vocabulary) (map[reflect.Type]Handler[S], error) {
	var faults []error
	if len(m.Evolve) == 0 {
		faults = append(faults, errors.New("it has no handlers, and so no events"))
	}
	handlers := make(map[reflect.Type]Handler[S])
	for i, h := range m.Evolve {
		if h.apply == nil {
			faults = append(faults, fmt.Errorf("handler %d has no function", i))
			continue
		}
		types, err := v.taken(h.event)
		if err != nil {
			faults = append(faults, err)
		}
		for _, t := range types {
			if _, twice := handlers[t]; twice {
				faults = append(faults, fmt.Errorf("%v has two handlers", t))
			}
			handlers[t] = h
		}
	}
	return handlers, errors.Join(faults...)
}

// query returns the model's query, narrowed to the names of the handled types.
func (m Model[S]) query(v *vocabulary, handlers map[reflect.Type]Handler[S]) (eventstore.Query, error) {
	if !m.Query.IsAll() && len(m.Query.Items()) == 0 {
		return m.Query, errors.New("its query is empty; all events that it has handlers for are eventstore.All()")
	}
	if err := eventstore.ValidateRead(m.Query, eventstore.ReadOptions{}); err != nil {
		return m.Query, fmt.Errorf("its query: %w", err)
	}
	if m.stream || len(handlers) == 0 {
		return m.Query, nil
	}
	names, faults := handledNames(v, handlers)
	items := slices.Clone(m.Query.Items())
	if m.Query.IsAll() {
		items = []eventstore.Item{{}}
	}
	asked := make(map[string]bool)
	for i := range items {
		if len(items[i].Types) == 0 {
			items[i].Types = names
		}
		for _, name := range items[i].Types {
			asked[name] = true
			if !slices.Contains(names, name) {
				faults = append(faults, fmt.Errorf("its query names type %q, which has no handler", name))
			}
		}
	}
	for _, name := range names {
		if !asked[name] {
			faults = append(faults, fmt.Errorf("type %q has a handler, but no item of the query names it", name))
		}
	}
	return eventstore.Match(items...), errors.Join(faults...)
}

// handledNames returns the names of the handled types, each once. A name with a
// version that has no handler is a fault: events of it would be passed over.
func handledNames[H any](v *vocabulary, handlers map[reflect.Type]H) ([]string, []error) {
	var names []string
	var faults []error
	for _, r := range v.all {
		if _, handled := handlers[r.Type]; handled && !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	for _, r := range v.all {
		if _, handled := handlers[r.Type]; !handled && slices.Contains(names, r.Name) {
			faults = append(faults, fmt.Errorf("%q has a handler, but not for its version %d, which is %v", r.Name, r.Version, r.Type))
		}
	}
	return names, faults
}
