package boltstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
)

// rowsOf returns a commit of n rows of a view, which has none before.
func rowsOf(view string, n int) eventstore.RowCommit {
	c := firstRows(n)
	c.View = eventstore.ViewID(view)
	return c
}

// letAll lets all transactions end until the calls have returned, and returns their number.
func letAll(g *gate, calls *sync.WaitGroup) (transactions int) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		calls.Wait()
	}()
	for {
		select {
		case <-g.entered:
			transactions++
			g.open <- nil
		case <-done:
			return transactions
		}
	}
}

// TestAppend_BeforeRows: an append that comes after many commits of rows waits for the one
// that is being written, and for no more than one other.
func TestAppend_BeforeRows(t *testing.T) {
	s := open(t, logPath(t), nil)
	appendEvents(t, s, "s", 1)
	g := newGate(s)
	defer s.SetCommit((*bolt.Tx).Commit)
	var rows, append sync.WaitGroup
	rows.Go(func() { require.NoError(t, s.CommitRows(t.Context(), rowsOf("first", 5000))) })
	<-g.entered
	const n = 20
	for i := range n {
		rows.Go(func() { require.NoError(t, s.CommitRows(t.Context(), rowsOf(fmt.Sprint(i), 5000))) })
		waiting(t, s, i+1)
	}
	append.Go(func() { appendEvents(t, s, "s", 1) })
	waiting(t, s, n+1)
	g.open <- nil
	require.LessOrEqual(t, letAll(g, &append), 2)
	require.GreaterOrEqual(t, letAll(g, &rows), n-2, "one commit of rows in a turn")
}

// TestCommitRows_FewBeforeMany: a small commit of rows does not wait for many large ones, but
// for one of the same view.
func TestCommitRows_FewBeforeMany(t *testing.T) {
	s := open(t, logPath(t), nil)
	appendEvents(t, s, "s", 1)
	g := newGate(s)
	defer s.SetCommit((*bolt.Tx).Commit)
	var many, few, same sync.WaitGroup
	many.Go(func() { require.NoError(t, s.CommitRows(t.Context(), rowsOf("first", 5000))) })
	<-g.entered
	const n = 20
	for i := range n {
		many.Go(func() { require.NoError(t, s.CommitRows(t.Context(), rowsOf(fmt.Sprint(i), 5000))) })
		waiting(t, s, i+1)
	}
	few.Go(func() { require.NoError(t, s.CommitRows(t.Context(), rowsOf("few", 1))) })
	waiting(t, s, n+1)
	same.Go(func() {
		c := rowsOf(fmt.Sprint(n-1), 1)
		c.Expected, c.Checkpoint.Data = c.Checkpoint, []byte("next")
		require.NoError(t, s.CommitRows(t.Context(), c))
	})
	waiting(t, s, n+2)
	g.open <- nil
	require.LessOrEqual(t, letAll(g, &few), 2)
	letAll(g, &many)
	letAll(g, &same)
}

// TestAppend_SmallRowsGoTogether: small commits of rows share turns.
func TestAppend_SmallRowsGoTogether(t *testing.T) {
	s := open(t, logPath(t), nil)
	appendEvents(t, s, "s", 1)
	g := newGate(s)
	defer s.SetCommit((*bolt.Tx).Commit)
	var rows sync.WaitGroup
	rows.Go(func() { require.NoError(t, s.CommitRows(t.Context(), rowsOf("first", 1))) })
	<-g.entered
	const n = 100
	for i := range n {
		rows.Go(func() { require.NoError(t, s.CommitRows(t.Context(), rowsOf(fmt.Sprint(i), 10))) })
	}
	waiting(t, s, n)
	g.open <- nil
	require.LessOrEqual(t, letAll(g, &rows), 2)
}

// TestAppend_RowsDoNotFillTheQueue: commits of rows that wait, and those that wait for space
// in the queue, do not keep an append out.
func TestAppend_RowsDoNotFillTheQueue(t *testing.T) {
	s := open(t, logPath(t), nil)
	appendEvents(t, s, "s", 1)
	g := newGate(s)
	defer s.SetCommit((*bolt.Tx).Commit)
	var rows, append sync.WaitGroup
	rows.Go(func() { require.NoError(t, s.CommitRows(t.Context(), rowsOf("first", 1))) })
	<-g.entered
	const n, size = 8, 4 << 20 // bytes: twice the space for rows
	for i := range n {
		c := rowsOf(fmt.Sprint(i), 1)
		c.Rows[0].Value = make([]byte, size)
		rows.Go(func() { require.NoError(t, s.CommitRows(t.Context(), c)) })
	}
	waiting(t, s, 3)
	append.Go(func() { appendEvents(t, s, "s", 1) })
	waiting(t, s, 4)
	g.open <- nil
	require.LessOrEqual(t, letAll(g, &append), 2)
	letAll(g, &rows)
}

// TestCommitRows_BesideAppends: appends without a pause do not starve commits of rows, large
// and small, and those of one view come in order.
func TestCommitRows_BesideAppends(t *testing.T) {
	s := open(t, logPath(t), nil)
	appendEvents(t, s, "s", 1)
	var appending, committing sync.WaitGroup
	var appended atomic.Int32
	ctx, stop := context.WithCancel(t.Context())
	for i := range 4 {
		appending.Go(func() {
			for ctx.Err() == nil {
				appendEvents(t, s, eventstore.StreamID(fmt.Sprint("s-", i)), 1)
				appended.Add(1)
			}
		})
	}
	for _, n := range []int{1, 100, 2000, 9000} {
		committing.Go(func() {
			c := rowsOf(fmt.Sprint(n), n)
			for round := range 5 {
				require.NoError(t, s.CommitRows(t.Context(), c))
				c.Expected, c.Checkpoint.Data = c.Checkpoint, fmt.Append(nil, round)
			}
		})
	}
	committing.Wait()
	stop()
	appending.Wait()
	require.Positive(t, appended.Load())
}
