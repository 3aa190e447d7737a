package projection_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// pager is a projection whose events put and delete rows by key. There are few different
// values, which many rows share.
type pager struct {
	*projection.Projection
	rows    *projection.Table[string, int]
	byValue *projection.Index[string, int, int]
}

func newPager(name string) *pager {
	p := &pager{Projection: projection.New(name, 1)}
	p.rows = projection.NewTable[string, int](p.Projection, "rows")
	p.byValue = projection.NewIndex(p.rows, "value", func(n int) (int, bool) { return n, true })
	projection.On(p.Projection, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
		return p.rows.In(tx).Put(e.Data.SKU, e.Data.Quantity)
	})
	projection.On(p.Projection, func(tx projection.Tx, e fold.Event[ItemRemoved]) error {
		return p.rows.In(tx).Delete(e.Data.SKU)
	})
	return p
}

func putRow(t testing.TB, store eventstore.Store, key string, value int) {
	add(t, store, "cart-1", "cart.item-added", 1, fmt.Sprintf(`{"sku":%q,"quantity":%d}`, key, value))
}

// TestPage reads rows page by page, many of them with the same value, while rows are added
// before and after the page and its last row is deleted. Each row that exists all the time
// comes once.
func TestPage(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, backward := range []bool{false, true} {
		for _, indexed := range []bool{false, true} {
			store, p := newStore(t), newPager("p")
			views := newHost(t, store, shopRegistry(t))
			require.NoError(t, views.Attach(t.Context(), p.Projection))
			kept := map[string]bool{}
			for i := range 300 {
				key := fmt.Sprintf("%03d", i)
				putRow(t, store, key, i%3)
				kept[key] = true
			}
			var keys []string
			var cursor projection.Cursor
			for pages := 0; pages == 0 || cursor != ""; pages++ {
				page := p.page(t, store, indexed, backward, 1+random.IntN(20), cursor)
				require.Equal(t, head(t, store), page.At)
				require.NotEmpty(t, page.Rows)
				for _, row := range page.Rows {
					keys = append(keys, row.Key)
				}
				cursor = page.Next
				last := page.Rows[len(page.Rows)-1].Key
				add(t, store, "cart-1", "cart.item-removed", 1, fmt.Sprintf(`{"sku":%q}`, last))
				delete(kept, last)
				putRow(t, store, fmt.Sprintf("%03d+%d", random.IntN(300), pages), random.IntN(3))
			}
			seen := map[string]bool{}
			for _, key := range keys {
				require.False(t, seen[key], "%s comes twice", key)
				seen[key] = true
			}
			for key := range kept {
				require.True(t, seen[key], "%s is missing", key)
			}
		}
	}
}

func (p *pager) page(t testing.TB, r projection.Reader, indexed, backward bool, limit int, after projection.Cursor) projection.Page[string, int] {
	t.Helper()
	require.Equal(t, string(after), url.QueryEscape(string(after)), "it fits into a URL")
	keys, values := projection.Range[string]{}.Limit(limit).After(after), projection.Range[int]{}.Limit(limit).After(after)
	if backward {
		keys, values = keys.Backward(), values.Backward()
	}
	page, err := p.rows.Page(t.Context(), r, keys)
	if indexed {
		page, err = p.byValue.Page(t.Context(), r, values)
	}
	require.NoError(t, err)
	return page
}

