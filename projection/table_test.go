package projection_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// members is a projection with a unique index: mail addresses by cart, taken
// from the SKU of what is added.
type members struct {
	*projection.Projection
	mails   *projection.Table[string, member]
	address *projection.Index[string, member, string]
}

type member struct {
	Mail string
	Tags map[string]bool `json:",omitempty"`
}

func newMembers() *members {
	m := &members{Projection: projection.New("members", 1)}
	m.mails = projection.NewTable[string, member](m.Projection, "mails")
	m.address = projection.NewUnique(m.mails, "address", func(m member) (string, bool) { return m.Mail, m.Mail != "" })
	projection.On(m.Projection, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
		return m.mails.In(tx).Put(string(e.Stream), member{Mail: e.Data.SKU})
	})
	projection.On(m.Projection, func(tx projection.Tx, e fold.Event[ItemRemoved]) error {
		return m.mails.In(tx).Delete(string(e.Stream))
	})
	return m
}

func (m *members) event(t testing.TB, store eventstore.Store, stream eventstore.StreamID, mail string) {
	name := "cart.item-added"
	if mail == "gone" {
		name = "cart.item-removed"
	}
	add(t, store, stream, name, 1, fmt.Sprintf(`{"sku":%q}`, mail))
}

func TestUnique(t *testing.T) {
	store, registry, m := newStore(t), shopRegistry(t), newMembers()
	views := newHost(t, store, registry)
	m.event(t, store, "cart-1", "ann@x")
	m.event(t, store, "cart-2", "bob@x")
	m.event(t, store, "cart-1", "ann@y") // frees ann@x
	m.event(t, store, "cart-3", "ann@x")
	m.event(t, store, "cart-3", "gone")
	m.event(t, store, "cart-4", "ann@x")
	m.event(t, store, "cart-4", "ann@x") // the same row again
	m.event(t, store, "cart-5", "")      // not listed, so it is not the same as
	m.event(t, store, "cart-6", "")
	require.NoError(t, views.CatchUp(t.Context(), m.Projection))
	row, ok, err := m.address.Get(t.Context(), store, "ann@x")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, projection.Row[string, member]{Key: "cart-4", Value: member{Mail: "ann@x"}, At: 9}, row)
	require.Equal(t, `"cart-4" "cart-1" "cart-2"`, keysOf(t, m.address.Scan(t.Context(), store, projection.Range[string]{})))

	m.event(t, store, "cart-7", "bob@x")
	err = views.CatchUp(t.Context(), m.Projection)
	var twice *projection.UniqueError
	require.ErrorAs(t, err, &twice)
	require.ErrorIs(t, err, projection.ErrNotUnique)
	require.Equal(t, projection.UniqueError{
		Projection: "members", Table: "mails", Index: "address", Value: "bob@x", Key: "cart-7", Other: "cart-2",
	}, *twice)
	require.ErrorContains(t, err, `rows "cart-2" and "cart-7" both have "bob@x"`)
	_, ok, err = m.mails.Get(t.Context(), store, "cart-7")
	require.NoError(t, err)
	require.False(t, ok)
}

func TestUnique_Inline(t *testing.T) {
	store, registry, m := newStore(t), shopRegistry(t), newMembers()
	views := newHost(t, store, registry)
	require.NoError(t, views.Attach(t.Context(), m.Projection))
	m.event(t, store, "cart-1", "ann@x")
	m.event(t, store, "cart-2", "ann@x")
	_, _, err := m.mails.Get(t.Context(), store, "cart-1")
	var faulted *eventstore.FaultedError
	require.ErrorAs(t, err, &faulted)
	require.Equal(t, eventstore.Position(1), faulted.Through)
	require.Equal(t, eventstore.Position(2), faulted.Fault.Position)
	require.Contains(t, faulted.Fault.Reason, `rows "cart-1" and "cart-2" both have "ann@x"`)
}

