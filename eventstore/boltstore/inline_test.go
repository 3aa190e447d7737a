package boltstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func TestAttach_CountsFaultsAndIsRebuilt(t *testing.T) {
	s := open(t, logPath(t), nil)
	for i := range 30 {
		appendEvents(t, s, eventstore.StreamID(fmt.Sprint("s-", i%3)), 500)
	}
	bad := false
	v := counter("count")
	v.Query, v.Timeout = eventstore.Stream("s-1"), 200*time.Millisecond
	count := v.Apply
	v.Apply = func(ctx context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
		if bad {
			return errors.New("bad")
		}
		return count(ctx, tx, events)
	}
	require.NoError(t, s.Attach(t.Context(), v))
	requireCount(t, s, "count", 5000, 15000)
	for range 10 {
		appendEvents(t, s, "s-1", 3)
		appendEvents(t, s, "s-2", 3)
	}
	requireCount(t, s, "count", 5030, 15060)

	bad = true
	appendEvents(t, s, "s-1", 3)
	requireCount(t, s, "count", 5030, 15060)
	var faulted *eventstore.FaultedError
	require.ErrorAs(t, s.Attach(t.Context(), v), &faulted)
	require.EqualValues(t, 15061, faulted.Fault.Position)

	for more := true; more; {
		var err error
		more, err = s.DropRows(t.Context(), "count", 10)
		require.NoError(t, err)
	}
	bad = false
	require.NoError(t, s.Attach(t.Context(), v))
	requireCount(t, s, "count", 5033, 15063)
}

// counter returns a view that counts events in one row.
func counter(view eventstore.ViewID) eventstore.InlineView {
	key := eventstore.RowKey{Table: "t", Key: []byte("n")}
	return eventstore.InlineView{View: view, Query: eventstore.All(),
		Apply: func(_ context.Context, tx eventstore.RowTx, events []eventstore.Event) error {
			rows, err := tx.Get(key)
			if err != nil {
				return err
			}
			value := append(rows[0].Value, make([]byte, 8)...)[:8] // the row is the view's own
			binary.BigEndian.PutUint64(value, binary.BigEndian.Uint64(value)+uint64(len(events)))
			return tx.Put(eventstore.Row{RowKey: key, Value: value})
		}}
}

func requireCount(t *testing.T, s *boltstore.Store, view eventstore.ViewID, count, position int) {
	t.Helper()
	set, err := s.GetRows(t.Context(), view, eventstore.RowKey{Table: "t", Key: []byte("n")})
	require.NoError(t, err)
	require.EqualValues(t, position, set.Checkpoint.Position)
	require.EqualValues(t, count, binary.BigEndian.Uint64(set.Rows[0].Value))
}

// TestAttach_ForgetsWhatWasNotCommitted: the group after a failed one does not begin with the
// rows of the failed one.
func TestAttach_ForgetsWhatWasNotCommitted(t *testing.T) {
	path := logPath(t)
	s := open(t, path, nil)
	require.NoError(t, s.Attach(t.Context(), counter("count")))
	appendEvents(t, s, "s", 3)
	for n := 3; n < 6; n++ {
		require.NoError(t, os.Rename(path, path+".away"))
		_, err := eventstore.AppendTo(t.Context(), s, "s", eventstore.Any, events(10)...)
		require.ErrorIs(t, err, eventstore.ErrFailed)
		require.NoError(t, os.Rename(path+".away", path))
		appendEvents(t, s, "s", 1)
		requireCount(t, s, "count", n+1, n+1)
	}
}

// TestAttach_EndsItsGoroutine: a view that ends its goroutine while it catches up has a fault.
func TestAttach_EndsItsGoroutine(t *testing.T) {
	s := open(t, logPath(t), nil)
	appendEvents(t, s, "s", 1000)
	v := counter("count")
	v.Apply = func(context.Context, eventstore.RowTx, []eventstore.Event) error {
		runtime.Goexit()
		return nil
	}
	var faulted *eventstore.FaultedError
	require.ErrorAs(t, s.Attach(t.Context(), v), &faulted)
	require.EqualValues(t, 1, faulted.Fault.Position)
	require.Contains(t, faulted.Fault.Reason, "ended without a return")
}

// detailedError has a detail that a logger shows and Error does not.
type detailedError struct{}

func (detailedError) Error() string        { return "bad" }
func (detailedError) LogValue() slog.Value { return slog.GroupValue(slog.String("detail", "very bad")) }

