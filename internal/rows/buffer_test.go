package rows_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// plain is rows in a map by table and key. It is a base, and the model.
type plain map[[2]string][]byte

func (p plain) Get(keys ...eventstore.RowKey) ([]eventstore.Row, error) {
	var found []eventstore.Row
	for _, key := range keys {
		value, ok := p[[2]string{key.Table, string(key.Key)}]
		found = append(found, eventstore.Row{RowKey: eventstore.RowKey{Table: key.Table, Key: bytes.Clone(key.Key)}})
		if ok {
			found[len(found)-1].Value = append([]byte{}, value...)
		}
	}
	return found, nil
}

func (p plain) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return func(yield func(eventstore.Row, error) bool) {
		var found []eventstore.Row
		for at, value := range p {
			key := []byte(at[1])
			if at[0] != scan.Table || bytes.Compare(key, scan.From) < 0 || len(scan.To) > 0 && bytes.Compare(key, scan.To) >= 0 {
				continue
			}
			found = append(found, row(at[0], at[1], append([]byte{}, value...)))
		}
		slices.SortFunc(found, func(a, b eventstore.Row) int { return bytes.Compare(a.Key, b.Key) })
		if scan.Backward {
			slices.Reverse(found)
		}
		for i, r := range found {
			if i > 0 && i == scan.Limit || !yield(r, nil) {
				return
			}
		}
	}
}

func (p plain) Put(rows ...eventstore.Row) {
	for _, r := range rows {
		at := [2]string{r.Table, string(r.Key)}
		if p[at] = append([]byte{}, r.Value...); r.Value == nil {
			delete(p, at)
		}
	}
}

func row(table, key string, value []byte) eventstore.Row {
	return eventstore.Row{RowKey: eventstore.RowKey{Table: table, Key: []byte(key)}, Value: value}
}

func key(table, key string) eventstore.RowKey { return row(table, key, nil).RowKey }

// say formats rows so that a nil value and an empty one differ.
func say(found ...eventstore.Row) []string {
	said := []string{}
	for _, r := range found {
		value := fmt.Sprintf("%q", r.Value)
		if r.Value == nil {
			value = "none"
		}
		said = append(said, fmt.Sprintf("%s/%s=%s", r.Table, r.Key, value))
	}
	return said
}

func scanned(t testing.TB, base rows.Base, scan eventstore.RowScan) []string {
	var found []eventstore.Row
	for r, err := range base.Scan(scan) {
		require.NoError(t, err)
		found = append(found, r)
	}
	return say(found...)
}

