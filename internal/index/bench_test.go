package index_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/index"
)

// benchLog returns events of five terms each: of one stream in 20000, one type in
// 10, and two tags.
func benchLog(n int) []index.Entry {
	log := make([]index.Entry, n)
	for i := range log {
		log[i] = index.Entry{
			Position: eventstore.Position(i + 1), Stream: eventstore.StreamID(fmt.Sprint("order-", i%20000)), Version: eventstore.Version(i/20000 + 1),
			Type: fmt.Sprint("type-", i%10), Tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint("customer:", i*7%3000)), eventstore.Tag(fmt.Sprint("region:", i*13%50))},
		}
	}
	return log
}

func BenchmarkAdd(b *testing.B) {
	log := benchLog(1 << 16)
	f := newFile(b)
	x := f.open(b, large)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i == len(log) {
			b.StopTimer()
			x, i = f.open(b, large), 0
			b.StartTimer()
		}
		x.Add(1, func(int) index.Entry { return log[i] })
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// benchRead measures fn with a reader of a log that is in memory, or in ten runs.
func benchRead(b *testing.B, inRuns bool, fn func(r *index.Reader, i int)) {
	log := benchLog(100_000)
	f := newFile(b)
	x := f.open(b, large)
	for _, group := range split(log, 10) {
		add(x, group...)
		if inRuns {
			require.NoError(b, x.Save(f))
		}
	}
	f.read(b, x.Snapshot(), x.Through(), func(r *index.Reader) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			fn(r, i)
			i++
		}
		require.NoError(b, r.Err())
	})
}

func BenchmarkHead(b *testing.B) {
	streams, strangers := make([]eventstore.StreamID, 4096), make([]eventstore.StreamID, 4096)
	for i := range streams {
		streams[i] = eventstore.StreamID(fmt.Sprint("order-", i*7919%20000))
		strangers[i] = eventstore.StreamID(fmt.Sprint("order-", 20000+i))
	}
	head := func(streams []eventstore.StreamID) func(*index.Reader, int) {
		return func(r *index.Reader, i int) { r.Head(streams[i%len(streams)]) }
	}
	b.Run("in memory", func(b *testing.B) { benchRead(b, false, head(streams)) })
	b.Run("in one of 10 runs", func(b *testing.B) { benchRead(b, true, head(streams)) })
	b.Run("of a new stream", func(b *testing.B) { benchRead(b, true, head(strangers)) })
}

// BenchmarkWalk goes over all matches of two tags and a type, a few of 100000.
func BenchmarkWalk(b *testing.B) {
	q := eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{"customer:7", "region:13"}, Types: []string{"type-1"}})
	for name, inRuns := range map[string]bool{"in memory": false, "in 10 runs": true} {
		b.Run(name, func(b *testing.B) {
			matches := 0
			benchRead(b, inRuns, func(r *index.Reader, _ int) {
				found, _ := walkAll(r, q, 1, 100_000, false)
				matches = len(found)
			})
			require.Positive(b, matches)
			b.ReportMetric(float64(matches), "matches/op")
		})
	}
}
