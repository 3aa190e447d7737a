package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/codec/codectest"
	"github.com/yore-es/yore/codec/doctor"
	"github.com/yore-es/yore/command"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/projection"
)

// samples are the values that the golden files were written from.
var samples = []any{
	cart.ItemAdded{SKU: "85123A", Description: "White hanging heart", Quantity: 6, UnitPrice: 2550},
	cart.ItemQuantityChanged{SKU: "85123A", UnitPrice: 2550, Quantity: 2},
	cart.ItemRemoved{SKU: "85123A", UnitPrice: 2550},
	cart.CartCheckedOut{Pieces: 2, Total: 5100},
}

// TestEvents_AreAsStored decodes samples of all events that were ever stored.
func TestEvents_AreAsStored(t *testing.T) {
	registry, err := cart.Registry()
	require.NoError(t, err)
	codectest.Golden(t, registry, "testdata/events", samples...)
}

// TestEvents_ALogIsWell examines a log that the program wrote. Every event can be decoded,
// needs no upcaster, and has the tags of today.
func TestEvents_ALogIsWell(t *testing.T) {
	c := newCLI(t)
	c.ok("add", "ann", "85123A", "2", "2.55")
	c.ok("add", "ann", "71053", "1", "3.39")
	c.ok("set", "ann", "85123A", "1")
	c.ok("remove", "ann", "71053")
	c.ok("checkout", "ann")
	readOnly(t, c.db, func(s *shop) {
		report, err := doctor.Examine(t.Context(), s.store, s.registry, nil)
		require.NoError(t, err)
		require.Equal(t, doctor.Report{Events: 5, Through: 5}, report)
	})
}

