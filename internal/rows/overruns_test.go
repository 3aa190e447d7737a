package rows_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/rows"
)

// applied applies one commit with a second of time.
func applied(apply func(ctx context.Context) error) rows.Applied {
	v := eventstore.InlineView{Apply: func(ctx context.Context, _ eventstore.RowTx, _ []eventstore.Event) error { return apply(ctx) }}
	commits := rows.OneCommit{{Position: 7, Type: "t"}}
	return rows.Start(context.Background(), v, plain{}, commits, time.Now().Add(time.Second), time.Time{}).Wait()
}

func overrun(ctx context.Context) error {
	<-ctx.Done()
	return errors.New("too late")
}

// TestOverruns_Note: the third overrun in succession is a fault, and the waits before it
// double.
func TestOverruns_Note(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o rows.Overruns
		note := func(late bool) {
			t.Helper()
			result := applied(overrun)
			require.True(t, result.Overrun)
			require.ErrorIs(t, result.Cause, rows.ErrOverrun)
			require.Equal(t, late, o.Note(&result))
			require.Equal(t, late, result.Fault == nil)
		}
		note(true)
		require.Equal(t, 100*time.Millisecond, o.Backoff())
		note(true)
		require.Equal(t, 200*time.Millisecond, o.Backoff())
		note(false)
		o.Good()
		for range 20 {
			note(true)
			o.Good()
		}
		require.Equal(t, 10*time.Second, o.Backoff())
		time.Sleep(2 * time.Minute)
		note(true)
		require.Equal(t, 100*time.Millisecond, o.Backoff(), "after a calm minute")
	})
}

// TestOverruns_OtherFaults: a fault within the view's time is a fault at once.
func TestOverruns_OtherFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o rows.Overruns
		for _, apply := range []func(context.Context) error{
			func(context.Context) error { return errors.New("bad") },
			func(context.Context) error { panic("bad") },
		} {
			result := applied(apply)
			require.False(t, result.Overrun)
			require.False(t, o.Note(&result))
			require.Contains(t, result.Fault.Reason, "bad")
		}
		result := applied(func(context.Context) error { return nil })
		require.False(t, o.Note(&result))
		require.Nil(t, result.Fault)
		require.Equal(t, 1, result.Good)
	})
}

// TestOverruns_Paused: an overrun that is noticed late does not count.
func TestOverruns_Paused(t *testing.T) {
	var o rows.Overruns
	for range 10 {
		v := eventstore.InlineView{Apply: func(ctx context.Context, _ eventstore.RowTx, _ []eventstore.Event) error { return overrun(ctx) }}
		begun := time.Now().Add(-time.Minute) // as if the process had been stopped since
		result := rows.Start(context.Background(), v, plain{}, rows.OneCommit{{Position: 7, Type: "t"}}, begun.Add(time.Second), time.Time{}).Wait()
		require.True(t, result.Overrun)
		require.True(t, o.Note(&result))
	}
}
