package boltstore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// gate stops the writer before its transactions end, so that a test can control which jobs
// wait meanwhile.
type gate struct {
	entered chan struct{} // receives one for each transaction that is about to end
	open    chan error    // lets one transaction end: nil, or the error with which it fails
	commits atomic.Int32
}

func newGate(s *boltstore.Store) *gate {
	g := &gate{entered: make(chan struct{}), open: make(chan error)}
	s.SetCommit(func(tx *bolt.Tx) error {
		g.commits.Add(1)
		g.entered <- struct{}{}
		if err := <-g.open; err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
	return g
}

type outcome struct {
	receipt eventstore.Receipt
	err     error
}

// start appends on a new goroutine.
func start(ctx context.Context, s eventstore.Store, c eventstore.Commit) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		receipt, err := s.Append(ctx, c)
		done <- outcome{receipt, err}
	}()
	return done
}

func to(stream eventstore.StreamID, at eventstore.Expectation) eventstore.Commit {
	return eventstore.Commit{
		Events: []eventstore.NewEvent{{Stream: stream, Type: "t"}},
		Expect: []eventstore.Expect{{Stream: stream, At: at}},
	}
}

// waiting returns when n jobs are in the writer's queue.
func waiting(t *testing.T, s *boltstore.Store, n int) {
	require.Eventually(t, func() bool { return s.Waiting() == n }, 10*time.Second, time.Millisecond)
}

func TestAppend_WhatWaitsIsOneGroup(t *testing.T) {
	s := open(t, logPath(t), nil)
	g := newGate(s)
	first := start(t.Context(), s, to("first", eventstore.NoStream))
	<-g.entered
	var rest []<-chan outcome
	for i := range 50 {
		rest = append(rest, start(t.Context(), s, to(eventstore.StreamID(fmt.Sprint("s-", i)), eventstore.NoStream)))
	}
	waiting(t, s, 50)
	g.open <- nil
	require.NoError(t, (<-first).err)
	<-g.entered
	g.open <- nil
	for _, done := range rest {
		require.NoError(t, (<-done).err)
	}
	require.EqualValues(t, 2, g.commits.Load(), "50 appends that waited took more than one transaction")
}

// inOneGroup appends the commits in one group, in this order, behind a commit of the
// stream "blocker", and returns their outcomes.
func inOneGroup(t *testing.T, s *boltstore.Store, g *gate, commits ...eventstore.Commit) (outcomes []outcome) {
	t.Helper()
	blocker := start(t.Context(), s, to("blocker", eventstore.NoStream))
	<-g.entered
	var done []<-chan outcome
	for i, c := range commits {
		done = append(done, start(t.Context(), s, c))
		waiting(t, s, i+1)
	}
	g.open <- nil
	require.NoError(t, (<-blocker).err)
	<-g.entered
	g.open <- nil
	for _, d := range done {
		outcomes = append(outcomes, <-d)
	}
	return outcomes
}

// In a group, a commit is judged against the earlier ones, and a refused commit fails
// alone.
func TestAppend_CommitsOfAGroupAreJudgedInOrder(t *testing.T) {
	path := logPath(t)
	first, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, first, "base", 1)
	require.NoError(t, first.Close())
	s := open(t, path, nil)
	g := newGate(s)

	guarded := to("b", eventstore.NoStream)
	guarded.Guards = []eventstore.Guard{{Query: eventstore.Stream("a"), After: 2}}
	keyed := to("k", eventstore.Any)
	keyed.Key = "key"
	got := inOneGroup(t, s, g,
		to("a", eventstore.NoStream), to("a", eventstore.NoStream), to("a", eventstore.Any), guarded, keyed, keyed,
		to("base", eventstore.At(1)), to("base", eventstore.Exists))
	require.NoError(t, got[0].err)
	require.EqualValues(t, 3, got[0].receipt.First)

	var conflict *eventstore.ConflictError
	require.ErrorAs(t, got[1].err, &conflict)
	require.Equal(t, eventstore.ConflictError{Stream: "a", Expected: eventstore.NoStream, Actual: 1, Position: 3, Type: "t"}, *conflict)

	require.NoError(t, got[2].err)
	require.EqualValues(t, 4, got[2].receipt.First, "a refused commit took a position")

	require.ErrorAs(t, got[3].err, &conflict)
	require.NotNil(t, conflict.Guard)
	require.EqualValues(t, 3, conflict.Position)

	require.NoError(t, got[4].err)
	require.NoError(t, got[5].err)
	require.True(t, got[5].receipt.Repeated)
	require.Equal(t, got[4].receipt.First, got[5].receipt.First)

	require.NoError(t, got[6].err)
	require.NoError(t, got[7].err)
	require.EqualValues(t, 3, got[7].receipt.Heads[0].Version)
	require.EqualValues(t, 2, g.commits.Load())
}

