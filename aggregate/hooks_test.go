package aggregate_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

type within struct{}

// telling returns hooks that record their calls.
func telling(told *[]string) *aggregate.Hooks {
	return &aggregate.Hooks{
		Load: func(ctx context.Context, stream eventstore.StreamID) (context.Context, func(aggregate.Loaded, error)) {
			return context.WithValue(ctx, within{}, "load"), func(l aggregate.Loaded, err error) {
				*told = append(*told, fmt.Sprintf("load %s: %+v %v", stream, l, err))
			}
		},
		Append: func(ctx context.Context, c eventstore.Commit) (context.Context, func(eventstore.Receipt, error)) {
			return context.WithValue(ctx, within{}, "append"), func(r eventstore.Receipt, err error) {
				*told = append(*told, fmt.Sprintf("append %d: %d %v", len(c.Events), r.Last, err))
			}
		},
	}
}

func TestHooks_TellOfLoadsAndAppends(t *testing.T) {
	store := &rowTapped{RowStore: memstore.New(nil)}
	var told, contexts []string
	r := newCached(t, store, &aggregate.Options{Hooks: telling(&told), Snapshots: &aggregate.Snapshots{Fingerprint: "1"}}, nil)
	other := newRepository(t, store.RowStore, nil)
	tells := func(expected ...string) {
		t.Helper()
		require.Equal(t, expected, told)
		told = nil
	}
	store.before = func(ctx context.Context, _ int64) error {
		name, _ := ctx.Value(within{}).(string)
		contexts = append(contexts, name)
		return nil
	}
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1, Times: 3})
	tells("load tally-1: {Version:0 From:0 Events:0} <nil>", "append 3: 3 <nil>")
	require.Equal(t, []string{"load"}, contexts, "the hook's context reaches the store")
	stateOf(t, r, "1")
	execute(t, other, t.Context(), "1", count{Name: "a", N: 1})
	stateOf(t, r, "1")
	tells("load tally-1: {Version:3 From:0 Events:3} <nil>", "load tally-1: {Version:4 From:3 Events:1} <nil>")
	_, err := r.LoadAt(t.Context(), "1", 2)
	require.NoError(t, err)
	tells("load tally-1: {Version:2 From:0 Events:2} <nil>")
	require.NoError(t, r.Snapshot(t.Context(), "1"))
	told = nil

	r = newCached(t, store, &aggregate.Options{Hooks: telling(&told), Snapshots: &aggregate.Snapshots{Fingerprint: "1"}}, nil)
	execute(t, other, t.Context(), "1", count{Name: "a", N: 1})
	_, err = aggregate.ExecuteAll(t.Context(), r.Part(t.Context(), "1", count{Name: "a", N: 1}, nil), r.Part(t.Context(), "2", count{Name: "a", N: 1}, nil))
	require.NoError(t, err)
	tells("load tally-1: {Version:5 From:4 Events:1} <nil>", "load tally-2: {Version:0 From:0 Events:0} <nil>", "append 2: 7 <nil>")

	require.NoError(t, store.Close())
	_, _, err = r.Load(t.Context(), "1")
	require.ErrorIs(t, err, eventstore.ErrClosed)
	tells("load tally-1: {Version:0 From:0 Events:0} store is closed")
}

func TestHooks_EachAttempt(t *testing.T) {
	var told []string
	store := &intercepted{Store: newStore(t)}
	store.append = func(ctx context.Context, c eventstore.Commit) (eventstore.Receipt, error) {
		require.Equal(t, "append", ctx.Value(within{}))
		store.append = nil
		execute(t, newRepository(t, store.Store, nil), t.Context(), "1", count{Name: "a", N: 1})
		return store.Store.Append(ctx, c)
	}
	r := newRepository(t, store, &aggregate.Options{Hooks: telling(&told)})
	execute(t, r, t.Context(), "1", count{Name: "a", N: 1})
	require.Len(t, told, 4)
	require.Contains(t, told[1], "append 1: 0 conflict")
	require.Equal(t, []string{"load tally-1: {Version:1 From:0 Events:1} <nil>", "append 1: 2 <nil>"}, told[2:])
}

func TestHooks_Decisions(t *testing.T) {
	var told []string
	store := newStore(t)
	execute(t, newRepository(t, store, nil), t.Context(), "1", count{Name: "a", N: 1, Times: 3})
	decisions, err := aggregate.NewDecisions(store, newRegistry(t), &aggregate.Options{Hooks: telling(&told)})
	require.NoError(t, err)
	_, err = decisions.Execute(t.Context(), decider().Decision("1", count{Name: "a", N: 1}))
	require.NoError(t, err)
	require.Equal(t, []string{"load : {Version:0 From:0 Events:3} <nil>", "append 1: 4 <nil>"}, told)
}

func TestHooks_PanicAndNil(t *testing.T) {
	var outcome error
	store := newStore(t)
	execute(t, newRepository(t, store, nil), t.Context(), "2", count{Name: "a", N: 1})
	r := newCached(t, store, &aggregate.Options{Hooks: &aggregate.Hooks{
		Load: func(context.Context, eventstore.StreamID) (context.Context, func(aggregate.Loaded, error)) {
			return nil, func(_ aggregate.Loaded, err error) { outcome = err }
		},
		Append: func(context.Context, eventstore.Commit) (context.Context, func(eventstore.Receipt, error)) {
			return nil, nil
		},
	}}, func(d *aggregate.Decider[tally, command, event]) {
		d.Evolve = func(tally, event) tally { panic("boom") }
	})
	require.Panics(t, func() { _, _ = r.Execute(t.Context(), "1", count{Name: "a", N: 1}) })
	require.NoError(t, outcome, "the load was before it")
	require.Panics(t, func() { _, _, _ = r.Load(t.Context(), "2") })
	require.Error(t, outcome)
}
