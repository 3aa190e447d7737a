package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary the process that is killed, if it is started as
// that.
func TestMain(m *testing.M) {
	if path := os.Getenv(victimVariable); path != "" {
		os.Exit(victim(path))
	}
	os.Exit(m.Run())
}

// tiny is a scale that runs all code and yields meaningless figures.
var tiny = scale{
	rounds: 1,
	warm:   5 * time.Millisecond,
	window: 20 * time.Millisecond,
	glance: time.Millisecond,

	logEvents:   20_000,
	stallEvents: 300,

	growthRounds: 1,
	growthEvents: 3_072,
	growthEnds:   1_024,
	growthFloor:  5 * time.Millisecond,

	liveAppends:   10,
	fanoutEvents:  200,
	fanoutReaders: 10,
	viewEvents:    1_000,
	victimRounds:  1,
	victimLife:    50 * time.Millisecond,
	smallerLogs:   true,
}

func TestRows_Names(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range rows {
		require.False(t, seen[r.name], "two rows are named %s", r.name)
		seen[r.name] = true
		require.NotEmpty(t, r.unit, r.name)
		require.NotEmpty(t, r.what, r.name)
		require.NotZero(t, r.must.limit, r.name)
	}
}

func TestMeasure_JSON(t *testing.T) {
	dir := t.TempDir()
	c := config{scale: tiny, only: regexp.MustCompile(""), dir: dir, json: true}
	var stdout, stderr bytes.Buffer
	_, err := measure(context.Background(), c, &stdout, &stderr)
	require.NoError(t, err)

	var names []string
	for line := range strings.Lines(stdout.String()) {
		var object struct {
			Name     string
			Value    *float64
			Unit     string
			Baseline *float64
			Ratio    *float64
		}
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(&object), line)
		require.NotNil(t, object.Value, line)
		require.NotNil(t, object.Baseline, line)
		require.NotNil(t, object.Ratio, line)
		if object.Name != "follow/live" { // its deliveries may all be in time
			require.Positive(t, *object.Value, line)
		}
		names = append(names, object.Name)
	}
	var want []string
	for _, r := range rows {
		if r.name == "scan/cold" && !strings.Contains(stdout.String(), r.name) {
			require.Contains(t, stderr.String(), errSkipped.Error())
			continue
		}
		want = append(want, r.name)
	}
	require.Equal(t, want, names)
	require.Contains(t, stderr.String(), "open: after the writer was killed")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "files are left behind")
}

func TestMeasure_Table(t *testing.T) {
	c := config{scale: tiny, only: regexp.MustCompile("^append/w1$|^size$"), dir: t.TempDir()}
	var stdout bytes.Buffer
	_, err := measure(context.Background(), c, &stdout, io.Discard)
	require.NoError(t, err)
	lines := strings.Split(stdout.String(), "\n")
	require.Regexp(t, `^name +value unit +baseline +ratio +must reach`, lines[0])
	require.Regexp(t, `^append/w1 +[0-9.]+ events/s +[0-9.]+ +[0-9.]+  ≥ 0.85 +(ok|MISSED)$`, lines[1])
	require.Regexp(t, `^size +[0-9.]+ B/event +[0-9.]+ +[0-9.]+  ≤ 450 +(ok|MISSED)$`, lines[2])
	require.Contains(t, stdout.String(), "growth: ")
}

func TestBound_Holds(t *testing.T) {
	tests := []struct {
		bound bound
		s     sample
		want  bool
	}{
		{atLeast(0.5), sample{50, 100}, true},
		{atLeast(0.5), sample{49, 100}, false},
		{atMost(8), sample{8, 1}, true},
		{atMost(8), sample{9, 1}, false},
		{valueAtMost(128), sample{128, 1}, true},
		{valueAtMost(128), sample{129, 1000}, false},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, tt.bound.holds(tt.s), "%v of %+v", tt.bound, tt.s)
	}
}

func TestMiddle_Median(t *testing.T) {
	require.Equal(t, sample{3, 10}, middle([]sample{{9, 10}, {3, 10}, {1, 10}}))
	require.Equal(t, sample{2, 10}, middle([]sample{{9, 10}, {3, 10}, {2, 10}, {1, 10}}))
}

func TestRun_Arguments(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, 0, run([]string{"-list", "-run", "^scan"}, &stdout, &stderr))
	require.Equal(t, 2, strings.Count(stdout.String(), "\n"))
	require.Equal(t, 2, run([]string{"-run", "("}, &stdout, &stderr))
	require.Equal(t, 2, run([]string{"rows"}, &stdout, &stderr))
	require.Equal(t, 1, run([]string{"-dir", "/no/such/directory"}, &stdout, &stderr))
}
