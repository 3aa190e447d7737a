package fold_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
)

type (
	noted   struct{ Text string }
	notedV1 struct{ Note string }
	erased  struct{}
	stray   struct{}
)

// journal records the events that a fold has seen.
type journal []string

func onNoted(j journal, e fold.Event[noted]) journal {
	return append(j, fmt.Sprintf("%d %s", e.Position, e.Data.Text))
}

func onErased(j journal, e fold.Event[erased]) journal {
	return append(j, fmt.Sprintf("%d erased", e.Position))
}

func newJournal() fold.Fold[journal] {
	return fold.New(fold.OnEvent(onNoted), fold.OnEvent(onErased))
}

func newRegistry(t testing.TB) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[noted](b, "noted", 2, untagged[noted]())
	codec.Register[erased](b, "erased", 1, untagged[erased]())
	codec.Register[stray](b, "stray", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

// fixture is a log of eight events, an hour apart:
//
//	1 noted a (x-1, tag red)   2 noted b (x-2)   3 stray (x-1)   4 erased (x-1)
//	5 noted c (y-1, tag red)   6 unknown (x-1)   7 noted d (no stream)   8 stray (x-1)
func fixture(t testing.TB) *memstore.Store {
	now := begin
	store := memstore.New(&memstore.Options{Clock: func() time.Time {
		now = now.Add(time.Hour)
		return now
	}})
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	add(t, store, "x-1", "noted", 2, `{"Text":"a"}`, "red")
	add(t, store, "x-2", "noted", 2, `{"Text":"b"}`)
	add(t, store, "x-1", "stray", 1, `{}`)
	add(t, store, "x-1", "erased", 1, `{}`)
	add(t, store, "y-1", "noted", 2, `{"Text":"c"}`, "red")
	add(t, store, "x-1", "unknown", 1, `{}`)
	add(t, store, "", "noted", 2, `{"Text":"d"}`)
	add(t, store, "x-1", "stray", 1, `{}`)
	return store
}

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func add(t testing.TB, store eventstore.Store, stream eventstore.StreamID, name string, version uint32, data string, tags ...eventstore.Tag) {
	t.Helper()
	commit := eventstore.Commit{Events: []eventstore.NewEvent{{
		Stream: stream, Type: name, SchemaVersion: version, Codec: codec.JSON, Data: []byte(data), Tags: tags,
		Metadata: eventstore.Metadata{eventstore.Actor: "ann"},
	}}}
	if stream != "" {
		commit.Expect = []eventstore.Expect{{Stream: stream, At: eventstore.Any}}
	}
	_, err := store.Append(t.Context(), commit)
	require.NoError(t, err)
}

func TestFold_Run(t *testing.T) {
	j, through, err := newJournal().Run(t.Context(), fixture(t), newRegistry(t), nil)
	require.NoError(t, err)
	require.Equal(t, journal{"1 a", "2 b", "4 erased", "5 c", "7 d"}, j)
	require.Equal(t, eventstore.Position(8), through, "the head, beyond the last handled event")
}

func TestFold_Run_EmptyLog(t *testing.T) {
	f := fold.New(fold.OnEvent(onNoted))
	f.Initial = func() journal { return journal{"begin"} }
	j, through, err := f.Run(t.Context(), memstore.New(nil), newRegistry(t), nil)
	require.NoError(t, err)
	require.Equal(t, journal{"begin"}, j)
	require.Zero(t, through)
}

func TestFold_Run_Envelope(t *testing.T) {
	var seen []fold.Event[noted]
	f := fold.New(fold.OnEvent(func(n int, e fold.Event[noted]) int {
		seen = append(seen, e)
		return n + 1
	}))
	n, _, err := f.Run(t.Context(), fixture(t), newRegistry(t), &fold.Options{Query: eventstore.Stream("y-1")})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	e := seen[0]
	require.Equal(t, noted{Text: "c"}, e.Data)
	require.Equal(t, eventstore.Position(5), e.Position)
	require.Equal(t, eventstore.StreamID("y-1"), e.Stream)
	require.Equal(t, eventstore.Version(1), e.Version)
	require.Equal(t, begin.Add(5*time.Hour), e.Recorded)
	require.Equal(t, e.Recorded, e.Time)
	require.Equal(t, []eventstore.Tag{"red"}, e.Tags)
	require.Equal(t, "ann", e.Metadata.Actor())
	require.NotZero(t, e.ID)
	require.JSONEq(t, `{"Text":"c"}`, string(e.Event.Data))
}

// untagged has no tag for any event, but registers the type as one that may have some: the
// events of the tests are appended with theirs.
func untagged[E any]() codec.RegisterOption { return codec.Tags(func(E) []string { return nil }) }

func TestFold_Run_TagsThatNoEventHas(t *testing.T) {
	type item = eventstore.Item
	red := item{Types: []string{"noted", "erased"}, Tags: []eventstore.Tag{"red"}}
	b := codec.NewBuilder()
	codec.Register[noted](b, "noted", 2, untagged[noted]())
	codec.Register[erased](b, "erased", 1)
	codec.Register[stray](b, "stray", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	_, _, err = newJournal().Run(t.Context(), fixture(t), registry, &fold.Options{Query: eventstore.Match(red)})
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, `its query asks by tag for type "erased", which is registered without tags`)
	require.NotContains(t, err.Error(), "noted\"")
	red.Types = red.Types[:1]
	_, _, err = newJournal().Run(t.Context(), fixture(t), registry, &fold.Options{Query: eventstore.Match(red, item{Types: []string{"erased"}})})
	require.NoError(t, err)
}

func TestFold_Run_Query(t *testing.T) {
	type item = eventstore.Item
	store, registry := fixture(t), newRegistry(t)
	for name, c := range map[string]struct {
		query eventstore.Query
		want  journal
	}{
		"zero":                {eventstore.Query{}, journal{"1 a", "2 b", "4 erased", "5 c", "7 d"}},
		"all":                 {eventstore.All(), journal{"1 a", "2 b", "4 erased", "5 c", "7 d"}},
		"stream":              {eventstore.Stream("x-1"), journal{"1 a", "4 erased"}},
		"category":            {eventstore.Category("y"), journal{"5 c"}},
		"tag":                 {eventstore.Match(item{Tags: []eventstore.Tag{"red"}}), journal{"1 a", "5 c"}},
		"type":                {eventstore.Match(item{Types: []string{"erased"}}), journal{"4 erased"}},
		"unhandled type too":  {eventstore.Match(item{Types: []string{"erased", "stray", "unknown"}}), journal{"4 erased"}},
		"item without a type": {eventstore.Match(item{Types: []string{"stray"}}, item{Streams: []eventstore.StreamID{"x-2"}}), journal{"2 b"}},
		"no match":            {eventstore.Stream("z"), nil},
	} {
		j, through, err := newJournal().Run(t.Context(), store, registry, &fold.Options{Query: c.query})
		require.NoError(t, err, name)
		require.Equal(t, c.want, j, name)
		require.Equal(t, eventstore.Position(8), through, name)
	}
}

func TestFold_Run_QueryThatCannotBe(t *testing.T) {
	for name, query := range map[string]eventstore.Query{
		"no items":            eventstore.Match(),
		"an empty item":       eventstore.Match(eventstore.Item{}),
		"a stream called NUL": eventstore.Stream("\x00"),
		"no handled type":     eventstore.Match(eventstore.Item{Types: []string{"stray"}}),
	} {
		j, through, err := newJournal().Run(t.Context(), fixture(t), newRegistry(t), &fold.Options{Query: query})
		require.ErrorIs(t, err, eventstore.ErrInvalid, name)
		require.Zero(t, j)
		require.Zero(t, through)
	}
}

func TestFold_Run_To(t *testing.T) {
	store, registry := fixture(t), newRegistry(t)
	for to, want := range map[eventstore.Position]struct {
		last    string
		through eventstore.Position
	}{1: {"1 a", 1}, 3: {"2 b", 3}, 4: {"4 erased", 4}, 8: {"7 d", 8}, 99: {"7 d", 8}} {
		j, through, err := newJournal().Run(t.Context(), store, registry, &fold.Options{To: to})
		require.NoError(t, err)
		require.Equal(t, want.last, j[len(j)-1])
		require.Equal(t, want.through, through)
	}
}

func TestFold_Run_AsOf(t *testing.T) {
	store, registry := fixture(t), newRegistry(t)
	for hour, want := range map[float64]eventstore.Position{0: 0, 0.9: 0, 1: 1, 3.5: 3, 4: 4, 8: 8, 100: 8} {
		opts := &fold.Options{AsOf: begin.Add(time.Duration(hour * float64(time.Hour)))}
		j, through, err := newJournal().Run(t.Context(), store, registry, opts)
		require.NoError(t, err)
		require.Equal(t, want, through)

		var same journal
		if want > 0 {
			same, _, err = newJournal().Run(t.Context(), store, registry, &fold.Options{To: through})
			require.NoError(t, err)
		}
		require.Equal(t, same, j, "as of a time is the log through a position")
	}
	_, through, err := newJournal().Run(t.Context(), store, registry,
		&fold.Options{To: 2, AsOf: begin.Add(4 * time.Hour)})
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(2), through, "the narrower bound holds")
}

