package vocabulary_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/vocabulary"
)

type (
	change  interface{ isChange() }
	opened  struct{ Door string }
	closed  struct{ Door string }
	painted struct{ Door string }
	locked  struct{ Door string } // a change as a pointer only
)

func (opened) isChange()  {}
func (closed) isChange()  {}
func (*locked) isChange() {}

type handler struct{ event reflect.Type }

func (h handler) Type() reflect.Type { return h.event }

func of[E any]() handler { return handler{event: reflect.TypeFor[E]()} }

func doors(t *testing.T, more ...func(*codec.Builder)) *vocabulary.Vocabulary {
	b := codec.NewBuilder()
	codec.Register[opened](b, "opened", 1, codec.Tags(func(opened) []string { return nil }))
	codec.Register[closed](b, "closed", 1)
	codec.Register[painted](b, "painted", 1)
	codec.Register[locked](b, "locked", 1)
	codec.Rename(b, "unlatched", 1, "opened", 1)
	codec.Split(b, "slammed", 1, func(closed) []any { return nil }, opened{}, closed{})
	for _, register := range more {
		register(b)
	}
	registry, err := b.Build()
	require.NoError(t, err)
	return vocabulary.New(registry)
}

func TestResolve(t *testing.T) {
	v := doors(t)
	for name, c := range map[string]struct {
		list  []handler
		names []string
		fault string
	}{
		"concrete":               {list: []handler{of[painted](), of[opened]()}, names: []string{"opened", "painted"}},
		"an interface":           {list: []handler{of[change]()}, names: []string{"opened", "closed"}},
		"any":                    {list: []handler{of[any]()}, names: []string{"opened", "closed", "painted", "locked"}},
		"both":                   {list: []handler{of[painted](), of[change]()}, names: []string{"opened", "closed", "painted"}},
		"none":                   {fault: "it has no handlers"},
		"no function":            {list: []handler{of[opened](), {}}, fault: "handler 1 has no function"},
		"twice":                  {list: []handler{of[opened](), of[opened]()}, fault: "vocabulary_test.opened has two handlers"},
		"twice, by an interface": {list: []handler{of[closed](), of[change]()}, fault: "vocabulary_test.closed has two handlers, one of vocabulary_test.closed and one of vocabulary_test.change"},
		"unregistered":           {list: []handler{of[int]()}, fault: "int has a handler: Go type int is not registered (codec.Register)"},
		"a pointer":              {list: []handler{of[*opened]()}, fault: "*vocabulary_test.opened has a handler: Go type *vocabulary_test.opened is not registered, but vocabulary_test.opened is: pass the value, not a pointer"},
		"implemented by none":    {list: []handler{of[fmt.Stringer]()}, fault: "fmt.Stringer has a handler: no registered type implements it"},
		"pointers only": {list: []handler{of[interface {
			change
			fmt.Stringer
		}]()}, fault: "no registered type implements it"},
	} {
		handlers, err := vocabulary.Resolve(v, c.list)
		if c.fault != "" {
			require.ErrorContains(t, err, c.fault, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.names, handlers.Names(), name)
	}
	handlers, err := vocabulary.Resolve(v, []handler{of[change](), of[painted]()})
	require.NoError(t, err)
	for value, want := range map[any]reflect.Type{
		opened{}: reflect.TypeFor[change](), closed{}: reflect.TypeFor[change](), painted{}: reflect.TypeFor[painted](), locked{}: nil, 7: nil,
	} {
		handler, taken := handlers.For(value)
		require.Equal(t, want, handler.event)
		require.Equal(t, want != nil, taken)
	}
}

func TestResolve_NoRegistry(t *testing.T) {
	handlers, err := vocabulary.Resolve(vocabulary.New(nil), []handler{{}})
	require.EqualError(t, err, "the registry is nil\nhandler 0 has no function")
	selection, err := handlers.Select(eventstore.All())
	require.NoError(t, err)
	require.Zero(t, selection)
}

func TestHandlers_Select(t *testing.T) {
	type item = eventstore.Item
	handlers, err := vocabulary.Resolve(doors(t), []handler{of[change]()})
	require.NoError(t, err)
	red := []eventstore.Tag{"red"}
	all := item{Types: []string{"opened", "closed", "unlatched", "slammed"}}
	for name, c := range map[string]struct {
		query              eventstore.Query
		asked, stored      []item
		unhandled, unasked []string
		untagged           []string
	}{
		"all": {
			query: eventstore.All(),
			asked: []item{{Types: []string{"opened", "closed"}}}, stored: []item{all},
		},
		"no types": {
			query: eventstore.Match(item{Tags: red}),
			asked: []item{{Types: []string{"opened", "closed"}, Tags: red}}, stored: []item{{Types: all.Types, Tags: red}},
			untagged: []string{"closed"},
		},
		"some types": {
			query: eventstore.Match(item{Types: []string{"closed", "painted"}}, item{Types: []string{"painted", "unknown"}}),
			asked: []item{{Types: []string{"closed"}}}, stored: []item{{Types: []string{"closed", "slammed"}}},
			unhandled: []string{"painted", "unknown"}, unasked: []string{"opened"},
		},
		"no handled types": {
			query:     eventstore.Match(item{Types: []string{"painted"}}),
			unhandled: []string{"painted"}, unasked: []string{"opened", "closed"},
		},
	} {
		selection, err := handlers.Select(c.query)
		require.NoError(t, err, name)
		require.Equal(t, vocabulary.Selection{
			Asked: eventstore.Match(c.asked...), Stored: eventstore.Match(c.stored...), Unhandled: c.unhandled, Unasked: c.unasked,
			Untagged: c.untagged,
		}, selection, name)
	}
}

func TestHandlers_Select_Faults(t *testing.T) {
	v := doors(t, func(b *codec.Builder) { codec.Register[struct{ N int }](b, "closed", 2) })
	handlers, err := vocabulary.Resolve(v, []handler{of[opened]()})
	require.NoError(t, err)
	for fault, query := range map[string]eventstore.Query{
		"the zero Query": {},
		"names nothing":  eventstore.Match(eventstore.Item{}),
		`the query names "unlatched", which upcasters make into "opened": use that name`: eventstore.Match(eventstore.Item{Types: []string{"opened", "unlatched"}}),
	} {
		_, err := handlers.Select(query)
		require.ErrorContains(t, err, fault)
	}
	handlers, err = vocabulary.Resolve(v, []handler{of[change]()})
	require.NoError(t, err)
	_, err = handlers.Select(eventstore.All())
	require.EqualError(t, err, `"closed" has a handler, but not for its version 2, which is struct { N int }`)
}

func TestVocabulary_Asks(t *testing.T) {
	v := doors(t)
	slammed := eventstore.Event{Type: "slammed", Stream: "door-1", Tags: []eventstore.Tag{"red"}}
	asked := eventstore.Match(eventstore.Item{Types: []string{"closed"}, Tags: []eventstore.Tag{"red"}})
	require.True(t, v.Asks(asked, slammed, closed{}))
	require.False(t, v.Asks(asked, slammed, opened{}), "another part of what was split")
	slammed.Tags = nil
	require.False(t, v.Asks(asked, slammed, closed{}))
}
