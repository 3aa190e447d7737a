package projection_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/internal/quote"
	"github.com/yore-es/yore/projection"
)

// keyed puts rows under keys with a projection, and returns the keys as the store
// has them, and as the table scans them.
func keyed[K comparable](t testing.TB, keys []K) (stored [][]byte, scanned []K) {
	t.Helper()
	p := projection.New("keyed", 1)
	table := projection.NewTable[K, int](p, "keys")
	projection.On(p, func(tx projection.Tx, _ fold.Event[ItemAdded]) error {
		for _, key := range keys {
			if err := table.In(tx).Put(key, 1); err != nil {
				return err
			}
		}
		return nil
	})
	store := memstore.New(nil)
	defer store.Close()
	add(t, store, "", "cart.item-added", 1, `{}`)
	require.NoError(t, newHost(t, store, shopRegistry(t)).CatchUp(t.Context(), p))
	for page, err := range store.ScanRows(t.Context(), "keyed@1.1", eventstore.RowScan{Table: "keys"}) {
		require.NoError(t, err)
		for _, row := range page.Rows {
			stored = append(stored, row.Key)
		}
	}
	for row, err := range table.Scan(t.Context(), store, projection.Range[K]{}) {
		require.NoError(t, err)
		scanned = append(scanned, row.Key)
	}
	return stored, scanned
}

// requireOrder checks that the store keeps the order of keys, that they are read as they
// were written, and that none is a prefix of another.
func requireOrder[K comparable](t testing.TB, keys []K, compare func(a, b K) int) {
	t.Helper()
	stored, scanned := keyed(t, keys)
	slices.SortFunc(keys, compare)
	keys = slices.CompactFunc(keys, func(a, b K) bool { return compare(a, b) == 0 })
	require.Equal(t, keys, scanned)
	require.Len(t, stored, len(keys), "no two keys have the same bytes")
	for i := range stored[1:] {
		require.False(t, bytes.HasPrefix(stored[i+1], stored[i]), "%v, %v", keys[i], keys[i+1])
	}
}

type (
	sku    string
	day    uint16
	degree int8
	cartID uuid.UUID
)

func TestKeys_OrderAndRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	requireOrder(t, strs[string](r), cmp.Compare[string])
	requireOrder(t, strs[sku](r), cmp.Compare[sku])
	requireOrder(t, ints[int](r, 0, -1, 1, math.MaxInt, math.MinInt, 255, 256, -256), cmp.Compare[int])
	requireOrder(t, ints[int64](r, 0, math.MaxInt64, math.MinInt64), cmp.Compare[int64])
	requireOrder(t, ints[degree](r, 0, -128, 127), cmp.Compare[degree])
	requireOrder(t, ints[uint64](r, 0, math.MaxUint64, math.MaxInt64, math.MaxInt64+1), cmp.Compare[uint64])
	requireOrder(t, ints[day](r, 0, math.MaxUint16), cmp.Compare[day])
	requireOrder(t, uuids[uuid.UUID](r), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	requireOrder(t, uuids[cartID](r), func(a, b cartID) int { return bytes.Compare(a[:], b[:]) })
	requireOrder(t, times(r), time.Time.Compare)

	var pairs []projection.Pair[string, degree]
	var nested []projection.Pair[projection.Pair[sku, time.Time], string]
	some, degrees, moments := strs[string](r)[:12], ints[degree](r, -1, 0), times(r)
	for range 500 {
		pairs = append(pairs, projection.PairOf(some[r.IntN(12)], degrees[r.IntN(9)]))
		nested = append(nested, projection.PairOf(projection.PairOf(sku(some[r.IntN(12)]), moments[r.IntN(6)]), some[r.IntN(12)]))
	}
	requireOrder(t, pairs, func(a, b projection.Pair[string, degree]) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Second, b.Second))
	})
	requireOrder(t, nested, func(a, b projection.Pair[projection.Pair[sku, time.Time], string]) int {
		return cmp.Or(cmp.Compare(a.First.First, b.First.First), a.First.Second.Compare(b.First.Second), cmp.Compare(a.Second, b.Second))
	})
}

