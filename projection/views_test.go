package projection_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/codec"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// sales is the projection that most tests run: how many pieces of each SKU are in
// carts, in which carts, by pieces. Its handlers are not idempotent: an event
// that is skipped or doubled shows.
type sales struct {
	*projection.Projection
	pieces *projection.Table[string, sold]
	lines  *projection.Table[projection.Pair[string, string], int] // by cart and SKU
	ranks  *projection.Index[string, sold, int]
	// fail is asked before every event, if it is set.
	fail func(e eventstore.Event) error
}

type sold struct {
	Pieces int                   `json:"pieces"`
	Events int                   `json:"events"`
	Last   eventstore.Position   `json:"last"`
	First  []eventstore.Position `json:"first,omitempty"` // at most three
}

func newSales(version uint32) *sales {
	s := &sales{Projection: projection.New("sales", version)}
	s.pieces = projection.NewTable[string, sold](s.Projection, "pieces")
	s.lines = projection.NewTable[projection.Pair[string, string], int](s.Projection, "lines")
	s.ranks = projection.NewIndex(s.pieces, "rank", func(s sold) (int, bool) { return s.Pieces, s.Pieces > 0 })
	projection.On(s.Projection, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
		return s.add(tx, e.Event, e.Data.SKU, e.Data.Quantity)
	})
	projection.On(s.Projection, func(tx projection.Tx, e fold.Event[ItemRemoved]) error {
		return s.add(tx, e.Event, e.Data.SKU, -e.Data.Quantity)
	})
	return s
}

func (s *sales) add(tx projection.Tx, e eventstore.Event, sku string, quantity int) error {
	line := projection.PairOf(string(e.Stream), sku)
	n, _, err := s.lines.In(tx).Get(line)
	if err != nil {
		return err
	}
	if n += quantity; n == 0 {
		err = s.lines.In(tx).Delete(line)
	} else {
		err = s.lines.In(tx).Put(line, n)
	}
	if err != nil {
		return err
	}
	if s.fail != nil { // in the middle, so that what was written has to be forgotten
		if err := s.fail(e); err != nil {
			return err
		}
	}
	return s.pieces.In(tx).Update(sku, func(row sold) sold { return row.after(e, quantity) })
}

func (s sold) after(e eventstore.Event, quantity int) sold {
	s.Pieces += quantity
	s.Events++
	s.Last = e.Position
	if len(s.First) < 3 {
		s.First = append(s.First, e.Position)
	}
	return s
}

type (
	salesRows struct {
		Pieces map[string]sold
		Lines  map[projection.Pair[string, string]]int
	}
	skips map[eventstore.Position]bool
)

// fold returns the rows that the sales must have: the fold of the log up to a position,
// without the skipped events.
func foldSales(t testing.TB, store eventstore.Store, to eventstore.Position, skipped skips) salesRows {
	t.Helper()
	add := func(rows salesRows, e eventstore.Event, sku string, quantity int) salesRows {
		if skipped[e.Position] {
			return rows
		}
		rows.Pieces[sku] = rows.Pieces[sku].after(e, quantity)
		line := projection.PairOf(string(e.Stream), sku)
		if rows.Lines[line] += quantity; rows.Lines[line] == 0 {
			delete(rows.Lines, line)
		}
		return rows
	}
	f := fold.New(
		fold.OnEvent(func(rows salesRows, e fold.Event[ItemAdded]) salesRows {
			return add(rows, e.Event, e.Data.SKU, e.Data.Quantity)
		}),
		fold.OnEvent(func(rows salesRows, e fold.Event[ItemRemoved]) salesRows {
			return add(rows, e.Event, e.Data.SKU, -e.Data.Quantity)
		}))
	f.Initial = func() salesRows {
		return salesRows{map[string]sold{}, map[projection.Pair[string, string]]int{}}
	}
	if to == 0 {
		return f.Initial()
	}
	rows, _, err := f.Run(context.WithoutCancel(t.Context()), store, shopRegistry(t), &fold.Options{To: to})
	require.NoError(t, err)
	return rows
}

