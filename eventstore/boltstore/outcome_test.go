package boltstore_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
)

// lateContext ends at the n-th call of Err.
type lateContext struct {
	context.Context
	cancel context.CancelFunc
	left   atomic.Int64
}

func endsAt(t *testing.T, n int64) *lateContext {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	c := &lateContext{Context: ctx, cancel: cancel}
	c.left.Store(n)
	return c
}

func (c *lateContext) Err() error {
	if c.left.Add(-1) == 0 {
		c.cancel()
	}
	return c.Context.Err()
}

// TestAttach_WhoseContextEndsOnTheWay: Attach has attached the view, or returns an error and
// can be called again.
func TestAttach_WhoseContextEndsOnTheWay(t *testing.T) {
	for n := int64(1); n <= 12; n++ {
		s := open(t, logPath(t), nil)
		err := s.Attach(endsAt(t, n), counter("late"))
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, s.Attach(t.Context(), counter("late")))
		}
		appendEvents(t, s, "s", 3)
		requireCount(t, s, "late", 3, 3)
	}
}

// TestAppend_ConflictsKeepNoMemory: of groups whose commits are nearly all refused, the tail
// keeps only the commits that were appended.
func TestAppend_ConflictsKeepNoMemory(t *testing.T) {
	const writers, groups = 512, 200
	s := open(t, logPath(t), nil)
	before := heapInUse()
	var version atomic.Int64
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for v := version.Load(); v < groups; v = version.Load() {
				_, err := s.Append(t.Context(), eventstore.Commit{
					Expect: []eventstore.Expect{{Stream: "s-1", At: eventstore.At(eventstore.Version(v))}},
					Events: []eventstore.NewEvent{{Stream: "s-1", Type: "x"}},
				})
				if err == nil {
					version.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.Less(t, heapInUse(), before+8<<20)
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
