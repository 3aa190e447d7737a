package projection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

// TestTable_DeclaredOtherwise: a program that reads a version with other tables than it was
// built with gets an error, and never a table without rows.
func TestTable_DeclaredOtherwise(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 10)
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	view, err := projection.Build(t.Context(), store, registry, s.Projection, nil)
	require.NoError(t, err)

	p := projection.New("sales", 1)
	pieces := projection.NewTable[int64, int](p, "pieces")
	byCount := projection.NewIndex(pieces, "count", func(n int) (int, bool) { return n, true })
	_, _, getErr := pieces.Get(t.Context(), store, 7)
	_, _, viewErr := pieces.Get(t.Context(), view, 7)
	_, _, indexErr := byCount.Get(t.Context(), store, 7)
	_, statusErr := views.Status(t.Context(), p)
	errs := []error{getErr, viewErr, indexErr, statusErr, views.Wait(t.Context(), 10, p)}
	for _, err := range pieces.Scan(t.Context(), store, projection.Range[int64]{}) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 6)
	for _, err := range errs {
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, `version 1 was built without table "pieces" index "count" int unique false, table "pieces" int, `+
			`but with table "lines" (string,string), table "pieces" index "rank" int unique false, table "pieces" string: raise the version, or Rebuild`)
	}

	// A later version with these tables is another matter.
	other := projection.New("sales", 2)
	_, _, err = projection.NewTable[int64, int](other, "pieces").Get(t.Context(), store, 7)
	require.ErrorIs(t, err, projection.ErrNeverRun)
}

// TestTable_DeclaredInPart: a program that reads rows declares only the tables that it reads.
func TestTable_DeclaredInPart(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 100)
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	p := projection.New("sales", 1)
	lines := projection.NewTable[projection.Pair[string, string], int](p, "lines")
	want, _ := s.read(t, store)
	for row, err := range lines.Scan(t.Context(), store, projection.Range[projection.Pair[string, string]]{}) {
		require.NoError(t, err)
		require.Equal(t, want.Lines[row.Key], row.Value)
		delete(want.Lines, row.Key)
	}
	require.Empty(t, want.Lines)
	require.NoError(t, views.Wait(t.Context(), 100, projection.New("sales", 1)), "without any table")

	none := projection.New("none", 1)
	projection.On(none, func(projection.Tx, fold.Event[ItemAdded]) error { return nil })
	require.NoError(t, views.CatchUp(t.Context(), none))
	_, _, err := projection.NewTable[string, int](projection.New("none", 1), "t").Get(t.Context(), store, "x")
	require.ErrorContains(t, err, `version 1 was built without table "t" string: raise`)
}

// TestTable_WithoutKnownTables: a build whose pointer does not list its tables can be read,
// and so can one with more tables than a pointer can hold.
func TestTable_WithoutKnownTables(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 100)
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	var pointer map[string]any
	set, err := store.GetRows(t.Context(), "sales")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(set.Checkpoint.Data, &pointer))
	live := pointer["live"].(map[string]any)
	require.NotEmpty(t, live["tables"])
	delete(live, "tables")
	data, err := json.Marshal(pointer)
	require.NoError(t, err)
	require.NoError(t, store.CommitRows(t.Context(), eventstore.RowCommit{
		View: "sales", Expected: set.Checkpoint, Checkpoint: eventstore.Checkpoint{Data: data},
	}))
	s.requireHead(t, store)
	newShop(2).trade(t, store, 100)
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	s.requireHead(t, store)

	many := projection.New("many", 1)
	table := projection.NewTable[string, int](many, strings.Repeat("t", 100))
	for i := range 1000 {
		projection.NewIndex(table, fmt.Sprint(strings.Repeat("i", 90), i), func(n int) (int, bool) { return n, true })
	}
	projection.On(many, func(tx projection.Tx, e fold.Event[ItemAdded]) error { return table.In(tx).Put("x", 1) })
	require.NoError(t, views.CatchUp(t.Context(), many))
	_, found, err := table.Get(t.Context(), store, "x")
	require.NoError(t, err)
	require.True(t, found)
}

// TestTable_DeclaredOtherwise_Rebuilt: a rebuild resolves the difference. Ready waits for an
// unfinished build with other tables, as the next run of the version begins a new build.
func TestTable_DeclaredOtherwise_Rebuilt(t *testing.T) {
	store, registry, s := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	newShop(1).trade(t, store, 10)
	s.fail = func(eventstore.Event) error { return errors.New("wrong") }
	require.ErrorContains(t, views.CatchUp(t.Context(), s.Projection), "wrong")
	changed := newSales(1)
	byCount := projection.NewIndex(changed.lines, "count", func(n int) (int, bool) { return n, true })
	_, _, err := byCount.Get(t.Context(), store, 7)
	require.ErrorIs(t, err, projection.ErrRebuilding)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, views.Wait(ctx, 10, changed.Projection), projection.ErrLate)

	s.fail = nil
	require.NoError(t, views.CatchUp(t.Context(), s.Projection))
	_, _, err = byCount.Get(t.Context(), store, 7)
	require.ErrorContains(t, err, `version 1 was built without table "lines" index "count" int unique false: raise the version, or Rebuild`)
	require.NoError(t, views.Rebuild(t.Context(), nil, changed.Projection))
	_, _, err = byCount.Get(t.Context(), store, 7)
	require.NoError(t, err)
	changed.requireHead(t, store)
	requireNoLeftovers(t, views, changed.Projection)
}

// TestTable_RowsOfAnotherType: the Go type of rows is not stored. A row that cannot be
// decoded any more is an error that names the remedy.
func TestTable_RowsOfAnotherType(t *testing.T) {
	store, registry := newStore(t), shopRegistry(t)
	views := newHost(t, store, registry)
	p := projection.New("p", 1)
	table := projection.NewTable[int, int](p, "t")
	projection.NewIndex(table, "i", func(n int) (int, bool) { return n, true })
	projection.On(p, func(tx projection.Tx, e fold.Event[ItemAdded]) error { return table.In(tx).Put(300, 1) })
	add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
	require.NoError(t, views.CatchUp(t.Context(), p))

	changed := projection.New("p", 1)
	names := projection.NewTable[int, string](changed, "t")
	byLength := projection.NewIndex(names, "i", func(s string) (int, bool) { return len(s), true })
	projection.On(changed, func(tx projection.Tx, e fold.Event[ItemAdded]) error {
		return names.In(tx).Update(300, func(s string) string { return s + "x" })
	})
	add(t, store, "cart-1", "cart.item-added", 1, `{"sku":"x","quantity":1}`)
	_, _, getErr := names.Get(t.Context(), store, 300)
	_, _, indexErr := byLength.Get(t.Context(), store, 1)
	errs := []error{getErr, indexErr, views.CatchUp(t.Context(), changed)}
	for _, err := range names.Scan(t.Context(), store, projection.Range[int]{}) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 4)
	for _, err := range errs {
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, "row 300: ", "and no bytes of it")
		require.ErrorContains(t, err, "the value was written as another type than string; raise the version when a type changes: json: cannot unmarshal")
	}

	narrow := projection.New("p", 1) // the key is encoded in the same way
	small := projection.NewTable[int8, int](narrow, "t")
	byNumber := projection.NewIndex(small, "i", func(n int) (int, bool) { return n, true })
	for _, err := range small.Scan(t.Context(), store, projection.Range[int8]{}) {
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, "key was written as another type than int8")
	}
	_, _, err := byNumber.Get(t.Context(), store, 1)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "key was written as another type than int8")
}
