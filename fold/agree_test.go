package fold_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// The tests of this file hold a fold, a model and a projection to the same table:
// which events a handler takes does not depend on where it is.

type (
	doorEvent interface{ isDoorEvent() }
	opened    struct{ Door string }
	closed    struct{ Door string }
	locked    struct{ Door string } // a doorEvent as a pointer only
)

func (opened) isDoorEvent()  {}
func (closed) isDoorEvent()  {}
func (*locked) isDoorEvent() {}

// taker is a handler that notes what it takes, for each kind of use.
type taker struct {
	fold fold.Handler[journal]
	on   func(p *projection.Projection, lines *projection.Table[eventstore.Position, string])
}

func take[E any]() taker {
	note := func(e fold.Event[E]) string { return fmt.Sprintf("%d %T", e.Position, e.Data) }
	return taker{
		fold: fold.OnEvent(func(j journal, e fold.Event[E]) journal { return append(j, note(e)) }),
		on: func(p *projection.Projection, lines *projection.Table[eventstore.Position, string]) {
			projection.On(p, func(tx projection.Tx, e fold.Event[E]) error { return lines.In(tx).Put(e.Position, note(e)) })
		},
	}
}

// uses are the ways in which handlers are used.
var uses = map[string]func(t *testing.T, store eventstore.Store, registry *codec.Registry, takers []taker) (journal, error){
	"fold": func(t *testing.T, store eventstore.Store, registry *codec.Registry, takers []taker) (journal, error) {
		j, _, err := fold.New(handlers(takers)...).Run(t.Context(), store, registry, nil)
		return j, err
	},
	"model": func(t *testing.T, store eventstore.Store, registry *codec.Registry, takers []taker) (j journal, err error) {
		decisions, err := aggregate.NewDecisions(store, registry, nil)
		require.NoError(t, err)
		_, err = decisions.Load(t.Context(), aggregate.NewModel(eventstore.All(), handlers(takers)...).Into(&j))
		return j, err
	},
	"projection": func(t *testing.T, store eventstore.Store, registry *codec.Registry, takers []taker) (j journal, err error) {
		p := projection.New("journal", 1)
		lines := projection.NewTable[eventstore.Position, string](p, "lines")
		for _, taker := range takers {
			taker.on(p, lines)
		}
		view, err := projection.Build(t.Context(), store, registry, p, nil)
		if err != nil {
			return nil, err
		}
		for row, err := range lines.Scan(t.Context(), view, projection.Range[eventstore.Position]{}) {
			require.NoError(t, err)
			j = append(j, row.Value)
		}
		return j, nil
	},
}

func handlers(takers []taker) (handlers []fold.Handler[journal]) {
	for _, taker := range takers {
		handlers = append(handlers, taker.fold)
	}
	return handlers
}

// doors is a log of four events that are known, one by an older name, and one that
// is not.
func doors(t *testing.T) eventstore.Store {
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	add(t, store, "door-1", "opened", 1, `{"Door":"1"}`)
	add(t, store, "door-1", "shut", 1, `{"Door":"1"}`)
	add(t, store, "door-1", "locked", 1, `{"Door":"1"}`)
	add(t, store, "door-1", "burnt", 1, `{"Door":"1"}`)
	add(t, store, "door-2", "closed", 1, `{"Door":"2"}`)
	return store
}

func doorRegistry(t *testing.T, more ...func(*codec.Builder)) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[opened](b, "opened", 1)
	codec.Register[closed](b, "closed", 1)
	codec.Register[locked](b, "locked", 1)
	codec.Rename(b, "shut", 1, "closed", 1)
	for _, register := range more {
		register(b)
	}
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

func TestHandlers_TakeTheSameEverywhere(t *testing.T) {
	first, second, third, last := "1 fold_test.opened", "2 fold_test.closed", "3 fold_test.locked", "5 fold_test.closed"
	for name, c := range map[string]struct {
		takers []taker
		want   journal
	}{
		"a type":                     {[]taker{take[opened]()}, journal{first}},
		"a type with an older name":  {[]taker{take[closed]()}, journal{second, last}},
		"types":                      {[]taker{take[closed](), take[opened]()}, journal{first, second, last}},
		"an interface":               {[]taker{take[doorEvent]()}, journal{first, second, last}},
		"an interface, another type": {[]taker{take[doorEvent](), take[locked]()}, journal{first, second, third, last}},
		"any":                        {[]taker{take[any]()}, journal{first, second, third, last}},
	} {
		for use, run := range uses {
			j, err := run(t, doors(t), doorRegistry(t), c.takers)
			require.NoError(t, err, "%s: %s", use, name)
			require.Equal(t, c.want, j, "%s: %s", use, name)
		}
	}
}

func TestHandlers_AreRefusedForTheSameEverywhere(t *testing.T) {
	newer := func(b *codec.Builder) { codec.Register[struct{ N int }](b, "closed", 2) }
	for fault, c := range map[string]struct {
		takers []taker
		more   []func(*codec.Builder)
	}{
		"it has no handlers":                {},
		"fold_test.opened has two handlers": {takers: []taker{take[opened](), take[opened]()}},
		"fold_test.closed has two handlers, one of fold_test.closed and one of fold_test.doorEvent": {takers: []taker{take[closed](), take[doorEvent]()}},
		"fold_test.opened has two handlers, one of fold_test.doorEvent and one of interface {}":     {takers: []taker{take[doorEvent](), take[any]()}},
		"int has a handler: Go type int is not registered":                                          {takers: []taker{take[int]()}},
		"*fold_test.opened is not registered, but fold_test.opened is":                              {takers: []taker{take[*opened]()}},
		"fmt.Stringer has a handler: no registered type implements it":                              {takers: []taker{take[fmt.Stringer]()}},
		`"closed" has a handler, but not for its version 2, which is struct { N int }`: {
			takers: []taker{take[doorEvent]()}, more: []func(*codec.Builder){newer},
		},
	} {
		for use, run := range uses {
			_, err := run(t, doors(t), doorRegistry(t, c.more...), c.takers)
			require.ErrorIs(t, err, eventstore.ErrInvalid, "%s: %s", use, fault)
			require.ErrorContains(t, err, fault, use)
		}
	}
}