// TestPage_Ranges: pages of a range, forward and backward, are the range, and a
// cursor never leads out of it.
func TestPage_Ranges(t *testing.T) {
	store, registry, p := newStore(t), shopRegistry(t), newPager("p")
	for i, key := range []string{"a", "b", "c", "d", "e", "f"} {
		putRow(t, store, key, i/2)
	}
	require.NoError(t, newHost(t, store, registry).CatchUp(t.Context(), p.Projection))
	view, err := projection.Build(t.Context(), store, registry, p.Projection, nil)
	require.NoError(t, err)
	for _, r := range []projection.Reader{store, view} {
		require.Equal(t, "abcdef", p.pages(t, r, projection.Range[int]{}))
		require.Equal(t, "abcdef", p.pages(t, r, projection.Range[int]{}.Limit(6)), "there are no more")
		require.Equal(t, "abcdef", p.pages(t, r, projection.Range[int]{}.Limit(math.MaxInt)))
		require.Equal(t, "abc def", p.pages(t, r, projection.Range[int]{}.Limit(3)))
		require.Equal(t, "fed cba", p.pages(t, r, projection.Range[int]{}.Limit(3).Backward()))
		require.Equal(t, "c d", p.pages(t, r, projection.Equal(1).Limit(1)))
		require.Equal(t, "dcb a", p.pages(t, r, projection.AtMost(1).Limit(3).Backward()))
		require.Empty(t, p.pages(t, r, projection.Equal(9)))

		page, err := p.byValue.Page(t.Context(), r, projection.AtLeast(2).Limit(1))
		require.NoError(t, err)
		rest := func(values projection.Range[int]) string { // after e
			return keysOf(t, p.byValue.Scan(t.Context(), r, values.After(page.Next)))
		}
		require.Equal(t, `"f"`, rest(projection.Range[int]{}))
		require.Equal(t, `"d" "c" "b" "a"`, rest(projection.Range[int]{}.Backward()))
		require.Empty(t, rest(projection.AtMost(1)))
		require.Equal(t, `"d" "c"`, rest(projection.Equal(1).Backward()), "the cursor is behind the range")
		require.Empty(t, rest(projection.AtLeast(3)))
	}
	_, err = p.rows.Page(t.Context(), store, projection.Range[string]{}.Limit(-1))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, err = newPager("q").rows.Page(t.Context(), store, projection.Range[string]{})
	require.ErrorIs(t, err, projection.ErrNeverRun)
}

// pages returns the keys of a range of a log of six events, with a blank between
// pages.
func (p *pager) pages(t testing.TB, r projection.Reader, values projection.Range[int]) (keys string) {
	t.Helper()
	for {
		page, err := p.byValue.Page(t.Context(), r, values)
		require.NoError(t, err)
		require.Equal(t, eventstore.Position(6), page.At, "also of an empty page")
		for _, row := range page.Rows {
			require.Equal(t, page.At, row.At)
			keys += row.Key
		}
		if page.Next == "" {
			return keys
		}
		keys += " "
		values = values.After(page.Next)
	}
}

// TestGet_None: a Get without a row returns the position of the checkpoint.
func TestGet_None(t *testing.T) {
	store, p := newStore(t), newPager("p")
	putRow(t, store, "a", 1)
	putRow(t, store, "b", 1)
	require.NoError(t, newHost(t, store, shopRegistry(t)).CatchUp(t.Context(), p.Projection))
	row, ok, err := p.rows.Get(t.Context(), store, "x")
	require.NoError(t, err)
	require.False(t, ok)
	require.Equal(t, projection.Row[string, int]{At: 2}, row)
	row, ok, err = p.byValue.Get(t.Context(), store, 9)
	require.NoError(t, err)
	require.False(t, ok)
	require.Equal(t, projection.Row[string, int]{At: 2}, row)
	row, ok, err = p.byValue.Get(t.Context(), store, 1)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, projection.Row[string, int]{Key: "a", Value: 1, At: 2}, row)
}

// TestPage_Many reads a page of more rows than a store reads at once.
func TestPage_Many(t *testing.T) {
	store, p := newStore(t), newPager("p")
	for i := range 1000 {
		putRow(t, store, fmt.Sprintf("%03d", i), 1)
	}
	require.NoError(t, newHost(t, store, shopRegistry(t)).CatchUp(t.Context(), p.Projection))
	page := p.page(t, store, true, false, 999, "")
	require.Len(t, page.Rows, 999)
	page = p.page(t, store, true, false, 999, page.Next)
	require.Equal(t, []projection.Row[string, int]{{Key: "999", Value: 1, At: 1000}}, page.Rows)
}