func strs[S ~string](r *rand.Rand) []S {
	all := []S{"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "\xff", "\xff\xff", "a", "a\x00", "a\x00b", "a\x01", "ab", "ä"}
	for range 300 {
		var b []byte
		for range r.IntN(5) {
			b = append(b, []byte{0, 1, 2, 'a', 0xfe, 0xff}[r.IntN(6)])
		}
		all = append(all, S(b))
	}
	return all
}

func ints[I int | int64 | degree | uint64 | day](r *rand.Rand, all ...I) []I {
	for range 300 {
		all = append(all, I(r.Uint64()>>r.IntN(64)))
	}
	return all
}

func uuids[U ~[16]byte](r *rand.Rand) []U {
	all := []U{{}}
	for range 100 {
		var u U
		for i := range 16 {
			u[i] = byte(r.Uint32())
		}
		all = append(all, u)
	}
	return all
}

func times(r *rand.Rand) []time.Time {
	all := []time.Time{{}, time.Unix(0, 0).UTC(), time.Unix(-1, 999_999_999).UTC(), begin, begin.Add(1), begin.Add(-1)}
	for range 100 {
		all = append(all, time.Unix(r.Int64N(1<<40)-1<<39, r.Int64N(1e9)).UTC())
	}
	return all
}

func TestKeys_TimeIsAnInstant(t *testing.T) {
	here := begin.In(time.FixedZone("here", 3600))
	_, scanned := keyed(t, []time.Time{here, begin})
	require.Equal(t, []time.Time{begin}, scanned)
}

// FuzzKeys checks the order of the stored bytes of two pairs, and that wrong bytes
// are an error and no panic.
func FuzzKeys(f *testing.F) {
	f.Add("a", int64(1), "a\x00", int64(-1), []byte("x"))
	f.Add("", int64(0), "\x00\xff", int64(math.MinInt64), []byte{0, 0xff, 0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, a string, i int64, b string, j int64, wrong []byte) {
		const room = 4096 - 16 // in a key, for the string; a NUL takes two bytes
		if 2*max(len(a), len(b)) > room {
			return
		}
		x, y := projection.PairOf(a, i), projection.PairOf(b, j)
		stored, scanned := keyed(t, []projection.Pair[string, int64]{x, y})
		if x == y {
			require.Len(t, stored, 1)
			return
		}
		low, high := x, y
		if cmp.Or(strings.Compare(a, b), cmp.Compare(i, j)) > 0 {
			low, high = y, x
		}
		require.Equal(t, []projection.Pair[string, int64]{low, high}, scanned)
		readWrong(t, wrong)
	})
}

// readWrong scans a table that has a row with wrong bytes as its key.
func readWrong(t testing.TB, wrong []byte) {
	if len(wrong) == 0 || len(wrong) > 4096 {
		return
	}
	store, s := memstore.New(nil), newSales(1)
	defer store.Close()
	add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
	views := newHost(t, store, shopRegistry(t))
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	status, err := views.Status(t.Context(), s.Projection)
	require.NoError(t, err)
	set, err := store.GetRows(t.Context(), status.Build)
	require.NoError(t, err)
	next := set.Checkpoint
	next.Data = []byte("{}")
	require.NoError(t, store.CommitRows(t.Context(), eventstore.RowCommit{
		View: status.Build, Expected: set.Checkpoint, Checkpoint: next,
		Rows: []eventstore.Row{{RowKey: eventstore.RowKey{Table: "lines", Key: wrong}, Value: []byte("1")}},
	}))
	for row, err := range s.lines.Scan(t.Context(), store, projection.Range[projection.Pair[string, string]]{}) {
		if err != nil {
			require.Zero(t, row)
			require.ErrorContains(t, err, fmt.Sprintf("row %s: ", quote.Name(string(wrong))))
		}
	}
}

func TestKeys_WrongBytes(t *testing.T) {
	for _, wrong := range []string{"x", "x\x00", "x\x00\x01", "x\x00\x02y\x00\x01", "x\x00\x01y\x00\x01z", "\x00", "\x00\xff"} {
		readWrong(t, []byte(wrong))
	}
}

func TestRange(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	for _, line := range []string{`"a","quantity":3`, `"a\u0000","quantity":1`, `"ab","quantity":2`, `"b","quantity":2`, `"\u00ff","quantity":5`} {
		add(t, store, "cart-1", "cart.item-added", 1, `{"sku":`+line+`}`)
		add(t, store, "cart-10", "cart.item-added", 1, `{"sku":`+line+`}`)
	}
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	scan := func(r projection.Range[string]) string { return keysOf(t, s.pieces.Scan(t.Context(), store, r)) }
	require.Equal(t, `"a" "a\x00" "ab" "b" "ÿ"`, scan(projection.Range[string]{}))
	require.Equal(t, `"ÿ" "b"`, scan(projection.Range[string]{}.Backward().Limit(2)))
	require.Equal(t, `"a" "a\x00" "ab"`, scan(projection.Prefix("a")))
	require.Equal(t, `"a\x00"`, scan(projection.Prefix("a\x00")))
	require.Equal(t, `"a" "a\x00" "ab" "b" "ÿ"`, scan(projection.Prefix("")))
	require.Equal(t, `"ab" "b" "ÿ"`, scan(projection.AtLeast("aa")))
	require.Equal(t, `"a"`, scan(projection.LessThan("a\x00")))
	require.Equal(t, `"a" "a\x00"`, scan(projection.AtMost("a\x00")))
	require.Equal(t, `"b" "ab"`, scan(projection.AtMost("b\x00").Backward().Limit(2)))
	require.Equal(t, `"a\x00" "ab"`, scan(projection.Between("a\x00", "b")))
	require.Equal(t, `"a"`, scan(projection.Equal("a")))
	require.Empty(t, scan(projection.Between("b", "a")))

	lines := s.lines.Scan(t.Context(), store, projection.FirstEqual[string]("cart-1").Limit(9))
	require.Equal(t, `("cart-1", "a") ("cart-1", "a\x00") ("cart-1", "ab") ("cart-1", "b") ("cart-1", "ÿ")`, keysOf(t, lines))

	ranks := func(r projection.Range[int]) string { return keysOf(t, s.ranks.Scan(t.Context(), store, r)) }
	require.Equal(t, `"ÿ" "a" "b" "ab" "a\x00"`, ranks(projection.Range[int]{}.Backward()))
	require.Equal(t, `"ab" "b"`, ranks(projection.Equal(4)))
	require.Equal(t, `"a\x00" "ab" "b"`, ranks(projection.LessThan(6)))
	require.Equal(t, `"a\x00"`, ranks(projection.AtMost(3)))
	require.Equal(t, `"a\x00" "ab" "b" "a"`, ranks(projection.AtMost(6)), "all that have the last value")
	require.Equal(t, `"a\x00" "ab" "b" "a" "ÿ"`, ranks(projection.AtMost(math.MaxInt)))
	row, ok, err := s.ranks.Get(t.Context(), store, 4)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "ab", row.Key)
	require.Equal(t, eventstore.Position(10), row.At)
	_, ok, err = s.ranks.Get(t.Context(), store, 5)
	require.NoError(t, err)
	require.False(t, ok)

	for _, err := range s.pieces.Scan(t.Context(), store, projection.Range[string]{}.Limit(-1)) {
		require.ErrorIs(t, err, eventstore.ErrInvalid)
	}
}

func keysOf[K comparable, V any](t testing.TB, rows func(func(projection.Row[K, V], error) bool)) string {
	t.Helper()
	var keys []string
	for row, err := range rows {
		require.NoError(t, err)
		switch key := any(row.Key).(type) {
		case projection.Pair[string, string]:
			keys = append(keys, fmt.Sprintf("(%q, %q)", key.First, key.Second))
		case string:
			keys = append(keys, fmt.Sprintf("%q", key))
		default:
			keys = append(keys, fmt.Sprint(key))
		}
	}
	return strings.Join(keys, " ")
}
