package logfile_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/internal/logfile"
	"github.com/yore-es/yore/internal/pages"
	"github.com/yore-es/yore/internal/record"
)

// accessTo opens a closed log for reading.
func accessTo(t *testing.T, path string) logfile.Access {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return logfile.Access{Usable: context.Context.Err, ReadTx: func(fn func(*pages.Tx) error) error {
		return db.View(func(tx *bolt.Tx) error { return fn(pages.View(tx)) })
	}}
}

func TestPage_HoldsCopies(t *testing.T) {
	var page logfile.Page
	for range 2 {
		page.Reset()
		b := rec(7, 10)
		page.Add(7, b)
		page.Add(9, rec(9, 20))
		clear(b)
		require.EqualValues(t, 9, page.Last())
		got := make(map[eventstore.Position][]byte)
		for p, rec := range page.All() {
			got[p] = rec
		}
		require.Equal(t, map[eventstore.Position][]byte{7: rec(7, 10), 9: rec(9, 20)}, got)
	}
}

func TestCopyRecords_ReadsPagesOfBoundedSize(t *testing.T) {
	path := newLog(t)
	write(t, path, 1, 600, 20)
	write(t, path, 601, 603, 700<<10)
	write(t, path, 604, 604, 3<<20)
	write(t, path, 605, 610, 20)
	next, pages := eventstore.Position(3), 0
	err := logfile.CopyRecords(t.Context(), accessTo(t, path), 3, 609, func(page *logfile.Page) error {
		pages++
		require.LessOrEqual(t, page.Len(), logfile.PageEvents)
		require.True(t, page.Size() <= logfile.PageBytes || page.Len() == 1)
		for p, got := range page.All() {
			require.Equal(t, next, p)
			r, err := record.Decode(seed, p, got)
			require.NoError(t, err)
			require.Equal(t, p, r.Event.Position)
			next++
		}
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 610, next)
	require.Equal(t, 7, pages)
}

func TestCopyRecords_EndsWithAnError(t *testing.T) {
	path := newLog(t)
	write(t, path, 1, 399, 20)
	write(t, path, 401, 600, 20)
	access := accessTo(t, path)
	var pages []eventstore.Position
	note := func(page *logfile.Page) error { pages = append(pages, page.Last()); return nil }
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, logfile.CopyRecords(t.Context(), access, 1, 600, note), &corrupt)
	require.EqualValues(t, 400, corrupt.Position)
	require.Equal(t, []eventstore.Position{256}, pages)

	full := errors.New("the disk is full")
	err := logfile.CopyRecords(t.Context(), access, 1, 600, func(*logfile.Page) error { return full })
	require.ErrorIs(t, err, full)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	pages = nil
	require.ErrorIs(t, logfile.CopyRecords(ctx, access, 1, 600, note), context.Canceled)
	require.Empty(t, pages)
	require.NoError(t, logfile.CopyRecords(t.Context(), access, 5, 4, note), "an empty range")
}

// after is a sequence that has taken positions 1 to 3: a commit of one event, and the
// first two events of a commit of three.
func after(t *testing.T, gaps bool) (*logfile.Sequence, record.Chain) {
	t.Helper()
	s := logfile.NewSequence(seed, 0, gaps)
	var chain record.Chain
	for p, place := range []record.Place{{I: 0, N: 1}, {I: 0, N: 3}, {I: 1, N: 3}} {
		p := eventstore.Position(p + 1)
		var rec []byte
		rec, chain = recAfter(chain, p, 10, place, recorded)
		r, err := s.Next(p, rec)
		require.NoError(t, err)
		require.Equal(t, place, r.Place)
		require.Equal(t, p, s.Head())
	}
	return &s, chain
}