func TestFold_Run_IsASnapshot(t *testing.T) {
	store, registry := fixture(t), newRegistry(t)
	f := fold.New(fold.OnEvent(func(n int, _ fold.Event[noted]) int {
		add(t, store, "x-9", "noted", 2, `{"Text":"later"}`)
		return n + 1
	}))
	n, through, err := f.Run(t.Context(), store, registry, nil)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.Equal(t, eventstore.Position(8), through)
}

func TestFold_Run_StateIsNotShared(t *testing.T) {
	store, registry := fixture(t), newRegistry(t)
	f := fold.New(fold.On(func(m map[string]int, e noted) map[string]int {
		m[e.Text]++
		return m
	}))
	f.Initial = func() map[string]int { return map[string]int{} }
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			m, _, err := f.Run(t.Context(), store, registry, nil)
			if err != nil || len(m) != 4 || m["a"] != 1 {
				t.Errorf("%v, %v", m, err)
			}
		})
	}
	wg.Wait()
}

func TestFold_Run_AllFaultsAtOnce(t *testing.T) {
	f := fold.New(
		fold.OnEvent(onNoted), fold.OnEvent(onNoted),
		fold.OnEvent(func(j journal, _ fold.Event[*erased]) journal { return j }),
		fold.OnEvent(func(j journal, _ fold.Event[fmt.Stringer]) journal { return j }),
		fold.OnEvent(func(j journal, _ fold.Event[journal]) journal { return j }),
		fold.OnEvent[journal, stray](nil),
		fold.Handler[journal]{})
	_, _, err := f.Run(t.Context(), nil, newRegistry(t), nil)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	for _, fault := range []string{
		"fold into fold_test.journal: ",
		"the store is nil",
		"fold_test.noted has two handlers",
		"*fold_test.erased is not registered, but fold_test.erased is",
		"fmt.Stringer has a handler: no registered type implements it",
		"fold_test.journal has a handler: Go type fold_test.journal is not registered",
		"handler 5 has no function",
		"handler 6 has no function",
	} {
		require.ErrorContains(t, err, fault)
	}
	_, _, err = fold.New[int]().Run(t.Context(), memstore.New(nil), nil, nil)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "no handlers")
	require.ErrorContains(t, err, "the registry is nil")
}

