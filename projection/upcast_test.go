package projection_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// Shapes of the past.
type (
	noteWritten struct{ Text string }
	notePair    struct{ First, Second string }
)

func buildRegistry(t testing.TB, fill func(*codec.Builder)) *codec.Registry {
	b := codec.NewBuilder()
	fill(b)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

// newNames is the registry of a program that has renamed note.written, takes a
// note.pair for several events, and drops note.seen.
func newNames(t testing.TB) *codec.Registry {
	return buildRegistry(t, func(b *codec.Builder) {
		codec.Register[noted](b, "noted", 1)
		codec.Register[erased](b, "erased", 1)
		codec.Register[stray](b, "stray", 1)
		codec.Rename(b, "note.written", 1, "noted", 1)
		codec.Split(b, "note.pair", 1, func(old notePair) []any {
			return []any{noted{old.First}, stray{}, erased{}, noted{old.Second}}
		}, noted{}, erased{}, stray{})
		codec.Drop(b, "note.seen", 1)
	})
}

// oldNotes is a log of old events, with a new one at its end.
func oldNotes(t testing.TB) *memstore.Store {
	store := newStore(t)
	add(t, store, "x-1", "note.written", 1, `{"Text":"a"}`)
	add(t, store, "x-1", "note.seen", 1, `{}`)
	add(t, store, "x-1", "note.pair", 1, `{"First":"b","Second":"c"}`)
	add(t, store, "x-1", "note.written", 1, `{"Text":"d"}`, "red")
	add(t, store, "x-2", "noted", 1, `{"Text":"e"}`)
	return store
}

var notes = journal{"1 a", "3 b", "3 erased", "3 c", "4 d", "5 e"}

// notebook is a projection that writes its journal into a table.
type notebook struct {
	*projection.Projection
	lines *projection.Table[projection.Pair[eventstore.Position, int], string]
	fail  string // the text to fail on
}

func newNotebook() *notebook {
	n := &notebook{Projection: projection.New("notebook", 1)}
	n.lines = projection.NewTable[projection.Pair[eventstore.Position, int], string](n.Projection, "lines")
	projection.On(n.Projection, func(tx projection.Tx, e fold.Event[noted]) error {
		if err := n.write(tx, e.Position, fmt.Sprintf("%d %s", e.Position, e.Data.Text)); err != nil {
			return err
		}
		if e.Data.Text == n.fail {
			return errors.New("no such text")
		}
		return nil
	})
	projection.On(n.Projection, func(tx projection.Tx, e fold.Event[erased]) error {
		return n.write(tx, e.Position, fmt.Sprintf("%d erased", e.Position))
	})
	return n
}

// write adds a line. It counts the lines of the event by reading its own writes.
func (n *notebook) write(tx projection.Tx, at eventstore.Position, line string) error {
	lines := 0
	for _, err := range n.lines.In(tx).Scan(projection.FirstEqual[int](at)) {
		if err != nil {
			return err
		}
		lines++
	}
	return n.lines.In(tx).Put(projection.PairOf(at, lines), line)
}

func (n *notebook) read(t testing.TB, r projection.Reader) journal {
	t.Helper()
	var j journal
	for row, err := range n.lines.Scan(t.Context(), r, projection.Range[projection.Pair[eventstore.Position, int]]{}) {
		require.NoError(t, err)
		j = append(j, row.Value)
	}
	return j
}

// lives are the ways in which a notebook comes to show a log.
var lives = map[string]func(t testing.TB, store eventstore.RowStore, registry *codec.Registry) journal{
	"CatchUp": func(t testing.TB, store eventstore.RowStore, registry *codec.Registry) journal {
		n := newNotebook()
		require.NoError(t, newHost(t, store, registry).CatchUp(t.Context(), n.Projection))
		return n.read(t, store)
	},
	"Attach": func(t testing.TB, store eventstore.RowStore, registry *codec.Registry) journal {
		n := newNotebook()
		require.NoError(t, newHost(t, store, registry).Attach(t.Context(), n.Projection))
		return n.read(t, store)
	},
	"Rebuild": func(t testing.TB, store eventstore.RowStore, registry *codec.Registry) journal {
		n := newNotebook()
		require.NoError(t, newHost(t, store, registry).Rebuild(t.Context(), nil, n.Projection))
		return n.read(t, store)
	},
	"Build": func(t testing.TB, store eventstore.RowStore, registry *codec.Registry) journal {
		n := newNotebook()
		view, err := projection.Build(t.Context(), store, registry, n.Projection, nil)
		require.NoError(t, err)
		return n.read(t, view)
	},
	"Fold": func(t testing.TB, store eventstore.RowStore, registry *codec.Registry) journal {
		f := fold.New(
			fold.OnEvent(func(j journal, e fold.Event[noted]) journal {
				return append(j, fmt.Sprintf("%d %s", e.Position, e.Data.Text))
			}),
			fold.OnEvent(func(j journal, e fold.Event[erased]) journal { return append(j, fmt.Sprintf("%d erased", e.Position)) }))
		j, _, err := f.Run(t.Context(), store, registry, nil)
		require.NoError(t, err)
		return j
	},
}

// TestUpcasts_OldEventsAreSeen: in every life, a projection sees the events that are stored
// under older names, as the events that they are today, and no others.
func TestUpcasts_OldEventsAreSeen(t *testing.T) {
	for name, life := range lives {
		require.Equal(t, notes, life(t, oldNotes(t), newNames(t)), name)
	}
}

// unexpanded is a store whose readers ask for events by their names of today
// only: what projections would do if they did not expand their queries.
type unexpanded struct{ *memstore.Store }

func (u unexpanded) narrow(q eventstore.Query) eventstore.Query {
	var items []eventstore.Item
	for _, item := range q.Items() {
		item.Types = slices.DeleteFunc(slices.Clone(item.Types), func(name string) bool {
			return !slices.Contains([]string{"noted", "erased"}, name)
		})
		items = append(items, item)
	}
	return eventstore.Match(items...)
}

func (u unexpanded) Read(ctx context.Context, q eventstore.Query, opts eventstore.ReadOptions) iter.Seq2[eventstore.Event, error] {
	return u.Store.Read(ctx, u.narrow(q), opts)
}

func (u unexpanded) Follow(ctx context.Context, q eventstore.Query, after eventstore.Position) iter.Seq2[eventstore.Batch, error] {
	return u.Store.Follow(ctx, u.narrow(q), after)
}

func (u unexpanded) Attach(ctx context.Context, view eventstore.InlineView) error {
	view.Query = u.narrow(view.Query)
	return u.Store.Attach(ctx, view)
}

// TestUpcasts_OldEventsAreSeen_Mutant: that test finds queries that are not expanded.
func TestUpcasts_OldEventsAreSeen_Mutant(t *testing.T) {
	for name, life := range lives {
		require.Equal(t, journal{"5 e"}, life(t, unexpanded{oldNotes(t)}, newNames(t)), name)
	}
}

// TestUpcasts_CheckpointsAreOfStoredEvents: the parts of a split event are applied together
// or not at all, and a run that goes on applies none of them twice.
func TestUpcasts_CheckpointsAreOfStoredEvents(t *testing.T) {
	store, registry, n := oldNotes(t), newNames(t), newNotebook()
	for _, n.fail = range []string{"b", "c", "c"} { // the first part of what was split, the last one
		err := newHost(t, store, registry).CatchUp(t.Context(), n.Projection)
		var failed *projection.HandlerError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, eventstore.Position(3), failed.Position)
		require.Equal(t, "note.pair", failed.Type)
		status, err := newHost(t, store, registry).Status(t.Context(), n.Projection)
		require.NoError(t, err)
		require.Less(t, status.Position, eventstore.Position(3))
	}
	n.fail = ""
	require.NoError(t, newHost(t, store, registry).CatchUp(t.Context(), n.Projection))
	require.Equal(t, notes, n.read(t, store))
	status, err := newHost(t, store, registry).Status(t.Context(), n.Projection)
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(5), status.Position)
}

