package boltstore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func TestAttach_CountsFaultsAndIsRebuilt(t *testing.T) {
	path := logPath(t)
	s := open(t, path, nil)
	for i := range 30 {
		appendEvents(t, s, eventstore.StreamID(fmt.Sprint("s-", i%3)), 500)
	}
	key := eventstore.RowKey{Table: "t", Key: []byte("n")}
	get := func(s *boltstore.Store) (uint64, eventstore.Checkpoint) {
		set, err := s.GetRows(t.Context(), "count", key)
		require.NoError(t, err)
		if set.Rows[0].Value == nil {
			return 0, set.Checkpoint
		}
		return binary.BigEndian.Uint64(set.Rows[0].Value), set.Checkpoint
	}
	bad := false
	v := eventstore.InlineView{View: "count", Query: eventstore.Stream("s-1"), Timeout: 200 * time.Millisecond,
		Apply: func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			if bad {
				return errors.New("bad")
			}
			rows, err := tx.Get(key)
			if err != nil {
				return err
			}
			n := uint64(0)
			if rows[0].Value != nil {
				n = binary.BigEndian.Uint64(rows[0].Value)
			}
			return tx.Put(eventstore.Row{RowKey: key, Value: binary.BigEndian.AppendUint64(nil, n+uint64(len(events)))})
		}}
	require.NoError(t, s.Attach(t.Context(), v))
	n, cp := get(s)
	require.EqualValues(t, 5000, n)
	require.EqualValues(t, 15000, cp.Position)
	for range 10 {
		appendEvents(t, s, "s-1", 3)
		appendEvents(t, s, "s-2", 3)
	}
	n, cp = get(s)
	require.EqualValues(t, 5030, n)
	require.EqualValues(t, 15060, cp.Position)
	bad = true
	appendEvents(t, s, "s-1", 3)
	n, cp = get(s)
	require.EqualValues(t, 5030, n)
	require.EqualValues(t, 15060, cp.Position)
	require.EqualValues(t, 15061, cp.Fault.Position)
	t.Log(s.Attach(t.Context(), v))
	more := true
	for more {
		var err error
		more, err = s.DropRows(t.Context(), "count", 10)
		require.NoError(t, err)
	}
	bad = false
	require.NoError(t, s.Attach(t.Context(), v))
	n, cp = get(s)
	require.EqualValues(t, 5033, n)
	require.EqualValues(t, 15063, cp.Position)
}
