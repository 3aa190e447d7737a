package aggregate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore"
)

// An id may be of any length, and is too long then; the text of the error that says so is
// short.
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