func TestUpcasts_Skip(t *testing.T) {
	for name, run := range map[string]func(*projection.Host, context.Context, ...*projection.Projection) error{
		"CatchUp": (*projection.Host).CatchUp, "Attach": (*projection.Host).Attach,
	} {
		store, registry, n := oldNotes(t), newNames(t), newNotebook()
		add(t, store, "x-1", "note.pair", 1, `{"First":7}`)
		n.fail, n.OnFailure = "c", projection.Skip
		require.NoError(t, run(newHost(t, store, registry).Host, t.Context(), n.Projection))
		require.Equal(t, journal{"1 a", "4 d", "5 e"}, n.read(t, store), name)
		status, err := newHost(t, store, registry).Status(t.Context(), n.Projection)
		require.NoError(t, err)
		require.Equal(t, uint64(2), status.SkippedCount, "one for each stored event")
		require.Contains(t, status.Skipped[0].Reason, `split "note.pair" version 1: decode into projection_test.notePair`)
	}
}

// TestUpcasts_ARenameLeavesTheBuild: a view that was built before an event was renamed
// continues after the rename. It is not rebuilt.
func TestUpcasts_ARenameLeavesTheBuild(t *testing.T) {
	before := buildRegistry(t, func(b *codec.Builder) { codec.Register[noted](b, "note.written", 1) })
	after := buildRegistry(t, func(b *codec.Builder) {
		codec.Register[noted](b, "noted", 1)
		codec.Rename(b, "note.written", 1, "noted", 1)
	})
	later := buildRegistry(t, func(b *codec.Builder) {
		codec.Register[noted](b, "note.taken", 2)
		codec.Upcast(b, "noted", 1, func(old noteWritten) noted { return noted(old) })
		codec.Rename(b, "note.written", 1, "noted", 1)
	})
	newTexts := func() (*projection.Projection, *projection.Table[eventstore.Position, string]) {
		p := projection.New("texts", 1)
		table := projection.NewTable[eventstore.Position, string](p, "texts")
		projection.On(p, func(tx projection.Tx, e fold.Event[noted]) error {
			return table.In(tx).Put(e.Position, e.Data.Text)
		})
		return p, table
	}
	store := newStore(t)
	var want []string
	for _, step := range []struct {
		registry *codec.Registry
		name     string
		version  uint32
		run      func(*projection.Host, context.Context, ...*projection.Projection) error
	}{
		{before, "note.written", 1, (*projection.Host).CatchUp},
		{after, "noted", 1, (*projection.Host).CatchUp},
		{later, "note.taken", 2, (*projection.Host).Attach},
	} {
		add(t, store, "x-1", step.name, step.version, fmt.Sprintf(`{"Text":%q}`, step.name))
		want = append(want, step.name)
		p, table := newTexts()
		require.NoError(t, step.run(newHost(t, store, step.registry).Host, t.Context(), p), step.name)
		var got []string
		for row, err := range table.Scan(t.Context(), store, projection.Range[eventstore.Position]{}) {
			require.NoError(t, err)
			got = append(got, row.Value)
		}
		require.Equal(t, want, got)
		status, err := newHost(t, store, step.registry).Status(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, eventstore.ViewID("texts@1.1"), status.Build, "the first build, still")
	}
}