func TestFold_Run_VersionWithoutAHandler(t *testing.T) {
	b := codec.NewBuilder()
	codec.Register[notedV1](b, "noted", 1)
	codec.Register[noted](b, "noted", 2)
	registry, err := b.Build()
	require.NoError(t, err)
	store := memstore.New(nil)
	add(t, store, "x-1", "noted", 1, `{"Note":"old"}`)
	add(t, store, "x-1", "noted", 2, `{"Text":"new"}`)

	_, _, err = fold.New(fold.OnEvent(onNoted)).Run(t.Context(), store, registry, nil)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, `"noted" has a handler, but not for its version 1, which is fold_test.notedV1`)

	both := fold.New(fold.OnEvent(onNoted),
		fold.OnEvent(func(j journal, e fold.Event[notedV1]) journal { return append(j, e.Data.Note) }))
	j, _, err := both.Run(t.Context(), store, registry, nil)
	require.NoError(t, err)
	require.Equal(t, journal{"old", "2 new"}, j)
}

func TestFold_Run_UnknownVersion(t *testing.T) {
	store := fixture(t)
	add(t, store, "x-1", "noted", 3, `{"Text":"from the future"}`)
	j, through, err := newJournal().Run(t.Context(), store, newRegistry(t), nil)
	var unknown *codec.UnknownTypeError
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, `position 9: unknown version 3 of event type "noted"`)
	require.Zero(t, j)
	require.Zero(t, through)
}

func TestFold_Run_BadData(t *testing.T) {
	store := fixture(t)
	add(t, store, "x-1", "noted", 2, `{"Text":7}`)
	_, _, err := newJournal().Run(t.Context(), store, newRegistry(t), nil)
	require.ErrorContains(t, err, `position 9: decode fold_test.noted as "noted" version 2: `)
	_, _, err = newJournal().Run(t.Context(), store, newRegistry(t), &fold.Options{To: 8})
	require.NoError(t, err, "what came before can be folded")
}

func TestFold_Run_ContextAndClose(t *testing.T) {
	store := fixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	f := fold.New(fold.OnEvent(func(n int, _ fold.Event[noted]) int {
		cancel()
		return n + 1
	}))
	_, _, err := f.Run(ctx, store, newRegistry(t), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, store.Close())
	_, _, err = newJournal().Run(t.Context(), store, newRegistry(t), nil)
	require.ErrorIs(t, err, eventstore.ErrClosed)
}
