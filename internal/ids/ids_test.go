package ids_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/yore-es/yore/internal/ids"
)

func TestNew_IsVersion7AndOrdersByTime(t *testing.T) {
	var s ids.Source
	var last uuid.UUID
	now := time.Date(2026, 2, 3, 4, 5, 6, 789_123_456, time.UTC)
	for i := range 10_000 {
		id, err := s.New(now)
		require.NoError(t, err)
		require.Equal(t, uuid.Version(7), id.Version())
		require.Equal(t, uuid.RFC4122, id.Variant())
		require.Positive(t, bytes.Compare(id[:], last[:]), "id %d: %v after %v", i, id, last)
		last = id
	}
	first, err := new(ids.Source).New(now)
	require.NoError(t, err)
	sec, nsec := first.Time().UnixTime()
	assert.Equal(t, now.Truncate(time.Millisecond), time.Unix(sec, nsec).UTC())

	before, err := s.New(now.Add(-time.Hour))
	require.NoError(t, err)
	assert.Positive(t, bytes.Compare(before[:], last[:]), "a clock that goes back")
}

func TestNew_OfATimeBefore1970(t *testing.T) {
	id, err := new(ids.Source).New(time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	assert.Equal(t, uuid.Version(7), id.Version())
	assert.Equal(t, make([]byte, 6), id[:6])
}

// TestNew_IsUnique compares two sources at one moment: only the random halves of
// their ids differ.
func TestNew_IsUnique(t *testing.T) {
	const sources, each = 8, 5_000
	made := make([][]uuid.UUID, sources)
	now := time.Now()
	var shared ids.Source
	var all sync.WaitGroup
	for i := range made {
		s := &shared
		if i%2 == 0 {
			s = new(ids.Source)
		}
		all.Go(func() {
			for range each {
				id, err := s.New(now)
				if err != nil {
					t.Error(err)
				}
				made[i] = append(made[i], id)
			}
		})
	}
	all.Wait()
	seen := make(map[uuid.UUID]bool)
	halves := make(map[[8]byte]bool)
	for _, id := range slices.Concat(made...) {
		seen[id] = true
		halves[[8]byte(id[8:])] = true
	}
	assert.Len(t, seen, sources*each)
	assert.Len(t, halves, sources*each, "of the random halves")
}

func BenchmarkNew(b *testing.B) {
	var s ids.Source
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.New(now); err != nil {
			b.Fatal(err)
		}
	}
}