func TestAppend_TheContextCountsUntilTheWriterTakesTheCommit(t *testing.T) {
	s := open(t, logPath(t), nil)
	g := newGate(s)
	ctx, cancel := context.WithCancel(t.Context())
	inHand := start(ctx, s, to("taken", eventstore.NoStream))
	<-g.entered
	queued := start(ctx, s, to("queued", eventstore.NoStream))
	waiting(t, s, 1)
	cancel()
	require.ErrorIs(t, (<-queued).err, context.Canceled)
	select {
	case got := <-inHand:
		t.Fatalf("an append in the writer's hands ended with its context: %v", got.err)
	default:
	}
	g.open <- nil
	require.NoError(t, (<-inHand).err, "the commit was taken, so its outcome is the writer's to tell")
	require.Len(t, positions(t, s, eventstore.All()), 1)
}

func TestClose_FinishesWhatIsTakenAndEndsWhatWaits(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	g := newGate(s)
	inHand := start(t.Context(), s, to("taken", eventstore.NoStream))
	<-g.entered
	var queued []<-chan outcome
	for i := range 5 {
		queued = append(queued, start(t.Context(), s, to(eventstore.StreamID(fmt.Sprint("q-", i)), eventstore.NoStream)))
	}
	waiting(t, s, 5)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	require.Eventually(t, func() bool {
		_, err := s.Head(t.Context())
		return errors.Is(err, eventstore.ErrClosed)
	}, 10*time.Second, time.Millisecond)
	g.open <- nil
	appended := 1
	for len(queued) > 0 { // the writer may take those too before it sees that it is to end
		select {
		case <-g.entered:
			g.open <- nil
		case got := <-queued[0]:
			queued = queued[1:]
			if got.err == nil {
				appended++
			} else {
				require.ErrorIs(t, got.err, eventstore.ErrClosed)
			}
		}
	}
	require.NoError(t, (<-inHand).err)
	require.NoError(t, <-closed)
	require.Len(t, positions(t, open(t, path, nil), eventstore.All()), appended)
}

func TestAppend_ClockOutOfRangeIsRefused(t *testing.T) {
	s := open(t, logPath(t), &boltstore.Options{Clock: func() time.Time { return time.Time{} }})
	_, err := s.Append(t.Context(), to("s", eventstore.NoStream))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	require.ErrorContains(t, err, "clock")
}

// Groups larger than the tail keeps, and commits larger than a group, beside concurrent
// guarded writers: each commit is judged against all events before it.
func TestAppend_NoUpdateIsLostBesideBulkCommits(t *testing.T) {
	s := open(t, logPath(t), nil)
	var group sync.WaitGroup
	group.Add(1)
	go func() {
		defer group.Done()
		for range 4 {
			appendEvents(t, s, "bulk", boltstore.TailEvents+1)
		}
	}()
	const writers, rounds = 8, 20
	for range writers {
		group.Add(1)
		go func() {
			defer group.Done()
			for done := 0; done < rounds; {
				last := eventstore.Version(0)
				for e, err := range s.Read(t.Context(), eventstore.Stream("counter"), eventstore.ReadOptions{Backward: true, Limit: 1}) {
					if err != nil {
						t.Error(err)
						return
					}
					last = e.Version
				}
				_, err := s.Append(t.Context(), to("counter", eventstore.At(last)))
				if err == nil {
					done++
				} else if !errors.Is(err, eventstore.ErrConflict) {
					t.Error(err)
					return
				}
			}
		}()
	}
	group.Wait()
	require.Len(t, positions(t, s, eventstore.Stream("counter")), writers*rounds)
}

// TestStore_Append_VersionsGoOnBesideEventsInNoStream has many streams in one commit, and
// events between them that are in no stream.
func TestStore_Append_VersionsGoOnBesideEventsInNoStream(t *testing.T) {
	s := open(t, logPath(t), nil)
	for round := range eventstore.Version(3) {
		var c eventstore.Commit
		for i := range 20 {
			stream := eventstore.StreamID(fmt.Sprint("s-", i))
			c.Events = append(c.Events, eventstore.NewEvent{Stream: stream, Type: "t"}, eventstore.NewEvent{Type: "t"})
			c.Expect = append(c.Expect, eventstore.Expect{Stream: stream, At: eventstore.At(round)})
		}
		receipt, err := s.Append(t.Context(), c)
		require.NoError(t, err)
		require.Len(t, receipt.Heads, 20)
		for _, head := range receipt.Heads {
			require.Equal(t, round+1, head.Version)
		}
	}
}

