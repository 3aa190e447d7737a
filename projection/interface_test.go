package projection_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// entry is an interface of the events that a notebook lists.
type entry interface{ text() string }

func (e noted) text() string { return e.Text }
func (erased) text() string  { return "erased" }
func (stray) text() string   { return "stray" }

func newEntries() (*projection.Projection, func(t *testing.T, r projection.Reader) []string) {
	p := projection.New("entries", 1)
	table := projection.NewTable[eventstore.Position, string](p, "texts")
	projection.On(p, func(tx projection.Tx, e fold.Event[entry]) error { return table.In(tx).Put(e.Position, e.Data.text()) })
	return p, func(t *testing.T, r projection.Reader) (texts []string) {
		for row, err := range table.Scan(t.Context(), r, projection.Range[eventstore.Position]{}) {
			require.NoError(t, err)
			texts = append(texts, row.Value)
		}
		return texts
	}
}

// TestOn_Interface: a projection takes one more type when one more implements the
// interface. Its tables do not show the events of that type that are stored already,
// so it is refused. A type that does not implement the interface changes nothing.
func TestOn_Interface(t *testing.T) {
	one := func(b *codec.Builder) {
		codec.Register[noted](b, "noted", 1)
		codec.Register[erased](b, "erased", 1)
	}
	two := func(b *codec.Builder) {
		one(b)
		codec.Register[notePair](b, "note.pair", 1)
	}
	three := func(b *codec.Builder) {
		one(b)
		codec.Register[stray](b, "stray", 1)
	}
	for name, run := range map[string]func(*projection.Host, context.Context, ...*projection.Projection) error{
		"CatchUp": (*projection.Host).CatchUp, "Attach": (*projection.Host).Attach,
	} {
		store := newStore(t)
		add(t, store, "x-1", "noted", 1, `{"Text":"a"}`)
		add(t, store, "x-1", "erased", 1, `{}`)
		add(t, store, "x-1", "stray", 1, `{}`)
		p, texts := newEntries()
		require.NoError(t, newHost(t, store, buildRegistry(t, one)).CatchUp(t.Context(), p), name)
		require.Equal(t, []string{"a", "erased"}, texts(t, store), name)

		p, texts = newEntries()
		require.NoError(t, newHost(t, store, buildRegistry(t, two)).CatchUp(t.Context(), p), name)
		require.Equal(t, []string{"a", "erased"}, texts(t, store), name)

		p, texts = newEntries()
		err := run(newHost(t, store, buildRegistry(t, three)).Host, t.Context(), p)
		require.ErrorIs(t, err, eventstore.ErrInvalid, name)
		require.ErrorContains(t, err, "raise the version, or Rebuild", name)
		require.NoError(t, newHost(t, store, buildRegistry(t, three)).Rebuild(t.Context(), nil, p), name)
		require.Equal(t, []string{"a", "erased", "stray"}, texts(t, store), name)
	}
}