// called returns the registry of a program in which [cart.ItemAdded] has a name, with
// further registrations.
func called(t *testing.T, name string, say ...func(b *codec.Builder)) *codec.Registry {
	t.Helper()
	tags := func(sku string) []string { return []string{"sku:" + sku} }
	b := codec.NewBuilder()
	codec.Register[cart.ItemAdded](b, name, 1, codec.Tags(func(e cart.ItemAdded) []string { return tags(e.SKU) }))
	codec.Register[cart.ItemQuantityChanged](b, "cart.item-quantity-changed", 1,
		codec.Tags(func(e cart.ItemQuantityChanged) []string { return tags(e.SKU) }))
	codec.Register[cart.ItemRemoved](b, "cart.item-removed", 1,
		codec.Tags(func(e cart.ItemRemoved) []string { return tags(e.SKU) }))
	codec.Register[cart.CartCheckedOut](b, "cart.checked-out", 1)
	for _, say := range say {
		say(b)
	}
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

// The names of the event before and after the rename, and the upcaster of the rename.
const oldName, newName = "cart.item-added", "cart.item-put-in"

func theRename(b *codec.Builder) { codec.Rename(b, oldName, 1, newName, 1) }

// withRegistry calls use with a shop on a log that has this registry. The summaries are
// attached, and the ranking is up to date.
func withRegistry(t *testing.T, db string, registry *codec.Registry, use func(*shop)) {
	t.Helper()
	store, err := boltstore.Open(db, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	s := &shop{store: store, registry: registry, summaries: cart.NewSummaries(), ranking: cart.NewRanking()}
	s.carts, err = aggregate.NewRepository(store, registry, cart.Decider, nil)
	require.NoError(t, err)
	s.views, err = projection.NewHost(store, registry, nil)
	require.NoError(t, err)
	s.commands = command.NewDispatcher()
	require.NoError(t, command.Route(s.commands, s.carts, cart.Command.CartID))
	require.NoError(t, s.attach(t.Context()))
	require.NoError(t, s.update(t.Context(), s.ranking.Projection))
	use(s)
	require.NoError(t, s.update(t.Context(), s.ranking.Projection))
	requireSummaries(t, s, store, 0)
	requireRanking(t, s, store, 0)
}

// before writes a log with the old name: the cart of ann has two pieces, and bob has
// bought three. It returns the log, and the builds of the read models.
func before(t *testing.T) (db string, builds []eventstore.ViewID) {
	t.Helper()
	db = filepath.Join(t.TempDir(), "cart.yore")
	withRegistry(t, db, called(t, oldName), func(s *shop) {
		ctx := t.Context()
		for _, cmd := range []cart.Command{pieces(3, lantern, "bob"), cart.Checkout{Cart: "bob"}} {
			_, err := s.dispatch(ctx, cmd)
			require.NoError(t, err)
		}
		_, err := s.dispatch(eventstore.WithCommandID(ctx, "put-1"), pieces(2, heart, "ann"))
		require.NoError(t, err)
		builds = buildsOf(t, s)
	})
	return db, builds
}

func buildsOf(t *testing.T, s *shop) []eventstore.ViewID {
	t.Helper()
	var builds []eventstore.ViewID
	for _, p := range []*projection.Projection{s.summaries.Projection, s.ranking.Projection} {
		status, err := s.views.Status(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, projection.Live, status.State)
		builds = append(builds, status.Build)
	}
	return builds
}

// TestRename renames an event that is in a log already, as in
// docs/how-to/rename-an-event.md.
func TestRename(t *testing.T) {
	db, builds := before(t)
	withRegistry(t, db, called(t, newName, theRename), func(s *shop) {
		ctx := t.Context()
		require.Equal(t, builds, buildsOf(t, s), "the read models go on, they are not built anew")

		ann, version, err := s.carts.Load(ctx, "ann")
		require.NoError(t, err)
		require.Equal(t, int64(2), ann.Pieces(), "stored carts load")
		require.Equal(t, eventstore.Version(1), version)

		outcome, err := s.dispatch(eventstore.WithCommandID(ctx, "put-1"), pieces(2, heart, "ann"))
		require.NoError(t, err)
		require.True(t, outcome.Receipt.Repeated, "what was carried out before the rename is not done again")
		_, err = s.dispatch(ctx, pieces(1, lantern, "bob"))
		require.ErrorIs(t, err, cart.ErrCheckedOut, "rules hold")
		requireGuard(t, s)

		_, err = s.dispatch(ctx, pieces(5, heart, "ann"))
		require.NoError(t, err)
		_, err = s.dispatch(ctx, cart.Checkout{Cart: "ann"})
		require.NoError(t, err)
		require.Equal(t, []string{oldName, newName, "cart.checked-out"}, namesOf(t, s, "ann"),
			"what is stored stays, what is new has the new name")
	})
	withRegistry(t, db, called(t, newName, theRename), func(s *shop) {
		require.Equal(t, builds, buildsOf(t, s), "nor later")
		sellers, err := s.ranking.ByPieces(t.Context(), s.store, 2)
		require.NoError(t, err)
		require.Equal(t, []int64{7, 3}, []int64{sellers[0].Pieces, sellers[1].Pieces}, "old and new pieces are counted together")
		report, err := doctor.Examine(t.Context(), s.store, s.registry, nil)
		require.NoError(t, err)
		require.Empty(t, append(report.Unknown, append(report.Undecodable, report.Retagged...)...))
		require.Len(t, report.Upcast, 1)
		require.Equal(t, uint64(2), report.Upcast[0].Events)
	})
}

// requireGuard checks that a guard against events that add this item to a cart fails after
// the rename too.
func requireGuard(t *testing.T, s *shop) {
	t.Helper()
	commit := eventstore.Commit{
		Events: []eventstore.NewEvent{{Type: "offer.withdrawn"}},
		Guards: []eventstore.Guard{{Query: eventstore.Match(eventstore.Item{
			Types: s.registry.StoredNames(newName), Tags: []eventstore.Tag{eventstore.Tag("sku:" + heart.SKU)},
		})}},
	}
	_, err := s.store.Append(t.Context(), commit)
	require.ErrorIs(t, err, eventstore.ErrConflict)
}

func namesOf(t *testing.T, s *shop, id string) []string {
	t.Helper()
	var names []string
	for e, err := range s.carts.History(t.Context(), id) {
		require.NoError(t, err)
		names = append(names, e.Type)
	}
	return names
}

// TestRename_Unsaid renames an event without an upcaster. The golden files and the doctor
// report it, and loading a cart with the old name fails.
func TestRename_Unsaid(t *testing.T) {
	registry := called(t, newName)
	failed := &failures{TB: t}
	codectest.Golden(failed, registry, goldenBefore(t), samples...)
	require.Contains(t, fmt.Sprint(failed.texts), `unknown event type "cart.item-added" (version 1): the name is not registered`)

	db, _ := before(t)
	store, err := boltstore.Open(db, nil)
	require.NoError(t, err)
	defer store.Close()
	report, err := doctor.Examine(t.Context(), store, registry, nil)
	require.NoError(t, err)
	require.Len(t, report.Unknown, 1)
	require.Equal(t, uint64(2), report.Unknown[0].Events)
	carts, err := aggregate.NewRepository(store, registry, cart.Decider, nil)
	require.NoError(t, err)
	_, _, err = carts.Load(context.Background(), "ann")
	var unknown *codec.UnknownTypeError
	require.ErrorAs(t, err, &unknown)
	views, err := projection.NewHost(store, registry, nil)
	require.NoError(t, err)
	require.ErrorIs(t, views.Attach(t.Context(), cart.NewSummaries().Projection), eventstore.ErrInvalid)
}

// TestRename_Golden expects that the golden file of the old name stays, and shows the event
// as it is decoded today.
func TestRename_Golden(t *testing.T) {
	dir := goldenBefore(t)
	registry := called(t, newName, theRename)
	failed := &failures{TB: t}
	codectest.Golden(failed, registry, dir, samples...)
	require.Len(t, failed.texts, 2, "the new name has no sample, and the old one is something else today")

	t.Setenv("UPDATE_GOLDEN", "1")
	codectest.Golden(t, registry, dir, samples...)
	t.Setenv("UPDATE_GOLDEN", "")
	codectest.Golden(t, registry, dir)
	require.FileExists(t, filepath.Join(dir, newName+".1.json"))
	old, err := os.ReadFile(filepath.Join(dir, oldName+".1.json"))
	require.NoError(t, err)
	require.Contains(t, string(old), `"name": "`+newName+`"`)
}

// goldenBefore returns a directory with the samples from before the rename.
func goldenBefore(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("UPDATE_GOLDEN", "1")
	codectest.Golden(t, called(t, oldName), dir, samples...)
	t.Setenv("UPDATE_GOLDEN", "")
	return dir
}

// failures is a test that records its failures instead of failing.
type failures struct {
	testing.TB
	texts []string
}

func (f *failures) Errorf(format string, args ...any) {
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}
