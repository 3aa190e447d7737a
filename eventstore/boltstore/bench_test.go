package boltstore_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
)

func benchmarkEvent() eventstore.NewEvent {
	return eventstore.NewEvent{
		Type: "cart.item-added", SchemaVersion: 1, Codec: "json", Data: make([]byte, 256),
		Tags: []eventstore.Tag{"sku:85123A", "customer:42"},
	}
}

// BenchmarkAppend appends single events of 256 bytes with two tags, each writer
// to a stream of its own which is a new one after every ten events. Every append is durable.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s, err := boltstore.Open(logPath(b), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			var left atomic.Int64
			left.Store(int64(b.N))
			var group sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			begin := time.Now()
			for range writers {
				group.Add(1)
				go func() {
					defer group.Done()
					var stream eventstore.StreamID
					for i := eventstore.Version(0); left.Add(-1) >= 0; i++ {
						if i%10 == 0 {
							stream = eventstore.StreamID("cart-" + uuid.Must(uuid.NewV7()).String())
						}
						if _, err := eventstore.AppendTo(b.Context(), s, stream, eventstore.At(i%10), benchmarkEvent()); err != nil {
							b.Error(err)
							return
						}
					}
				}()
			}
			group.Wait()
			b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "durable-events/s")
		})
	}
}

// filled returns a store of n events, a hundred to a stream.
func filled(b *testing.B, n int) *boltstore.Store {
	s, err := boltstore.Open(logPath(b), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	for i := range n / 100 {
		list := make([]eventstore.NewEvent, 100)
		for j := range list {
			list[j] = benchmarkEvent()
		}
		if _, err := eventstore.AppendTo(b.Context(), s, eventstore.StreamID(fmt.Sprint("cart-", i)), eventstore.NoStream, list...); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkRead reads, in a log of 100,000 events, all of it or one stream of a
// hundred.
func BenchmarkRead(b *testing.B) {
	s := filled(b, 100_000)
	tests := []struct {
		name  string
		query func(i int) eventstore.Query
	}{
		{"all", func(int) eventstore.Query { return eventstore.All() }},
		{"stream", func(i int) eventstore.Query {
			return eventstore.Stream(eventstore.StreamID(fmt.Sprint("cart-", i*7919%1000)))
		}},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			events, i := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range s.Read(b.Context(), tt.query(i), eventstore.ReadOptions{}) {
					if err != nil {
						b.Fatal(err)
					}
					events++
				}
				i++
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkGetRows reads a row of a view of 10,000, with the number of layers of
// changes over it that the name says.
func BenchmarkGetRows(b *testing.B) {
	for _, layers := range []int{0, 8} {
		b.Run(fmt.Sprintf("layers=%d", layers), func(b *testing.B) {
			s, err := boltstore.Open(logPath(b), nil)
			require.NoError(b, err)
			defer s.Close()
			_, err = s.Append(b.Context(), eventstore.Commit{Events: slices.Repeat([]eventstore.NewEvent{benchmarkEvent()}, 100)})
			require.NoError(b, err)
			row := func(i int) eventstore.Row {
				return eventstore.Row{RowKey: eventstore.RowKey{Table: "by-key", Key: fmt.Appendf(nil, "%08d", i)}, Value: make([]byte, 50)}
			}
			var at eventstore.Checkpoint
			for i := range layers + 1 {
				next := eventstore.Checkpoint{Position: at.Position + 1}
				c := eventstore.RowCommit{View: "v", Expected: at, Checkpoint: next}
				for j := range 10_000 {
					if i == 0 || j%40 == i {
						c.Rows = append(c.Rows, row(j))
					}
				}
				require.NoError(b, s.CommitRows(b.Context(), c))
				at = next
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				_, err := s.GetRows(b.Context(), "v", row(i*7919%10_000).RowKey)
				require.NoError(b, err)
			}
		})
	}
}