func TestBuffer_Get(t *testing.T) {
	base := plain{{"t", "under"}: []byte("1"), {"t", "both"}: []byte("2"), {"t", "gone"}: []byte("3")}
	b := rows.New(base)
	require.NoError(t, b.Put(row("t", "both", []byte("4")), row("t", "gone", nil), row("t", "empty", []byte{}), row("u", "under", []byte("5"))))

	found, err := b.Get(key("t", "gone"), key("t", "under"), key("t", "both"), key("t", "no"), key("t", "empty"), key("u", "under"), key("u", "both"))
	require.NoError(t, err)
	require.Equal(t, []string{`t/gone=none`, `t/under="1"`, `t/both="4"`, `t/no=none`, `t/empty=""`, `u/under="5"`, `u/both=none`}, say(found...))

	none, err := b.Get()
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestBuffer_RowsAreTheNetChanges(t *testing.T) {
	b := rows.New(plain{{"t", "x"}: []byte("under")})
	require.NoError(t, b.Put(row("u", "a", []byte("1")), row("t", "y", []byte("22")), row("t", "x", nil), row("t", "z", []byte("3"))))
	require.NoError(t, b.Put(row("u", "a", []byte("4444")), row("t", "z", nil), row("t", "x", []byte{}), row("t", "a", nil)))

	require.Equal(t, []string{`t/a=none`, `t/x=""`, `t/y="22"`, `t/z=none`, `u/a="4444"`}, say(b.Rows()...))
	n, size := b.Size()
	require.Equal(t, 5, n)
	require.Equal(t, 5+6, size)
}

func TestBuffer_CopiesWhatIsPutAndReturned(t *testing.T) {
	b := rows.New(plain{})
	put := row("t", "k", []byte("value"))
	require.NoError(t, b.Put(put))
	put.Key[0], put.Value[0] = 'x', 'x'
	for range 2 {
		found, err := b.Get(key("t", "k"))
		require.NoError(t, err)
		require.Equal(t, []string{`t/k="value"`}, say(found...))
		found[0].Key[0], found[0].Value[0] = 'x', 'x'
		for r, err := range b.Scan(eventstore.RowScan{Table: "t"}) {
			require.NoError(t, err)
			require.Equal(t, []string{`t/k="value"`}, say(r))
			r.Key[0], r.Value[0] = 'x', 'x'
			_ = append(r.Key, "overflow"...)
			require.Equal(t, "xalue", string(r.Value))
		}
	}
}

func TestBuffer_ScanShowsTheRowsAsTheyWereWhenRangingStarted(t *testing.T) {
	under := rows.New(plain{{"t", "b"}: []byte("base"), {"t", "d"}: []byte("base"), {"t", "e"}: []byte("base")})
	require.NoError(t, under.Put(row("t", "e", []byte("under"))))
	b := rows.New(under)
	require.NoError(t, b.Put(row("t", "a", []byte("own")), row("t", "c", []byte("own")), row("t", "f", []byte("own"))))
	scan := eventstore.RowScan{Table: "t"}
	before := scanned(t, b, scan)
	require.Equal(t, []string{`t/a="own"`, `t/b="base"`, `t/c="own"`, `t/d="base"`, `t/e="under"`, `t/f="own"`}, before)

	var outer, inner []eventstore.Row
	for r, err := range b.Scan(scan) {
		require.NoError(t, err)
		outer = append(outer, r)
		require.NoError(t, b.Put(row("t", "a"+string(r.Key), []byte("new")), row("t", "g"+string(r.Key), []byte("new")),
			row("t", "f", []byte(string(r.Key)+" changed")), row("t", "d", nil), row("t", "c", nil)))
		if string(r.Key) == "b" {
			now := scanned(t, b, scan)
			for r, err := range b.Scan(scan) {
				require.NoError(t, err)
				inner = append(inner, r)
				require.NoError(t, b.Put(row("t", "f", nil), row("t", "c", []byte("back"))))
			}
			require.Equal(t, now, say(inner...))
		}
	}
	require.Equal(t, before, say(outer...))
	require.Equal(t, `t/a="own"`, scanned(t, b, scan)[0])
	require.Contains(t, scanned(t, b, scan), `t/f="f changed"`)
	require.NotContains(t, scanned(t, b, scan), `t/c="own"`)
}

func TestBuffer_ScanLeavesAndLimits(t *testing.T) {
	b := rows.New(plain{{"t", "a"}: []byte("1"), {"t", "b"}: []byte("2"), {"t", "c"}: []byte("3")})
	require.NoError(t, b.Put(row("t", "a", nil), row("t", "b", nil)))
	require.Equal(t, []string{`t/c="3"`}, scanned(t, b, eventstore.RowScan{Table: "t", Limit: 1}))
	require.Empty(t, scanned(t, b, eventstore.RowScan{Table: "t", From: []byte("c"), To: []byte("a")}))
	for _, err := range b.Scan(eventstore.RowScan{Table: "t"}) {
		require.NoError(t, err)
		break
	}
	require.Panics(t, func() {
		for _, err := range b.Scan(eventstore.RowScan{Table: "t"}) {
			require.NoError(t, err)
			panic("in the loop's body")
		}
	})
	require.NoError(t, b.Put(row("t", "a", []byte("4"))), "the buffer is usable after a panic")
}

func TestBuffer_Merge(t *testing.T) {
	under := rows.New(plain{{"t", "b"}: []byte("base")})
	require.NoError(t, under.Put(row("t", "a", []byte("under")), row("t", "c", []byte("under"))))
	before := scanned(t, under, eventstore.RowScan{Table: "t"})
	var outer []eventstore.Row
	for r, err := range under.Scan(eventstore.RowScan{Table: "t"}) {
		require.NoError(t, err)
		if outer = append(outer, r); len(outer) > 1 {
			continue
		}
		over := rows.New(under) // merged while under is being scanned
		require.NoError(t, over.Put(row("t", "a", nil), row("t", "b", []byte("over")), row("t", "c", []byte("over")), row("u", "d", []byte("over"))))
		over.Close()
		require.NoError(t, under.Merge(over))
		_, err := over.Get(key("u", "d"))
		require.ErrorIs(t, err, rows.ErrEnded)
	}
	require.Equal(t, before, say(outer...), "the scan shows what was")
	require.Equal(t, []string{`t/b="over"`, `t/c="over"`}, scanned(t, under, eventstore.RowScan{Table: "t"}))
	require.Equal(t, []string{`t/a=none`, `t/b="over"`, `t/c="over"`, `u/d="over"`}, say(under.Rows()...))
	_, size := under.Size()
	require.Equal(t, 4+3*len("over"), size)

	under.Close()
	over := rows.New(under)
	require.NoError(t, over.Put(row("t", "a", []byte("late"))))
	over.Close()
	require.ErrorIs(t, under.Merge(over), rows.ErrEnded)
	require.Equal(t, []string{`t/a=none`, `t/b="over"`, `t/c="over"`, `u/d="over"`}, say(under.Rows()...))
}

func TestBuffer_Put_Invalid(t *testing.T) {
	limits := eventstore.StandardLimits()
	b := rows.New(plain{})
	long := strings.Repeat("n", limits.NameBytes+1)
	for _, test := range []struct {
		row  eventstore.Row
		want error
	}{
		{row("", "k", nil), eventstore.ErrInvalid},
		{row("a\x00b", "k", nil), eventstore.ErrInvalid},
		{row(long, "k", nil), eventstore.ErrTooLarge},
		{row("t", "", nil), eventstore.ErrInvalid},
		{row("t", strings.Repeat("k", limits.RowKeyBytes+1), nil), eventstore.ErrTooLarge},
		{row("t", "k", make([]byte, limits.RowValueBytes+1)), eventstore.ErrTooLarge},
	} {
		require.ErrorIs(t, b.Put(row("t", "good", []byte("1")), test.row), test.want)
	}
	n, _ := b.Size()
	require.Zero(t, n, "a refused Put puts nothing")
	_, err := b.Get(key("t", ""))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	for _, scan := range []eventstore.RowScan{{}, {Table: "t", Limit: -1}} {
		for _, err := range b.Scan(scan) {
			require.ErrorIs(t, err, eventstore.ErrInvalid)
		}
	}
	require.NoError(t, b.Put(row("t", strings.Repeat("k", limits.RowKeyBytes), make([]byte, limits.RowValueBytes))))
}

// failing is a base that fails after its first row.
type failing struct{ plain }

var errBase = errors.New("base failed")

func (f failing) Get(...eventstore.RowKey) ([]eventstore.Row, error) { return nil, errBase }

func (f failing) Scan(scan eventstore.RowScan) iter.Seq2[eventstore.Row, error] {
	return func(yield func(eventstore.Row, error) bool) {
		for r, err := range f.plain.Scan(scan) {
			if !yield(r, err) {
				return
			}
			yield(eventstore.Row{}, errBase)
			return
		}
	}
}

func TestBuffer_PassesOnTheErrorsOfTheBase(t *testing.T) {
	b := rows.New(rows.New(failing{plain{{"t", "k"}: nil}}))
	_, err := b.Get(key("t", "k"))
	require.ErrorIs(t, err, errBase)
	var errs []error
	for _, err := range b.Scan(eventstore.RowScan{Table: "t"}) {
		errs = append(errs, err)
	}
	require.Equal(t, []error{nil, errBase}, errs)
}

func TestBuffer_Close(t *testing.T) {
	b := rows.New(plain{{"t", "k"}: []byte("1"), {"t", "l"}: []byte("2")})
	require.NoError(t, b.Put(row("t", "m", []byte("3"))))
	var errs []error
	for _, err := range b.Scan(eventstore.RowScan{Table: "t"}) {
		errs = append(errs, err)
		b.Close()
	}
	require.Equal(t, []error{nil, rows.ErrEnded}, errs)
	_, err := b.Get(key("t", "k"))
	require.ErrorIs(t, err, rows.ErrEnded)
	require.ErrorIs(t, b.Put(row("t", "k", nil)), rows.ErrEnded)
	for _, err := range b.Scan(eventstore.RowScan{Table: "t"}) {
		require.ErrorIs(t, err, rows.ErrEnded)
	}
	b.Close()
	require.Equal(t, []string{`t/m="3"`}, say(b.Rows()...))
}

// TestBuffer_CloseFromAnotherGoroutine is for the race detector: after Close, the
// owner of the base may change it.
func TestBuffer_CloseFromAnotherGoroutine(t *testing.T) {
	for range 50 {
		group := rows.New(plain{{"t", "k"}: []byte("1")})
		tx := rows.New(group)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ; i++ {
				if err := tx.Put(row("t", fmt.Sprint(i), []byte("x"))); err != nil {
					return
				}
				_, _ = tx.Get(key("t", "k"))
				for r, err := range tx.Scan(eventstore.RowScan{Table: "t"}) {
					if err == nil {
						_ = tx.Put(eventstore.Row{RowKey: r.RowKey})
					}
				}
			}
		}()
		time.Sleep(time.Millisecond)
		tx.Close()
		require.NoError(t, group.Put(row("t", "k", []byte("2"))))
		require.Len(t, group.Rows(), 1)
		_ = tx.Rows()
		<-done
	}
}

func TestNewFault(t *testing.T) {
	first := eventstore.Event{Position: 7, Type: "added"}
	require.Equal(t, eventstore.Fault{Position: 7, Type: "added", Reason: "why"}, *rows.NewFault(first.Position, first.Type, errors.New("why")))
	for pad := range 4 {
		text := strings.Repeat("x", pad) + strings.Repeat("\U0001f6d2", 2000)
		reason := rows.NewFault(first.Position, first.Type, errors.New(text)).Reason
		require.True(t, strings.HasPrefix(text, reason))
		require.LessOrEqual(t, len(reason), 4096)
		require.Greater(t, len(reason), 4096-4)
		require.Equal(t, strings.ToValidUTF8(reason, "?"), reason)
	}
	exact := strings.Repeat("y", 4096)
	require.Equal(t, exact, rows.NewFault(first.Position, first.Type, errors.New(exact)).Reason)
}