func TestSequence_Next(t *testing.T) {
	earlier := recorded.Add(-1)
	tests := map[string]struct {
		p               eventstore.Position
		place           record.Place
		at              time.Time
		refuses         string // "" means that it may come next
		refusesWithGaps string // where positions may be missing
	}{
		"the end of the commit":       {4, record.Place{I: 2, N: 3}, recorded, "", ""},
		"recorded later":              {4, record.Place{I: 2, N: 3}, recorded.Add(time.Hour), "others of its commit at", "others of its commit at"},
		"no record of an Append":      {4, record.Place{I: 2, N: 70_000}, recorded, "where event 2 of 3 comes next", "a commit of 70000 events, at most 65536"},
		"the last position again":     {3, record.Place{I: 2, N: 3}, recorded, "follows position 3", "follows position 3"},
		"a position too far":          {5, record.Place{I: 2, N: 3}, recorded, "the positions between are missing", ""},
		"recorded earlier":            {4, record.Place{I: 2, N: 3}, earlier, "before the preceding event", "before the preceding event"},
		"another commit":              {4, record.Place{I: 0, N: 1}, recorded, "event 0 of a commit of 1, where event 2 of 3 comes next", ""},
		"another place in the commit": {4, record.Place{I: 1, N: 3}, recorded, "where event 2 of 3 comes next", ""},
	}
	for name, tt := range tests {
		for _, gaps := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				s, chain := after(t, gaps)
				refuses := tt.refuses
				if gaps {
					refuses = tt.refusesWithGaps
				}
				next, _ := recAfter(chain, tt.p, 10, tt.place, tt.at)
				_, err := s.Next(tt.p, next)
				if refuses == "" {
					require.NoError(t, err)
					require.Equal(t, tt.p, s.Head())
					return
				}
				var corrupt *eventstore.CorruptError
				require.ErrorAs(t, err, &corrupt)
				require.Equal(t, tt.p, corrupt.Position)
				require.ErrorContains(t, err, refuses)
				require.EqualValues(t, 3, s.Head())
				right, _ := recAfter(chain, 4, 10, record.Place{I: 2, N: 3}, recorded)
				_, err = s.Next(4, right)
				require.NoError(t, err, "the refused record changed the sequence")
			})
		}
	}
}

// TestSequence_NextOfAnotherLog has whole records that are not those of the log.
func TestSequence_NextOfAnotherLog(t *testing.T) {
	s, chain := after(t, false)
	_, err := s.Next(4, rec(5, 10))
	require.ErrorIs(t, err, eventstore.ErrCorrupt, "a record of another position")
	other, _ := recAfter(chain+1, 4, 10, record.Place{I: 2, N: 3}, recorded)
	_, err = s.Next(4, other)
	require.ErrorContains(t, err, "running checksum")
	require.EqualValues(t, 3, s.Head())
}

func TestSequence_End(t *testing.T) {
	require.NoError(t, new(logfile.Sequence).End())
	s, chain := after(t, false)
	err := s.End()
	var corrupt *eventstore.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.EqualValues(t, 4, corrupt.Position)
	require.ErrorContains(t, err, "in a commit of 3 events")
	gaps, _ := after(t, true)
	require.NoError(t, gaps.End(), "with gaps, parts of commits may be missing")
	last, _ := recAfter(chain, 4, 10, record.Place{I: 2, N: 3}, recorded)
	_, err = s.Next(4, last)
	require.NoError(t, err)
	require.NoError(t, s.End())
}

// TestSequence_BeginsAnywhere: a sequence that goes on after a position takes the rest
// of a commit, and the running checksum that the first commit says.
func TestSequence_BeginsAnywhere(t *testing.T) {
	s := logfile.NewSequence(seed, 10, false)
	b, chain := recAfter(77, 11, 10, record.Place{I: 1, N: 2}, recorded)
	_, err := s.Next(11, b)
	require.NoError(t, err)
	wrong, _ := recAfter(chain+1, 12, 10, record.Place{I: 0, N: 1}, recorded)
	_, err = s.Next(12, wrong)
	require.ErrorContains(t, err, "running checksum")
	right, _ := recAfter(chain, 12, 10, record.Place{I: 0, N: 1}, recorded)
	_, err = s.Next(12, right)
	require.NoError(t, err)
	first := logfile.NewSequence(seed, 0, false)
	_, err = first.Next(1, recAt(1, 10, record.Place{I: 1, N: 2}, recorded))
	require.ErrorContains(t, err, "event 1 of a commit of 2, where event 0 of 2 comes next")
}