// read returns what the sales show, and the position.
func (s *sales) read(t testing.TB, r projection.Reader) (salesRows, eventstore.Position) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	rows := salesRows{map[string]sold{}, map[projection.Pair[string, string]]int{}}
	none, err := s.pieces.GetMany(ctx, r)
	require.NoError(t, err)
	var ranked, want []string
	for row, err := range s.pieces.Scan(ctx, r, projection.Range[string]{}) {
		require.NoError(t, err)
		require.Equal(t, none.At, row.At)
		rows.Pieces[row.Key] = row.Value
	}
	for row, err := range s.lines.Scan(ctx, r, projection.Range[projection.Pair[string, string]]{}) {
		require.NoError(t, err)
		rows.Lines[row.Key] = row.Value
	}
	last := 0
	for row, err := range s.ranks.Scan(ctx, r, projection.Range[int]{}) {
		require.NoError(t, err)
		require.Equal(t, rows.Pieces[row.Key], row.Value, "the index holds the row")
		require.GreaterOrEqual(t, row.Value.Pieces, last)
		last = row.Value.Pieces
		ranked = append(ranked, row.Key)
	}
	for sku, row := range rows.Pieces {
		if row.Pieces > 0 {
			want = append(want, sku)
		}
	}
	require.ElementsMatch(t, want, ranked, "the index holds every row that is listed")
	return rows, none.At
}

// require checks that the sales show the fold of the log up to where they are.
func (s *sales) require(t testing.TB, store eventstore.RowStore, skipped skips) eventstore.Position {
	t.Helper()
	got, at := s.read(t, store)
	require.Equal(t, foldSales(t, store, at, skipped), got)
	return at
}

// requireHead checks that they show the whole log.
func (s *sales) requireHead(t testing.TB, store eventstore.RowStore) {
	t.Helper()
	got, _ := s.read(t, store)
	require.Equal(t, foldSales(t, store, head(t, store), nil), got)
}

func head(t testing.TB, store eventstore.Store) eventstore.Position {
	h, err := store.Head(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	return h
}

func shopRegistry(t testing.TB) *codec.Registry {
	b := codec.NewBuilder()
	codec.Register[ItemAdded](b, "cart.item-added", 1)
	codec.Register[ItemRemoved](b, "cart.item-removed", 1)
	codec.Register[noted](b, "noted", 1)
	registry, err := b.Build()
	require.NoError(t, err)
	return registry
}

// shop appends random events of a few carts.
type shop struct {
	rand *rand.Rand
	held map[string]map[string]int
}

func newShop(seed uint64) *shop {
	return &shop{rand: rand.New(rand.NewPCG(seed, 0)), held: map[string]map[string]int{}}
}

// trade appends n events, in commits of one to five.
func (s *shop) trade(t testing.TB, store eventstore.Store, n int) {
	t.Helper()
	for n > 0 {
		commit := eventstore.Commit{}
		carts := map[string]bool{}
		for range min(n, 1+s.rand.IntN(5)) {
			cart, event := s.event()
			commit.Events = append(commit.Events, event)
			carts[cart] = true
		}
		for cart := range maps.Keys(carts) {
			commit.Expect = append(commit.Expect, eventstore.Expect{Stream: eventstore.StreamID(cart), At: eventstore.Any})
		}
		_, err := store.Append(context.WithoutCancel(t.Context()), commit)
		require.NoError(t, err)
		n -= len(commit.Events)
	}
}

func (s *shop) event() (string, eventstore.NewEvent) {
	cart, sku := fmt.Sprintf("cart-%d", s.rand.IntN(7)), fmt.Sprintf("sku\x00%d", s.rand.IntN(9))
	if s.held[cart] == nil {
		s.held[cart] = map[string]int{}
	}
	name, quantity := "cart.item-added", 1+s.rand.IntN(3)
	switch {
	case s.rand.IntN(4) == 0:
		name = "noted" // not handled
	case s.held[cart][sku] > 0 && s.rand.IntN(2) == 0:
		name, quantity = "cart.item-removed", s.held[cart][sku]
		s.held[cart][sku] = 0
	default:
		s.held[cart][sku] += quantity
	}
	return cart, eventstore.NewEvent{
		Stream: eventstore.StreamID(cart), Type: name, SchemaVersion: 1, Codec: codec.JSON,
		Data: fmt.Appendf(nil, `{"sku":"sku\u0000%s","quantity":%d}`, sku[4:], quantity),
	}
}

// host is a host of projections, and its store.
type host struct {
	*projection.Host
	store eventstore.RowStore
}

// newHost returns a host that logs nothing.
func newHost(t testing.TB, store eventstore.RowStore, registry *codec.Registry) *host {
	t.Helper()
	return newHostWith(t, store, registry, projection.Options{Logger: slog.New(slog.DiscardHandler)})
}

func newHostWith(t testing.TB, store eventstore.RowStore, registry *codec.Registry, opts projection.Options) *host {
	t.Helper()
	views, err := projection.NewHost(store, registry, &opts)
	require.NoError(t, err)
	return &host{views, store}
}

// impatient are the options of a host that logs nothing and tries again at once.
func impatient() projection.Options {
	return projection.Options{Logger: slog.New(slog.DiscardHandler), MinBackoff: time.Microsecond, MaxBackoff: time.Millisecond}
}

func newStore(t testing.TB) *memstore.Store {
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}
