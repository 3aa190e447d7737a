package aggregate_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/aggregate"
	"github.com/yore-es/yore/eventstore/boltstore"
)

// BenchmarkRepository_Load loads an aggregate of 10,000 events and one of 10 in
// turns, from a store on disk: from the first event on, from a snapshot, and one
// that is in memory. It reports how long each takes and how many times longer the
// long one does.
func BenchmarkRepository_Load(b *testing.B) {
	store, err := boltstore.Open(filepath.Join(b.TempDir(), "log"), nil)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, store.Close()) })
	snapshots := newRepository(b, store, &aggregate.Options{Snapshots: &aggregate.Snapshots{Fingerprint: "1"}})
	for id, n := range map[string]int{"long": 10_000, "short": 10} {
		execute(b, snapshots, b.Context(), id, count{Name: "a", N: 1, Times: n})
		require.NoError(b, snapshots.Snapshot(b.Context(), id))
	}
	for name, r := range map[string]*tallies{
		"replayed": newRepository(b, store, nil),
		"snapshot": snapshots,
		"cached":   newCached(b, store, nil, nil),
	} {
		b.Run(name, func(b *testing.B) {
			stateOf(b, r, "long")
			stateOf(b, r, "short")
			var long, short time.Duration
			for b.Loop() {
				began := time.Now()
				stateOf(b, r, "long")
				middle := time.Now()
				stateOf(b, r, "short")
				long, short = long+middle.Sub(began), short+time.Since(middle)
			}
			b.ReportMetric(float64(long.Nanoseconds())/float64(b.N), "ns/long")
			b.ReportMetric(float64(short.Nanoseconds())/float64(b.N), "ns/short")
			b.ReportMetric(float64(long)/float64(short), "long/short")
		})
	}
}
