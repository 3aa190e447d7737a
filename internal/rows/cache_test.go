package rows_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// counted counts the keys that are read.
type counted struct {
	plain
	read int
}

func (c *counted) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	c.read += len(keys)
	return c.plain.Get(keys...)
}

func TestCache_ReadsOnce(t *testing.T) {
	base := &counted{plain: plain{{"t", "a"}: []byte("1"), {"t", "b"}: []byte{}}}
	c := rows.NewCache(base, false)
	for range 3 {
		found, err := c.Get(key("t", "a"), key("t", "no"), key("t", "b"))
		require.NoError(t, err)
		require.Equal(t, []string{`t/a="1"`, `t/no=none`, `t/b=""`}, say(found...))
		for i := range found { // the caller owns them
			for _, bytes := range [][]byte{found[i].Key, found[i].Value} {
				clear(bytes)
			}
			_ = append(found[i].Key, "overflow"...)
		}
	}
	require.Equal(t, 3, base.read, "a row that is not there is remembered too")

	base.Put(row("t", "a", nil), row("t", "no", []byte("2")), row("t", "c", []byte("3")))
	c.Put(row("t", "a", nil), row("t", "no", []byte("2")), row("t", "c", []byte("3")))
	found, err := c.Get(key("t", "a"), key("t", "no"), key("t", "c"), key("u", "c"))
	require.NoError(t, err)
	require.Equal(t, []string{`t/a=none`, `t/no="2"`, `t/c="3"`, `u/c=none`}, say(found...))
	require.Equal(t, 4, base.read, "what was put need not be read")
	require.Equal(t, scanned(t, base, eventstore.RowScan{Table: "t"}), scanned(t, c, eventstore.RowScan{Table: "t"}))
}

// TestCache_KeepsWhatIsUsed expects that a row that is read often is read from the
// base once, although many other rows are read.
func TestCache_KeepsWhatIsUsed(t *testing.T) {
	base := &counted{plain: plain{{"t", "used"}: []byte("1")}}
	c := rows.NewBoundedCache(base, false, 10_000)
	const others = 1000
	for i := range others {
		_, err := c.Get(key("t", fmt.Sprint(i)), key("t", "used"))
		require.NoError(t, err)
	}
	require.Equal(t, others+1, base.read)
}

// TestCache_OverNothing expects that the base is read only after rows were
// forgotten.
func TestCache_OverNothing(t *testing.T) {
	base := &counted{plain: plain{}}
	c := rows.NewBoundedCache(base, true, 10_000)
	for i := range 20 {
		found, err := c.Get(key("t", fmt.Sprint(i)), key("t", "none"))
		require.NoError(t, err)
		require.Equal(t, []string{fmt.Sprintf("t/%d=none", i), "t/none=none"}, say(found...))
		base.Put(row("t", fmt.Sprint(i), []byte("1")))
		c.Put(row("t", fmt.Sprint(i), []byte("1")))
	}
	found, err := c.Get(key("t", "0"))
	require.NoError(t, err)
	require.Equal(t, []string{`t/0="1"`}, say(found...))
	require.Zero(t, base.read)

	large := row("t", "large", make([]byte, 5000)) // not cached
	base.Put(large)
	c.Put(large)
	found, err = c.Get(large.RowKey, key("t", "none"))
	require.NoError(t, err)
	require.Len(t, found[0].Value, 5000)
	require.Nil(t, found[1].Value)
	require.Equal(t, 2, base.read)
}

func TestCache_RemembersNoError(t *testing.T) {
	c := rows.NewCache(failing{plain{{"t", "k"}: []byte("1")}}, false)
	for range 2 {
		_, err := c.Get(key("t", "k"))
		require.ErrorIs(t, err, errBase)
	}
}

// TestCache_Model compares a small cache with its base.
func TestCache_Model(t *testing.T) {
	for range 20 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			limit := 200 * rnd.IntN(50)
			base := plain{}
			c := rows.NewBoundedCache(base, rnd.IntN(2) == 0, limit)
			for range 3000 {
				changed := randomRow(rnd)
				if rnd.IntN(50) == 0 {
					changed.Value = []byte(strings.Repeat("x", rnd.IntN(2*limit+1)))
				}
				if rnd.IntN(3) == 0 {
					base.Put(changed)
					c.Put(changed)
				}
				keys := []eventstore.RowKey{randomRow(rnd).RowKey, changed.RowKey}
				found, err := c.Get(keys...)
				require.NoError(t, err)
				expected, _ := base.Get(keys...)
				require.Equal(t, say(expected...), say(found...))
				require.LessOrEqual(t, c.Bytes(), limit)
			}
		})
	}
}

// TestCache_KeepsNoMoreThanTheValue puts values that are parts of larger arrays.
func TestCache_KeepsNoMoreThanTheValue(t *testing.T) {
	c := rows.NewCache(plain{}, false)
	for i := range 200 {
		b := rows.New(c)
		require.NoError(t, b.Put(row("t", fmt.Sprint(i), make([]byte, 1<<20))))
		require.NoError(t, b.Put(row("t", fmt.Sprint(i), []byte("small"))))
		c.Put(b.Rows()...)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	require.Less(t, m.HeapAlloc, uint64(100<<20))
	runtime.KeepAlive(c)
}
