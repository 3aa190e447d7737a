package aggregate_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
)

// Names that are the library's own are refused from applications, on each way to the log.
func TestNames_TheLibrarysOwn(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, nil)
	decisions := newDecisions(t, store, nil)
	opened := record(roomOpened{"a", 1})
	refused := func(err error, name string) {
		t.Helper()
		require.ErrorIs(t, err, eventstore.ErrInvalid)
		require.ErrorContains(t, err, name+": names that begin with")
		require.Empty(t, logged(t, store))
	}

	d := decider()
	d.Category = "yore.tally"
	_, err := aggregate.NewRepository(store, newRegistry(t), d, nil)
	refused(err, `Category: stream "yore.tally"`)
	_, err = decisions.Execute(t.Context(), record(roomOpened{"a", 1}, aggregate.In("yore.room-a", roomOpened{"a", 1})))
	refused(err, `event 1 (aggregate_test.roomOpened): stream "yore.room-a"`)

	for name, ctx := range map[string]context.Context{
		`command id: key "yore/x"`: eventstore.WithCommandID(t.Context(), "yore/x"),
		`metadata "yore-x"`:        eventstore.WithMetadata(t.Context(), eventstore.Metadata{"yore-x": "1", "actor": "ann"}),
	} {
		_, err = r.Execute(ctx, "1", closeTally{})
		refused(err, name)
		_, err = decisions.Execute(ctx, opened)
		refused(err, name)
		_, err = aggregate.ExecuteAll(ctx, r.Part(ctx, "1", closeTally{}, nil))
		refused(err, name)
	}

	// Names that begin with "yore-" or "yore." elsewhere belong to the application.
	ctx := eventstore.WithMetadata(eventstore.WithCommandID(t.Context(), "yore-1"), eventstore.Metadata{"yore.x": "1"})
	execute(t, r, ctx, "1", closeTally{})
	_, err = decisions.Execute(t.Context(), record(aggregate.In("yore-a", roomOpened{"a", 1})))
	require.NoError(t, err)
}

// An id may have any length. The text of the error for one that is too long is short.
func TestRepository_LongNamesAreCut(t *testing.T) {
	store := newStore(t)
	r := newRepository(t, store, &aggregate.Options{Snapshots: &aggregate.Snapshots{Fingerprint: "1", Every: 1}})
	long := strings.Repeat("x", 1<<20)
	decisions := newDecisions(t, store, nil)
	for name, call := range map[string]func() error{
		"execute":    func() error { _, err := r.Execute(t.Context(), long, closeTally{}); return err },
		"load":       func() error { _, _, err := r.Load(t.Context(), long); return err },
		"load at":    func() error { _, err := r.LoadAt(t.Context(), long, 3); return err },
		"load as of": func() error { _, _, err := r.LoadAsOf(t.Context(), long, time.Now()); return err },
		"load as of the zero time": func() error {
			_, _, err := r.LoadAsOf(t.Context(), long, time.Time{})
			return err
		},
		"history": func() error {
			for _, err := range r.History(t.Context(), long) {
				return err
			}
			return nil
		},
		"snapshot": func() error { return r.Snapshot(t.Context(), long) },
		"part": func() error {
			_, err := aggregate.ExecuteAll(t.Context(), r.Part(t.Context(), long, closeTally{}, nil))
			return err
		},
		"command id": func() error {
			_, err := r.Execute(eventstore.WithCommandID(t.Context(), long), "1", closeTally{})
			return err
		},
		"category": func() error {
			d := decider()
			d.Category = long
			_, err := aggregate.NewRepository(store, newRegistry(t), d, nil)
			return err
		},
		"decision": func() error {
			_, err := decisions.Execute(t.Context(), record(aggregate.InStream{Stream: eventstore.StreamID(long), Event: roomOpened{"a", 1}}))
			return err
		},
	} {
		err := call()
		require.Error(t, err, name)
		require.Less(t, len(err.Error()), 1_200, name)
	}
}