func TestTableTx(t *testing.T) {
	store, registry := newStore(t), shopRegistry(t)
	views := newHost(t, store, registry)
	add(t, store, "", "noted", 1, `{}`)
	p := projection.New("p", 1)
	table := projection.NewTable[int, member](p, "t")
	byMail := projection.NewIndex(table, "mail", func(m member) (string, bool) { return m.Mail, true })
	projection.On(p, func(tx projection.Tx, _ fold.Event[noted]) error {
		require.NoError(t, tx.Context().Err())
		rows := table.In(tx)
		require.NoError(t, rows.Put(1, member{Mail: "a", Tags: map[string]bool{"x": true}}))
		require.NoError(t, rows.Put(2, member{Mail: "b"}))
		require.NoError(t, rows.Update(1, func(m member) member {
			m.Tags["y"] = true // what it refers to is its own
			m.Mail = "c"
			return m
		}))
		require.NoError(t, rows.Update(3, func(m member) member { return member{Mail: m.Mail + "d"} }))
		require.NoError(t, rows.Delete(2))
		require.NoError(t, rows.Delete(9))
		row, ok, err := rows.Get(1)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, member{Mail: "c", Tags: map[string]bool{"x": true, "y": true}}, row)
		_, ok, err = rows.Get(2)
		require.NoError(t, err)
		require.False(t, ok)
		many, err := rows.GetMany(1, 2, 3)
		require.NoError(t, err)
		require.Equal(t, map[int]member{1: row, 3: {Mail: "d"}}, many)
		require.Equal(t, "1 3", keysOf(t, rows.Scan(projection.Range[int]{})))
		require.Equal(t, "3 1", keysOf(t, byMail.In(tx).Scan(projection.Range[string]{}.Backward())))
		found, ok, err := byMail.In(tx).Get("d")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 3, found.Key)
		for row, err := range rows.Scan(projection.Range[int]{}) { // writing meanwhile
			require.NoError(t, err)
			require.NoError(t, rows.Put(row.Key+100, row.Value))
		}
		return nil
	})
	require.NoError(t, views.CatchUp(t.Context(), p))
	require.Equal(t, "1 3 101 103", keysOf(t, table.Scan(t.Context(), store, projection.Range[int]{})))
	many, err := table.GetMany(t.Context(), store, 1, 2, 103)
	require.NoError(t, err)
	require.Len(t, many.ByKey, 2)
	require.Equal(t, eventstore.Position(1), many.At)
}

// TestTable_LimitsAreTheHandlersFault: an event whose handler writes too much fails, and can
// be skipped.
func TestTable_LimitsAreTheHandlersFault(t *testing.T) {
	store, registry := newStore(t), shopRegistry(t)
	views := newHost(t, store, registry)
	for range 3 {
		add(t, store, "", "noted", 1, `{}`)
	}
	p := projection.New("p", 1)
	table := projection.NewTable[string, int](p, "t")
	projection.On(p, func(tx projection.Tx, e fold.Event[noted]) error {
		switch e.Position {
		case 1:
			return table.In(tx).Put(strings.Repeat("x", 5000), 1)
		case 2:
			for i := range 65_537 {
				if err := table.In(tx).Put(fmt.Sprint(i), 1); err != nil {
					return err
				}
			}
			return nil
		}
		return table.In(tx).Put("last", 1)
	})
	require.ErrorIs(t, views.CatchUp(t.Context(), p), eventstore.ErrTooLarge)
	p.OnFailure = projection.Skip
	require.NoError(t, views.CatchUp(t.Context(), p))
	require.Equal(t, `"last"`, keysOf(t, table.Scan(t.Context(), store, projection.Range[string]{})))
	status, err := views.Status(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, uint64(2), status.SkippedCount)
	require.Contains(t, status.Skipped[0].Reason, "65537 rows in a commit, at most 65536")
}

// unreadable fails to read rows of a table.
type unreadable struct {
	*memstore.Store
	fail bool
}

func (u *unreadable) GetRows(ctx context.Context, view eventstore.ViewID, keys ...eventstore.RowKey) (eventstore.RowSet, error) {
	if u.fail && len(keys) > 0 {
		return eventstore.RowSet{}, eventstore.ErrCorrupt
	}
	return u.Store.GetRows(ctx, view, keys...)
}

// TestRun_StoreErrorsAreNotTheEventsFault: an event is neither skipped nor counted as applied
// because a row could not be read.
func TestRun_StoreErrorsAreNotTheEventsFault(t *testing.T) {
	for _, handler := range []func(error) error{
		func(err error) error { return err },
		func(error) error { return nil },
		func(error) error { return errors.New("of the handler's own") },
		func(err error) error { panic(err) },
	} {
		store, registry := &unreadable{Store: newStore(t)}, shopRegistry(t)
		views := newHost(t, store, registry)
		p := projection.New("p", 1)
		table := projection.NewTable[string, int](p, "t")
		p.OnFailure = projection.Skip
		projection.On(p, func(tx projection.Tx, _ fold.Event[noted]) error {
			_, _, err := table.In(tx).Get("x")
			if err != nil {
				return handler(err)
			}
			return table.In(tx).Update("x", func(n int) int { return n + 1 })
		})
		add(t, store, "", "noted", 1, `{}`)
		require.NoError(t, views.CatchUp(t.Context(), p))
		add(t, store, "", "noted", 1, `{}`)
		store.fail = true
		err := views.CatchUp(t.Context(), p)
		require.ErrorIs(t, err, eventstore.ErrCorrupt)
		var failed *projection.HandlerError
		require.False(t, errors.As(err, &failed))
		require.ErrorContains(t, err, `type "noted" at position 2`)

		store.fail = false
		require.NoError(t, views.CatchUp(t.Context(), p))
		x, ok, err := table.Get(t.Context(), store, "x")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, 2, x.Value)
	}
}