// TestUpcasts_AProgramOfBeforeTheRename: a program that does not know a new name cannot go
// on with a view once there are events of that name.
func TestUpcasts_AProgramOfBeforeTheRename(t *testing.T) {
	before := buildRegistry(t, func(b *codec.Builder) {
		codec.Register[noted](b, "note.written", 1)
		codec.Register[erased](b, "erased", 1)
	})
	after := buildRegistry(t, func(b *codec.Builder) {
		codec.Register[noted](b, "noted", 1)
		codec.Register[erased](b, "erased", 1)
		codec.Rename(b, "note.written", 1, "noted", 1)
	})
	back := buildRegistry(t, func(b *codec.Builder) {
		codec.Register[noted](b, "note.written", 1)
		codec.Register[erased](b, "erased", 1)
		codec.Rename(b, "noted", 1, "note.written", 1)
	})
	runs := map[string]func(*projection.Host, context.Context, ...*projection.Projection) error{
		"Run": (*projection.Host).Run, "CatchUp": (*projection.Host).CatchUp, "Attach": (*projection.Host).Attach,
		"Rebuild": func(h *projection.Host, ctx context.Context, ps ...*projection.Projection) error {
			return h.Rebuild(ctx, nil, ps...)
		},
	}
	for name, run := range runs {
		store, n := newStore(t), newNotebook()
		add(t, store, "x-1", "note.written", 1, `{"Text":"a"}`)
		require.NoError(t, newHost(t, store, before).CatchUp(t.Context(), newNotebook().Projection))
		require.NoError(t, newHost(t, store, after).CatchUp(t.Context(), n.Projection))
		require.NoError(t, newHost(t, store, before).CatchUp(t.Context(), newNotebook().Projection), "%s: nothing has the new name yet", name)
		add(t, store, "x-1", "noted", 1, `{"Text":"b"}`)
		err := run(newHost(t, store, before).Host, t.Context(), newNotebook().Projection)
		require.ErrorIs(t, err, eventstore.ErrInvalid, name)
		require.ErrorContains(t, err, `under the name "noted" (the first at position 2), which the registry does not know`)
		require.NoError(t, newHost(t, store, after).CatchUp(t.Context(), n.Projection))
		require.Equal(t, journal{"1 a", "2 b"}, n.read(t, store), name)
		add(t, store, "x-1", "note.written", 1, `{"Text":"c"}`)
		require.NoError(t, newHost(t, store, back).Rebuild(t.Context(), nil, n.Projection), "the way back")
		require.Equal(t, journal{"1 a", "2 b", "3 c"}, n.read(t, store), name)
	}
}

