package boltstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// TestStore_SparesAViewWhosePagesAreDamaged has pages of rows on which bbolt panics when rows
// are written. Events are appended all the same.
func TestStore_SparesAViewWhosePagesAreDamaged(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s", 1)
	at := eventstore.Checkpoint{Position: 1}
	row := func(i int) eventstore.Row {
		return eventstore.Row{RowKey: eventstore.RowKey{Table: "t", Key: fmt.Appendf(nil, "key-%03d", i)}, Value: make([]byte, 200)}
	}
	for _, view := range []eventstore.ViewID{"inline", "async", "sound"} {
		commit := eventstore.RowCommit{View: view, Checkpoint: at}
		for i := range 100 {
			commit.Rows = append(commit.Rows, row(i))
		}
		require.NoError(t, s.CommitRows(t.Context(), commit))
	}
	require.NoError(t, s.Close())
	damageLeaves(t, path, 2)

	s = openUnverified(t, path, nil)
	for _, view := range []eventstore.ViewID{"inline", "sound"} {
		require.NoError(t, s.Attach(t.Context(), eventstore.InlineView{View: view, Query: eventstore.All(), Timeout: time.Minute,
			Apply: func(_ context.Context, tx eventstore.RowTx, _ []eventstore.Event) error { return tx.Put(row(50)) }}))
	}
	appendEvents(t, s, "s", 2)
	appendEvents(t, s, "s", 1)
	require.Len(t, positions(t, s, eventstore.Stream("s")), 4)
	checkpoints, err := s.Checkpoints(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, checkpoints["inline"].Position)
	require.NotNil(t, checkpoints["inline"].Fault)
	require.EqualValues(t, 2, checkpoints["inline"].Fault.Position)
	require.Contains(t, checkpoints["inline"].Fault.Reason, "damaged")
	require.Equal(t, eventstore.Checkpoint{Position: 4}, checkpoints["sound"])

	err = s.CommitRows(t.Context(), eventstore.RowCommit{View: "async", Expected: at, Checkpoint: eventstore.Checkpoint{Position: 2}, Rows: []eventstore.Row{row(50)}})
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	require.Equal(t, at, checkpoints["async"])
}

// damageLeaves gives the leaf with row 50 of each of n views an invalid kind of page. The views
// are the first n in the order in which they were written.
func damageLeaves(t *testing.T, path string, n int) {
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	page := os.Getpagesize()
	damaged := 0
	for offset := 2 * page; offset+page <= len(content) && damaged < n; offset += page {
		leaf := content[offset:][:page]
		if leaf[8] == 2 && bytes.Contains(leaf, []byte("t\x00key-050")) {
			binary.NativeEndian.PutUint16(leaf[8:], 0x55)
			damaged++
		}
	}
	require.Equal(t, n, damaged)
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

// TestDropRows_KeysThatAreNoRows has keys in a view's bucket that no row has, as a misplaced
// write can leave them: DropRows deletes them too.
func TestDropRows_KeysThatAreNoRows(t *testing.T) {
	path := twoViews(t)
	edit(t, path, func(tx *bolt.Tx) error {
		var err error
		for i := range byte(5) {
			err = errors.Join(err, bucketIn(tx, "rows", "v").Put([]byte{0, 0, i}, []byte("no row")))
		}
		return err
	})
	s := openUnverified(t, path, nil)
	more := true
	for n := 0; more; n++ {
		var err error
		more, err = s.DropRows(t.Context(), "v", 2)
		require.NoError(t, err)
		require.Less(t, n, 1000)
	}
	require.NoError(t, s.CommitRows(t.Context(), eventstore.RowCommit{View: "v", Checkpoint: eventstore.Checkpoint{Position: 1}}))
}
