package eventstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/memstore"
)

// capture is a store whose Append keeps the commit.
type capture struct {
	eventstore.Store
	commit eventstore.Commit
	err    error
}

func (c *capture) Append(_ context.Context, commit eventstore.Commit) (eventstore.Receipt, error) {
	c.commit = commit
	return eventstore.Receipt{First: 7}, c.err
}

func TestAppendTo(t *testing.T) {
	store := &capture{}
	events := []eventstore.NewEvent{{Type: "x"}, {Type: "y", Stream: "cart-7"}}
	receipt, err := eventstore.AppendTo(context.Background(), store, "cart-7", eventstore.At(3), events...)
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(7), receipt.First)
	require.Equal(t, eventstore.Commit{
		Events: []eventstore.NewEvent{{Type: "x", Stream: "cart-7"}, {Type: "y", Stream: "cart-7"}},
		Expect: []eventstore.Expect{{Stream: "cart-7", At: eventstore.At(3)}},
	}, store.commit)
	require.Empty(t, events[0].Stream, "the caller's events are not changed")
}

func TestAppendTo_Refused(t *testing.T) {
	ctx := context.Background()
	store := memstore.New(nil)
	_, err := eventstore.AppendTo(ctx, store, "", eventstore.Any, eventstore.NewEvent{Type: "x"})
	require.ErrorIs(t, err, eventstore.ErrInvalid, "no stream")
	_, err = eventstore.AppendTo(ctx, store, "cart-7", eventstore.Any, eventstore.NewEvent{Type: "x", Stream: "cart-8"})
	require.ErrorIs(t, err, eventstore.ErrInvalid, "another stream")
	_, err = eventstore.AppendTo(ctx, store, "cart-7", eventstore.Any)
	require.ErrorIs(t, err, eventstore.ErrInvalid, "no events")
	_, err = eventstore.AppendTo(ctx, store, "cart-7", 0, eventstore.NewEvent{Type: "x"})
	require.ErrorIs(t, err, eventstore.ErrInvalid, "no expectation")
	for _, none := range []eventstore.Store{nil, (*memstore.Store)(nil)} {
		_, err = eventstore.AppendTo(ctx, none, "cart-7", eventstore.Any, eventstore.NewEvent{Type: "x"})
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, "the store is")
		_, err = eventstore.VersionOf(ctx, none, "cart-7")
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, "the store is")
	}
	head, err := store.Head(ctx)
	require.NoError(t, err)
	require.Zero(t, head)
}

func TestAppendTo_ReturnsTheStoresError(t *testing.T) {
	full := errors.New("disk is full")
	_, err := eventstore.AppendTo(context.Background(), &capture{err: full}, "cart-7", eventstore.Any, eventstore.NewEvent{Type: "x"})
	require.ErrorIs(t, err, full)
}

func TestReceipt_Head(t *testing.T) {
	receipt := eventstore.Receipt{Heads: []eventstore.StreamHead{{Stream: "a", Version: 3}, {Stream: "b", Version: 1}}}
	version, ok := receipt.Head("b")
	require.True(t, ok)
	require.Equal(t, eventstore.Version(1), version)
	version, ok = receipt.Head("c")
	require.False(t, ok)
	require.Zero(t, version)
}

func TestVersionOf(t *testing.T) {
	store := memstore.New(nil)
	for version := range eventstore.Version(3) {
		got, err := eventstore.VersionOf(t.Context(), store, "s-1")
		require.NoError(t, err)
		require.Equal(t, version, got)
		_, err = eventstore.AppendTo(t.Context(), store, "s-1", eventstore.At(version), eventstore.NewEvent{Type: "t"})
		require.NoError(t, err)
	}
	_, err := eventstore.VersionOf(t.Context(), store, "")
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.NoError(t, store.Close())
	_, err = eventstore.VersionOf(t.Context(), store, "s-1")
	require.ErrorIs(t, err, eventstore.ErrClosed)
}