// TestUpcasts_EventsOfAnotherKindChangeTheBuild: an upcaster makes stored events into a
// handled type. A view that has not seen these events does not continue.
func TestUpcasts_EventsOfAnotherKindChangeTheBuild(t *testing.T) {
	before := buildRegistry(t, func(b *codec.Builder) {
		codec.Register[noted](b, "noted", 1)
		codec.Register[erased](b, "erased", 1)
		codec.Register[noteWritten](b, "note.written", 1)
	})
	after := buildRegistry(t, func(b *codec.Builder) {
		codec.Register[noted](b, "noted", 1)
		codec.Register[erased](b, "erased", 1)
		codec.Rename(b, "note.written", 1, "noted", 1)
	})
	store, n := newStore(t), newNotebook()
	add(t, store, "x-1", "note.written", 1, `{"Text":"a"}`)
	add(t, store, "x-1", "noted", 1, `{"Text":"b"}`)
	require.NoError(t, newHost(t, store, before).CatchUp(t.Context(), n.Projection))
	require.Equal(t, journal{"2 b"}, n.read(t, store))
	err := newHost(t, store, after).CatchUp(t.Context(), newNotebook().Projection)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "raise the version, or Rebuild")
	require.NoError(t, newHost(t, store, after).Rebuild(t.Context(), nil, n.Projection))
	require.Equal(t, journal{"1 a", "2 b"}, n.read(t, store))
}

func TestUpcasts_VersionWithoutAHandler(t *testing.T) {
	registry := buildRegistry(t, func(b *codec.Builder) {
		codec.Register[noted](b, "noted", 1)
		codec.Register[erased](b, "erased", 1)
		codec.Register[stray](b, "note.written", 2) // the old name, used for something else
		codec.Rename(b, "note.written", 1, "noted", 1)
	})
	store := newStore(t)
	add(t, store, "x-1", "note.written", 1, `{"Text":"a"}`)
	add(t, store, "x-1", "note.written", 2, `{}`)
	add(t, store, "x-1", "noted", 1, `{"Text":"b"}`)
	for name, life := range lives {
		require.Equal(t, journal{"1 a", "3 b"}, life(t, store, registry), "%s: what is not handled is passed over", name)
	}
	add(t, store, "x-1", "note.written", 3, `{}`)
	err := newHost(t, store, registry).CatchUp(t.Context(), newNotebook().Projection)
	require.ErrorContains(t, err, `unknown version 3 of event type "note.written": known are [1 2]`)
}
