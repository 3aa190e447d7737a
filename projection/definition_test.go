package projection_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/fold"
	"github.com/yore-es/yore/projection"
)

func TestProjection_AllFaultsAtOnce(t *testing.T) {
	p := projection.New("a@b", 0)
	p.OnFailure = 7
	p.Timeout = -time.Second
	table := projection.NewTable[float64, int](p, "rows")
	projection.NewTable[string, chan int](p, "rows")
	projection.NewTable[projection.Pair[string, struct{ X int }], int](p, "x/y")
	projection.NewIndex(table, "by", func(int) (bool, bool) { return false, true })
	projection.NewUnique[float64, int, string](table, "by", nil)
	projection.On(p, func(projection.Tx, fold.Event[stray]) error { return nil })
	projection.On(p, func(projection.Tx, fold.Event[*noted]) error { return nil })
	projection.On[noted](p, nil)
	projection.On(p, func(projection.Tx, fold.Event[noted]) error { return nil })
	projection.On(p, func(projection.Tx, fold.Event[noted]) error { return nil })

	store, registry := newStore(t), shopRegistry(t)
	views := newHost(t, store, registry)
	_, buildErr := projection.Build(t.Context(), store, registry, p, nil)
	for _, err := range []error{
		views.Run(t.Context(), p),
		views.CatchUp(t.Context(), p),
		views.Attach(t.Context(), p),
		views.Rebuild(t.Context(), nil, p),
		buildErr,
	} {
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		for _, fault := range []string{
			`projection "a@b"`, `the name contains NUL or "@"`, "versions start at 1", "there is no failure policy 7", "timeout -1s is negative",
			`table "rows": float64 cannot be a key`, `two tables are named "rows"`, `table "rows": JSON has no chan int`,
			`table "x/y": the name contains NUL or "/"`, `table "x/y": struct { X int } cannot be a key`,
			`index "by": bool cannot be a key`, `two indexes are named "by"`, `index "by" has no function`,
			"projection_test.stray has a handler: Go type projection_test.stray is not registered",
			"*projection_test.noted is not registered, but projection_test.noted is", "handler 2 has no function",
			"projection_test.noted has two handlers",
		} {
			require.ErrorContains(t, err, fault)
		}
	}
	_, _, err := table.Get(t.Context(), store, 1)
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	checkpoints, err := store.Checkpoints(t.Context())
	require.NoError(t, err)
	require.Empty(t, checkpoints, "nothing was begun")
}

func TestProjection_Names(t *testing.T) {
	store, registry := newStore(t), shopRegistry(t)
	views := newHost(t, store, registry)
	for name, fault := range map[string]string{
		"":                       "the name has 0 bytes, 1 to 200 are allowed",
		strings.Repeat("x", 201): "the name has 201 bytes",
		"a\x00":                  "contains NUL",
		"a\xff":                  "not UTF-8",
		"yore/a":                 `names that begin with "yore/" are the library's own`,
	} {
		err := views.CatchUp(t.Context(), projection.New(name, 1))
		require.ErrorContains(t, err, fault)
		require.ErrorContains(t, err, "it has no handlers")
	}
	longest := projection.New(strings.Repeat("x", 200), 1<<32-1)
	projection.NewIndex(projection.NewTable[string, int](longest, strings.Repeat("x", 100)), strings.Repeat("x", 100),
		func(n int) (int, bool) { return n, true })
	projection.On(longest, func(projection.Tx, fold.Event[noted]) error { return nil })
	require.NoError(t, views.CatchUp(t.Context(), longest))

	err := views.Rebuild(t.Context(), nil, longest, longest)
	require.ErrorContains(t, err, "given twice")
	require.ErrorIs(t, views.Rebuild(t.Context(), nil), eventstore.ErrInvalid)
}

// TestErrors_CutNames: no error repeats a name of thousands of bytes, or a key.
func TestErrors_CutNames(t *testing.T) {
	store, registry := newStore(t), shopRegistry(t)
	views, long := newHost(t, store, registry), strings.Repeat("x", 4000)
	p := projection.New(long, 1)
	table := projection.NewTable[string, int](p, long)
	projection.NewIndex[string, int, int](table, long, nil)
	_, _, getErr := table.Get(t.Context(), store, "x")
	_, statusErr := views.Status(t.Context(), projection.New("p"+long, 1))

	unique := projection.New("unique", 1)
	names := projection.NewTable[projection.Pair[string, int], string](unique, "names")
	projection.NewUnique(names, "name", func(s string) (string, bool) { return s[:2000], true })
	projection.On(unique, func(tx projection.Tx, e fold.Event[noted]) error {
		for i := range 2 {
			if err := names.In(tx).Put(projection.PairOf(long[:2000], i), long); err != nil {
				return err
			}
		}
		return nil
	})
	add(t, store, "", "noted", 1, `{}`)
	for text, err := range map[string]error{
		"the name has 4000 bytes":                      views.CatchUp(t.Context(), p),
		"get rows of table":                            getErr,
		"status of projection":                         statusErr,
		`…" (2000 bytes), 0) and (`:                    views.CatchUp(t.Context(), unique),
		`x…" (4000 bytes) version 1 is not live yet: `: &projection.LateError{Projection: long, Version: 1, Err: errInjected},
	} {
		require.ErrorContains(t, err, text)
		require.NotContains(t, err.Error(), strings.Repeat("x", 300))
	}
}

// TestTable_OfAnotherProjection: the table in a handler is one of its own.
func TestTable_OfAnotherProjection(t *testing.T) {
	store, registry, other := newStore(t), shopRegistry(t), newSales(1)
	views := newHost(t, store, registry)
	add(t, store, "cart-1", "noted", 1, `{}`)
	p := projection.New("p", 1)
	var errs []error
	projection.On(p, func(tx projection.Tx, _ fold.Event[noted]) error {
		_, _, err := other.pieces.In(tx).Get("x")
		errs = append(errs, err, other.pieces.In(tx).Put("x", sold{}), other.pieces.In(tx).Delete("x"))
		errs = append(errs, other.lines.In(tx).Update(projection.PairOf("x", "y"), func(n int) int { return n + 1 }))
		_, err = other.pieces.In(tx).GetMany("x")
		errs = append(errs, err)
		_, _, err = other.ranks.In(tx).Get(3)
		errs = append(errs, err)
		for _, err := range other.pieces.In(tx).Scan(projection.Range[string]{}) {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	require.ErrorIs(t, views.Run(t.Context(), p), eventstore.ErrInvalid)
	require.Len(t, errs, 7)
	for _, err := range errs {
		require.ErrorIs(t, err, eventstore.ErrInvalid)
	}
}
