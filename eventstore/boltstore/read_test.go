package boltstore_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
)

// TestStore_Read_WithinAnother reads inside loops over other reads, and leaves some loops
// early. Each loop has its own events, and events that the caller has kept do not change.
func TestStore_Read_WithinAnother(t *testing.T) {
	s := open(t, logPath(t), nil)
	appendEvents(t, s, "long-1", 700)
	appendEvents(t, s, "short-1", 40)
	read := func(q eventstore.Query, limit int, during func()) (events []eventstore.Event) {
		for event, err := range s.Read(context.Background(), q, eventstore.ReadOptions{}) {
			require.NoError(t, err)
			if events = append(events, event); len(events) == limit {
				break
			}
			during()
		}
		return events
	}
	nothing := func() {}
	short := func() {
		for i, event := range read(eventstore.Stream("short-1"), 30, nothing) {
			require.EqualValues(t, 701+i, event.Position)
			require.EqualValues(t, "short-1", event.Stream)
			require.NotEmpty(t, event.Type)
		}
	}
	for range 3 {
		for i, event := range read(eventstore.Stream("long-1"), 0, short) {
			require.EqualValues(t, i+1, event.Position)
			require.EqualValues(t, i+1, event.Version)
			require.EqualValues(t, "long-1", event.Stream)
			require.NotEmpty(t, event.Type)
		}
	}
}