// TestStore_Append_GuardsThatReachFarBack judges the same guards repeatedly, after different
// positions, before and after an event that they forbid.
func TestStore_Append_GuardsThatReachFarBack(t *testing.T) {
	s := open(t, logPath(t), nil)
	guarded := func(q eventstore.Query, after eventstore.Position) error {
		_, err := s.Append(t.Context(), eventstore.Commit{
			Events: []eventstore.NewEvent{{Type: "other"}},
			Guards: []eventstore.Guard{{Query: q, After: after}},
		})
		return err
	}
	closed := func(account string) eventstore.Query {
		return eventstore.Match(eventstore.Item{Types: []string{"closed"}, Tags: []eventstore.Tag{eventstore.Tag(account)}})
	}
	fill := func(n int) {
		_, err := s.Append(t.Context(), eventstore.Commit{Events: harmless(n)})
		require.NoError(t, err)
	}
	fill(3)
	require.NoError(t, appendClosed(t, s, "early")) // at position 4
	fill(6000)
	for range 3 {
		require.NoError(t, guarded(closed("late"), 0))
		require.NoError(t, guarded(closed("early"), 4))
		var conflict *eventstore.ConflictError
		require.ErrorAs(t, guarded(closed("early"), 3), &conflict, "an earlier guard held from position 5 on only")
		require.EqualValues(t, 4, conflict.Position)
		require.ErrorAs(t, guarded(closed("early"), 0), &conflict)
		fill(10)
	}
	require.NoError(t, appendClosed(t, s, "late"))
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	fill(5000)
	for _, after := range []eventstore.Position{0, 1, 100, head - 1} {
		var conflict *eventstore.ConflictError
		require.ErrorAs(t, guarded(closed("late"), after), &conflict)
		require.Equal(t, head, conflict.Position)
	}
	require.NoError(t, guarded(closed("late"), head))
	require.NoError(t, guarded(closed("late"), head+1))
	var conflict *eventstore.ConflictError
	require.ErrorAs(t, guarded(closed("late"), head-1), &conflict, "what holds after it does not hold before it")
}

func appendClosed(t *testing.T, s *boltstore.Store, account string) error {
	_, err := s.Append(t.Context(), eventstore.Commit{Events: []eventstore.NewEvent{{Type: "closed", Tags: []eventstore.Tag{eventstore.Tag(account)}}}})
	return err
}

// harmless returns n events that no guard of the test forbids.
func harmless(n int) []eventstore.NewEvent {
	events := make([]eventstore.NewEvent, n)
	for i := range events {
		events[i] = eventstore.NewEvent{Type: "other", Tags: []eventstore.Tag{"early", "late"}}
	}
	return events
}

// TestAppend_LetsOthersRun: a goroutine that appends in a loop on the only processor does not
// keep it until it is preempted.
func TestAppend_LetsOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := open(t, logPath(t), nil)
	s.SetCommit(func(tx *bolt.Tx) error {
		tx.DB().NoSync = true // as on a disk that takes no time
		return tx.Commit()
	})
	const appends = 300
	var turns atomic.Int64 // of the other goroutine
	var ended atomic.Bool
	var other sync.WaitGroup
	other.Go(func() {
		for !ended.Load() {
			turns.Add(1)
			runtime.Gosched()
		}
	})
	let := 0 // how many appends have let it run
	for range appends {
		before := turns.Load()
		appendEvents(t, s, "s", 1)
		if turns.Load() > before {
			let++
		}
	}
	ended.Store(true)
	other.Wait()
	require.Greater(t, let, appends*9/10)
}

// TestStore_ErrorsNameTheCall: the error of a call that has changed nothing names the call,
// and matches the cause.
func TestStore_ErrorsNameTheCall(t *testing.T) {
	s := open(t, logPath(t), nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func(ctx context.Context) error{
		"append: ": func(ctx context.Context) error {
			_, err := eventstore.AppendTo(ctx, s, "s", eventstore.Any, eventstore.NewEvent{Type: "t"})
			return err
		},
		"commit rows: ": func(ctx context.Context) error {
			return s.CommitRows(ctx, eventstore.RowCommit{View: "v", Checkpoint: eventstore.Checkpoint{Data: []byte("x")}})
		},
		"drop rows: ": func(ctx context.Context) error { _, err := s.DropRows(ctx, "v", 1); return err },
		"attach: ":    func(ctx context.Context) error { return s.Attach(ctx, counter("w")) },
	}
	for says, call := range calls {
		err := call(ended)
		require.ErrorIs(t, err, context.Canceled)
		require.EqualError(t, err, says+"context canceled")
	}
	require.NoError(t, s.Close())
	for says, call := range calls {
		err := call(t.Context())
		require.ErrorIs(t, err, eventstore.ErrClosed)
		require.EqualError(t, err, says+"store is closed")
	}
}