// TestAttach_FaultIsLogged: Append returns no error when a view is detached; the fault is
// logged.
func TestAttach_FaultIsLogged(t *testing.T) {
	for name, tt := range map[string]struct {
		apply func(ctx context.Context) error
		said  []string
	}{
		"an error":                  {func(context.Context) error { return errors.New("bad") }, []string{"error=bad"}},
		"an error with more to say": {func(context.Context) error { return fmt.Errorf("so: %w", detailedError{}) }, []string{`error="so: bad"`, `cause.detail="very bad"`}},
		"a panic":                   {func(context.Context) error { panic("no rows") }, []string{`error="panic: no rows"`, `cause.panic="no rows"`, "cause.stack=", "inline_test.go"}},
	} {
		t.Run(name, func(t *testing.T) {
			var said bytes.Buffer
			s, err := boltstore.Open(logPath(t), &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
			require.NoError(t, err)
			v := counter("count")
			v.Apply = func(ctx context.Context, _ eventstore.RowTx, events []eventstore.Event) error {
				if events[0].Position < 2 {
					return nil
				}
				return tt.apply(ctx)
			}
			require.NoError(t, s.Attach(t.Context(), v))
			for range 3 { // the last one has no view
				appendEvents(t, s, "s", 1)
			}
			set, err := s.GetRows(t.Context(), "count")
			require.NoError(t, err)
			require.NoError(t, s.Close())
			require.Equal(t, 1, strings.Count(said.String(), "\n"), said.String())
			for _, part := range append(tt.said, "level=ERROR", "detached", "view=count", "position=2", "type="+set.Checkpoint.Fault.Type) {
				require.Contains(t, said.String(), part)
			}
		})
	}
}

// TestAttach_FaultIsLoggedByDefault: without a Logger, the default one is told.
func TestAttach_FaultIsLoggedByDefault(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	var said bytes.Buffer
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	s, err := boltstore.Open(logPath(t), nil)
	require.NoError(t, err)
	v := counter("count")
	v.Apply = func(context.Context, eventstore.RowTx, []eventstore.Event) error { return errors.New("bad") }
	require.NoError(t, s.Attach(t.Context(), v))
	appendEvents(t, s, "s", 1)
	require.NoError(t, s.Close())
	require.Contains(t, said.String(), "detached")
}

// TestAttach_AppendsWithAnotherContext: the store cannot know then that a view waits for
// itself, but the fault says that it may have.
func TestAttach_AppendsWithAnotherContext(t *testing.T) {
	s := open(t, logPath(t), nil)
	v, changed := watch(counter("count"))
	v.Timeout = 50 * time.Millisecond
	ended := make(chan error, 10)
	v.Apply = func(context.Context, eventstore.RowTx, []eventstore.Event) error {
		_, err := eventstore.AppendTo(t.Context(), s, "other", eventstore.Any, eventstore.NewEvent{Type: "t"})
		ended <- err
		return err
	}
	require.NoError(t, s.Attach(t.Context(), v))
	appendEvents(t, s, "s", 1)
	<-changed // it is late
	require.NoError(t, <-ended)
	<-changed // it has a fault
	set, err := s.GetRows(t.Context(), "count")
	require.NoError(t, err)
	require.Contains(t, set.Checkpoint.Fault.Reason, "if Apply appends")
}

// TestAttach_RowsOfAnother: when another caller changes the rows of a view that catches up, the
// view continues with the changed rows.
func TestAttach_RowsOfAnother(t *testing.T) {
	s := open(t, logPath(t), nil)
	for range 4 {
		appendEvents(t, s, "s", 1000)
	}
	key := eventstore.RowKey{Table: "t", Key: []byte("n")}
	changed := false
	ctx := &watched{Context: t.Context(), look: func() {
		set, err := s.GetRows(t.Context(), "count", key)
		require.NoError(t, err)
		if changed || set.Checkpoint.Position == 0 {
			return
		}
		changed = true
		count := binary.BigEndian.Uint64(set.Rows[0].Value)
		require.EqualValues(t, set.Checkpoint.Position, count)
		require.NoError(t, s.CommitRows(t.Context(), eventstore.RowCommit{
			View: "count", Expected: set.Checkpoint,
			Checkpoint: eventstore.Checkpoint{Position: set.Checkpoint.Position, Data: []byte("another")},
			Rows:       []eventstore.Row{{RowKey: key, Value: binary.BigEndian.AppendUint64(nil, count+1_000_000)}},
		}))
	}}
	require.NoError(t, s.Attach(ctx, counter("count")))
	require.True(t, changed)
	requireCount(t, s, "count", 1_004_000, 4000)
	appendEvents(t, s, "s", 1)
	requireCount(t, s, "count", 1_004_001, 4001)
}

// watched calls look whenever Err is called, except during look.
type watched struct {
	context.Context
	look func()
}

func (w *watched) Err() error {
	if look := w.look; look != nil {
		w.look = nil
		look()
		w.look = look
	}
	return w.Context.Err()
}

// TestAttach_RefusesAViewThatIsBeingDropped before it applies events to the rows that are
// left: they may be deleted when it commits.
func TestAttach_RefusesAViewThatIsBeingDropped(t *testing.T) {
	s := open(t, logPath(t), nil)
	appendEvents(t, s, "s", 600) // more than are applied in the commit that attaches
	key := func(name string) eventstore.RowKey { return eventstore.RowKey{Table: "t", Key: []byte(name)} }
	require.NoError(t, s.CommitRows(t.Context(), eventstore.RowCommit{
		View: "dropped", Checkpoint: eventstore.Checkpoint{Position: 600},
		Rows: []eventstore.Row{{RowKey: key("a"), Value: []byte("x")}, {RowKey: key("n"), Value: make([]byte, 8)}},
	}))
	more, err := s.DropRows(t.Context(), "dropped", 1)
	require.NoError(t, err)
	require.True(t, more)

	v := counter("dropped")
	v.Apply = func(context.Context, eventstore.RowTx, []eventstore.Event) error {
		t.Error("it was given events")
		return nil
	}
	require.ErrorIs(t, s.Attach(t.Context(), v), eventstore.ErrInvalid)

	for more {
		more, err = s.DropRows(t.Context(), "dropped", 10)
		require.NoError(t, err)
	}
	require.NoError(t, s.Attach(t.Context(), counter("dropped")))
	requireCount(t, s, "dropped", 600, 600)
}

// TestAttach_OthersJoinForAsLongAsATransactionTakes has a slow view, and always an append that
// waits while the view applies an event.
func TestAttach_OthersJoinForAsLongAsATransactionTakes(t *testing.T) {
	s := open(t, logPath(t), nil)
	const most = 300
	var appending sync.WaitGroup
	var applied atomic.Int32
	appendOne := func() { appending.Go(func() { appendEvents(t, s, "s", 1) }) }
	v := counter("slow")
	v.Timeout = time.Minute
	v.Apply = func(context.Context, eventstore.RowTx, []eventstore.Event) error {
		if applied.Add(1) < most {
			for appendOne(); s.Waiting() == 0; {
				time.Sleep(2 * time.Millisecond)
			}
		}
		return nil
	}
	require.NoError(t, s.Attach(t.Context(), v))
	appendEvents(t, s, "s", 1)
	require.Less(t, applied.Load(), int32(most/2), "the first append waited for all others")
	appending.Wait()
}

// slowView returns a view of the stream "one" that says when it is at work, and then
// waits until it may go on.
func slowView() (v eventstore.InlineView, atWork, goOn chan struct{}) {
	atWork, goOn = make(chan struct{}), make(chan struct{})
	v = eventstore.InlineView{View: "slow", Query: eventstore.Stream("one"), Timeout: time.Minute,
		Apply: func(context.Context, eventstore.RowTx, []eventstore.Event) error {
			atWork <- struct{}{}
			<-goOn
			return nil
		}}
	return v, atWork, goOn
}

// firstRows is the first commit of n rows of a view.
func firstRows(n int) eventstore.RowCommit {
	commit := eventstore.RowCommit{View: "v", Checkpoint: eventstore.Checkpoint{Position: 1}}
	for i := range n {
		commit.Rows = append(commit.Rows, eventstore.Row{RowKey: eventstore.RowKey{Table: "t", Key: fmt.Append(nil, i)}, Value: []byte("x")})
	}
	return commit
}

// TestAttach_OthersJoinASmallGroup has a group with events and rows, and an append that
// arrives while a view applies the group: it joins the group if that does not become
// too large.
func TestAttach_OthersJoinASmallGroup(t *testing.T) {
	for rows, commits := range map[int]int32{10: 1, 8000: 2} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			s := open(t, logPath(t), nil)
			appendEvents(t, s, "s", 1)
			v, atWork, goOn := slowView()
			require.NoError(t, s.Attach(t.Context(), v))
			g := newGate(s)
			var calls sync.WaitGroup
			submit := func(n int, call func()) {
				calls.Go(call)
				waiting(t, s, n)
			}
			submit(0, func() { appendEvents(t, s, "s", 1) })
			<-g.entered
			submit(1, func() { appendEvents(t, s, "one", 1) })
			submit(2, func() { require.NoError(t, s.CommitRows(t.Context(), firstRows(rows))) })
			time.Sleep(time.Second) // the transaction takes this long
			g.open <- nil
			<-atWork
			submit(1, func() { appendEvents(t, s, "s", 400) })
			before := g.commits.Load()
			done := make(chan struct{})
			go func() {
				defer close(done)
				calls.Wait()
			}()
			goOn <- struct{}{}
			for waiting := true; waiting; {
				select {
				case <-g.entered:
					g.open <- nil
				case <-done:
					waiting = false
				}
			}
			s.SetCommit((*bolt.Tx).Commit)
			require.Equal(t, commits, g.commits.Load()-before)
		})
	}
}
