package eventstore_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
)

func TestExpectation(t *testing.T) {
	const most = eventstore.Version(math.MaxUint64)
	tests := []struct {
		name          string
		expected      eventstore.Expectation
		actual        eventstore.Version
		holds         bool
		firstConflict eventstore.Version
	}{
		{"zero, no events", 0, 0, false, 0},
		{"zero, one event", 0, 1, false, 0},
		{"the number 1, no events", 1, 0, false, 0},
		{"the number 1, one event", 1, 1, false, 0},
		{"the number 3, no events", 3, 0, false, 0},
		{"the number 4, two events", 4, 2, false, 0},
		{"the number -1, two events", math.MaxUint64, 2, false, 0},
		{"Any, no events", eventstore.Any, 0, true, 0},
		{"Any, one event", eventstore.Any, 1, true, 0},
		{"Exists, no events", eventstore.Exists, 0, false, 0},
		{"Exists, one event", eventstore.Exists, 1, true, 0},
		{"NoStream, no events", eventstore.NoStream, 0, true, 0},
		{"NoStream, three events", eventstore.NoStream, 3, false, 1},
		{"At(1), no events", eventstore.At(1), 0, false, 0},
		{"At(1), one event", eventstore.At(1), 1, true, 0},
		{"At(1), two events", eventstore.At(1), 2, false, 2},
		{"At(3), nine events", eventstore.At(3), 9, false, 4},
		{"At(the most), one event", eventstore.At(most), 1, false, 0},
		{"At(nearly the most), one event", eventstore.At(most - 2), 1, false, 0},
		{"At(a large version), that version", eventstore.At(1 << 61), 1 << 61, true, 0},
		{"At(a large version), one event more", eventstore.At(1 << 61), 1<<61 + 1, false, 1<<61 + 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.holds, test.expected.Holds(test.actual))
			require.Equal(t, test.firstConflict, test.expected.FirstConflict(test.actual))
		})
	}
}

func TestAt(t *testing.T) {
	require.Equal(t, eventstore.NoStream, eventstore.At(0))
	require.Equal(t, eventstore.At(math.MaxUint64), eventstore.At(math.MaxUint64-1), "beyond every stream")
	seen := map[eventstore.Expectation]bool{0: true, eventstore.Any: true, eventstore.Exists: true}
	for v := range eventstore.Version(5) {
		require.False(t, seen[eventstore.At(v)], "At(%d)", v)
		seen[eventstore.At(v)] = true
	}
}

func TestExpectation_String(t *testing.T) {
	for expected, want := range map[eventstore.Expectation]string{
		0:                      "nothing (the zero Expectation)",
		eventstore.Any:         "any version",
		eventstore.Exists:      "an existing stream",
		eventstore.NoStream:    "no stream",
		eventstore.At(7):       "version 7",
		eventstore.At(1 << 40): "version 1099511627776",
		1:                      "nothing (the number 1)",
		math.MaxUint64:         "nothing (the number 18446744073709551615)",
	} {
		require.Equal(t, want, expected.String())
	}
}
