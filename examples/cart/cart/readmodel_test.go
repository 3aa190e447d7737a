package cart_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/examples/cart/cart"
	"github.com/yore-es/yore/projection"
)

// all is more rows than any test has.
const all = math.MaxInt32

// randomCommand returns a command for one of five carts and one of four items. The five
// carts are replaced after 40 commands.
func randomCommand(r *rand.Rand, i int) cart.Command {
	id, sku := fmt.Sprint("c-", i/40, "-", r.IntN(5)), string(rune('a'+r.IntN(4)))
	switch r.IntN(8) {
	case 0, 1, 2:
		description := ""
		if n := r.IntN(3); n > 0 {
			description = fmt.Sprint(sku, n)
		}
		return cart.AddItem{
			Cart: id, SKU: sku, Description: description, Quantity: r.Int64N(3) + 1, UnitPrice: cart.Money(r.Int64N(3)+1) * 500,
		}
	case 3, 4:
		return cart.SetQuantity{Cart: id, SKU: sku, Quantity: r.Int64N(6) + 1}
	case 5, 6:
		return cart.RemoveItem{Cart: id, SKU: sku}
	default:
		return cart.Checkout{Cart: id}
	}
}

func newViews(t *testing.T, store eventstore.RowStore) *projection.Host {
	views, err := projection.NewHost(store, registry(t), nil)
	require.NoError(t, err)
	return views
}

// TestReadModels_ShowWhatTheFoldsSay sends random commands, and compares the read models
// after each command with the carts and the fold.
func TestReadModels_ShowWhatTheFoldsSay(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	carts, err := aggregate.NewRepository(store, registry(t), cart.Decider, nil)
	require.NoError(t, err)
	summaries, ranking := cart.NewSummaries(), cart.NewRanking()
	require.NoError(t, newViews(t, store).Attach(t.Context(), summaries.Projection))

	ids := make(map[string]eventstore.Receipt) // the last one of each cart
	sold := 0
	for i := range 400 {
		cmd := randomCommand(random, i)
		res, err := carts.Execute(t.Context(), cmd.CartID(), cmd)
		if refusal := (*cart.Refusal)(nil); errors.As(err, &refusal) {
			continue
		}
		require.NoError(t, err)
		if len(res.Events) > 0 {
			ids[cmd.CartID()] = res.Receipt
		}
		state, version, err := summaries.Load(t.Context(), store, cmd.CartID())
		require.NoError(t, err)
		requireSame(t, res.State, state)
		require.Equal(t, res.Version, version)
		if state.CheckedOut {
			sold++
			require.NoError(t, newViews(t, store).CatchUp(t.Context(), ranking.Projection))
			requireRanking(t, store, ranking, store)
		}
	}
	require.Greater(t, sold, 10)
	requireSummaries(t, store, summaries, carts, ids)
	view, err := projection.Build(t.Context(), store, registry(t), ranking.Projection, nil)
	require.NoError(t, err)
	requireRanking(t, store, ranking, view)
}

func requireSame(t *testing.T, want, got cart.State) {
	t.Helper()
	require.Equal(t, want.CheckedOut, got.CheckedOut)
	require.Len(t, got.Lines, len(want.Lines))
	for i := range want.Lines {
		require.Equal(t, want.Lines[i], got.Lines[i])
	}
}

// requireRanking compares the best sellers with the fold.
func requireRanking(t *testing.T, store eventstore.Store, r *cart.Ranking, from projection.Reader) {
	t.Helper()
	sales, _, err := cart.BestSellers().Run(t.Context(), store, registry(t), nil)
	require.NoError(t, err)
	for _, n := range []int{1, 2, all} {
		want := sales.ByPieces(n)
		got, err := r.ByPieces(t.Context(), from, n)
		require.NoError(t, err)
		require.Equal(t, slices.Concat(want), slices.Concat(got)) // nil where there are none
		want = sales.ByRevenue(n)
		got, err = r.ByRevenue(t.Context(), from, n)
		require.NoError(t, err)
		require.Equal(t, slices.Concat(want), slices.Concat(got))
	}
}