// TestPage_InAHandler scans after a cursor in a handler.
func TestPage_InAHandler(t *testing.T) {
	store, p := newStore(t), newPager("p")
	views := newHost(t, store, shopRegistry(t))
	for i := range 5 {
		putRow(t, store, fmt.Sprint(i), 7)
	}
	require.NoError(t, views.CatchUp(t.Context(), p.Projection))
	rows, values := p.page(t, store, false, false, 2, "").Next, p.page(t, store, true, false, 3, "").Next
	p = newPager("p")
	projection.On(p.Projection, func(tx projection.Tx, _ fold.Event[noted]) error {
		require.Equal(t, `"2" "3" "4"`, keysOf(t, p.rows.In(tx).Scan(projection.Range[string]{}.After(rows))))
		require.Equal(t, `"3" "4"`, keysOf(t, p.byValue.In(tx).Scan(projection.Range[int]{}.After(values))))
		for _, err := range p.rows.In(tx).Scan(projection.Range[string]{}.After(values)) {
			require.ErrorIs(t, err, eventstore.ErrInvalid)
			require.ErrorContains(t, err, `table "rows": invalid: cursor `)
		}
		return errors.New("seen")
	})
	add(t, store, "", "noted", 1, `{}`)
	_, err := projection.Build(t.Context(), store, shopRegistry(t), p.Projection, nil)
	require.ErrorContains(t, err, "seen")
}

// TestCursor_Wrong: a cursor that is damaged, or is of another table or index, is refused.
func TestCursor_Wrong(t *testing.T) {
	store, registry, p, other := newStore(t), shopRegistry(t), newPager("p"), newPager("other")
	putRow(t, store, "a", 1)
	putRow(t, store, "b", 1)
	require.NoError(t, newHost(t, store, registry).CatchUp(t.Context(), p.Projection, other.Projection))
	cursor := p.page(t, store, true, false, 1, "").Next
	require.Equal(t, "b", p.page(t, store, true, false, 1, cursor).Rows[0].Key)

	wrong := []projection.Cursor{
		p.page(t, store, false, false, 1, "").Next,
		other.page(t, store, true, false, 1, "").Next,
		"x", "~", "AAAA", "AAAAAA", cursor + "A", cursor + "\n", cursor + "=", cursor[1:], cursor[:len(cursor)-1],
		projection.Cursor(strings.Repeat("A", 100_000)),
	}
	for i := range cursor {
		damaged := []byte(cursor)
		damaged[i] ^= 1
		wrong = append(wrong, projection.Cursor(damaged))
	}
	for _, c := range wrong {
		_, err := p.byValue.Page(t.Context(), store, projection.Range[int]{}.After(c))
		require.ErrorIs(t, err, eventstore.ErrInvalid, c)
		require.ErrorContains(t, err, "is damaged, or is of another table or index")
		require.Less(t, len(err.Error()), 500)
		for _, err := range p.byValue.Scan(t.Context(), store, projection.Range[int]{}.After(c)) {
			require.ErrorIs(t, err, eventstore.ErrInvalid, c)
		}
	}
}

// FuzzCursor: any text as a cursor is an error, or is exactly the cursor of the row before
// the rows that are read.
func FuzzCursor(f *testing.F) {
	store, p := newStore(f), newPager("p")
	for i := range 10 {
		putRow(f, store, fmt.Sprint(i), i%2)
	}
	require.NoError(f, newHost(f, store, shopRegistry(f)).CatchUp(f.Context(), p.Projection))
	f.Add("")
	f.Add("AAAAAAAA")
	var cursors []string
	for limit := range 9 {
		cursor := string(p.page(f, store, true, false, 1+limit, "").Next)
		cursors = append(cursors, cursor)
		f.Add(cursor)
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(cursor)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		page, err := p.byValue.Page(t.Context(), store, projection.Range[int]{}.After(projection.Cursor(text)))
		at := slices.Index(cursors, text)
		switch {
		case text == "":
			require.Len(t, page.Rows, 10)
		case at >= 0:
			require.NoError(t, err)
			require.Len(t, page.Rows, 9-at)
		default:
			require.ErrorIs(t, err, eventstore.ErrInvalid)
		}
	})
}