// requireSummaries compares the list of carts with the carts themselves.
func requireSummaries(
	t *testing.T, store projection.Reader, s *cart.Summaries,
	carts *aggregate.Repository[cart.State, cart.Command, cart.Event], last map[string]eventstore.Receipt,
) {
	t.Helper()
	var want []cart.Summary
	for id, receipt := range last {
		state, version, err := carts.Load(t.Context(), id)
		require.NoError(t, err)
		want = append(want, cart.Summary{
			Cart: id, Version: version, Lines: int64(len(state.Lines)), Pieces: state.Pieces(), Total: state.Total(),
			CheckedOut: state.CheckedOut, Changed: receipt.Recorded.UTC(),
		})
	}
	byTotal, err := s.ByTotal(t.Context(), store, all)
	require.NoError(t, err)
	require.ElementsMatch(t, want, byTotal)
	require.True(t, slices.IsSortedFunc(byTotal, func(a, b cart.Summary) int {
		if a.Total == b.Total {
			return slices.Compare([]byte(a.Cart), []byte(b.Cart))
		}
		return int(b.Total - a.Total)
	}))
	byChange, err := s.ByChange(t.Context(), store, all)
	require.NoError(t, err)
	require.ElementsMatch(t, want, byChange)
	require.True(t, slices.IsSortedFunc(byChange, func(a, b cart.Summary) int { return b.Changed.Compare(a.Changed) }))
	first, err := s.ByChange(t.Context(), store, 2)
	require.NoError(t, err)
	require.Equal(t, byChange[:2], first)
}

// TestRanking_ForgetsCartsThatAreCheckedOut expects that the lines of a cart are deleted
// when the cart is checked out.
func TestRanking_ForgetsCartsThatAreCheckedOut(t *testing.T) {
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	carts, err := aggregate.NewRepository(store, registry(t), cart.Decider, nil)
	require.NoError(t, err)
	ranking := cart.NewRanking()
	lines := func() (n int) {
		require.NoError(t, newViews(t, store).CatchUp(t.Context(), ranking.Projection))
		status, err := newViews(t, store).Status(t.Context(), ranking.Projection)
		require.NoError(t, err)
		for page, err := range store.ScanRows(t.Context(), status.Build, eventstore.RowScan{Table: "lines"}) {
			require.NoError(t, err)
			n += len(page.Rows)
		}
		return n
	}
	for i, cmd := range []cart.Command{add(heart, 1, 1000), add(heart, 2, 2000), add(lantern, 1, 1000)} {
		_, err := carts.Execute(t.Context(), cmd.CartID(), cmd)
		require.NoError(t, err)
		require.Equal(t, i+1, lines())
	}
	_, err = carts.Execute(t.Context(), "7", cart.Checkout{Cart: "7"})
	require.NoError(t, err)
	require.Zero(t, lines())
}

func TestRanking_NothingWraps(t *testing.T) {
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	carts, err := aggregate.NewRepository(store, registry(t), cart.Decider, nil)
	require.NoError(t, err)
	for _, cmd := range []cart.Command{
		cart.AddItem{Cart: "1", SKU: "a", Quantity: math.MaxInt64, UnitPrice: 1},
		cart.AddItem{Cart: "2", SKU: "a", Quantity: 1, UnitPrice: 1},
		cart.Checkout{Cart: "1"},
		cart.Checkout{Cart: "2"},
	} {
		_, err := carts.Execute(t.Context(), cmd.CartID(), cmd)
		require.NoError(t, err)
	}
	ranking := cart.NewRanking()
	view, err := projection.Build(t.Context(), store, registry(t), ranking.Projection, nil)
	require.NoError(t, err)
	sellers, err := ranking.ByRevenue(t.Context(), view, 1)
	require.NoError(t, err)
	require.Equal(t, []cart.Seller{{SKU: "a", Pieces: math.MaxInt64, Revenue: math.MaxInt64, AtLeast: true}}, sellers)
}

func TestSummaries_Load_UnknownCart(t *testing.T) {
	store := memstore.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	carts, err := aggregate.NewRepository(store, registry(t), cart.Decider, nil)
	require.NoError(t, err)
	_, err = carts.Execute(t.Context(), "somebody", add(heart, 1, 1000))
	require.NoError(t, err)
	summaries := cart.NewSummaries()
	_, _, err = summaries.Load(t.Context(), store, "nobody")
	require.ErrorIs(t, err, projection.ErrNeverRun)
	require.NoError(t, newViews(t, store).Attach(t.Context(), summaries.Projection))
	state, version, err := summaries.Load(t.Context(), store, "nobody")
	require.NoError(t, err)
	require.Zero(t, version)
	require.Zero(t, state)
}
