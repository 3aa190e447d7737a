package boltstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/yore-es/yore/eventstore"
	"github.com/yore-es/yore/eventstore/boltstore"
	"github.com/yore-es/yore/internal/record"
)

func byTag(tag eventstore.Tag) eventstore.Query {
	return eventstore.Match(eventstore.Item{Tags: []eventstore.Tag{tag}})
}

func byType(name string) eventstore.Query {
	return eventstore.Match(eventstore.Item{Types: []string{name}})
}

// TestStore_IndexIsWrittenWhileTheStoreIsUsed has the postings of every group written soon, as
// a run of their own, and the runs merged and deleted, while goroutines append under
// conditions and others read. All answers agree with the log.
func TestStore_IndexIsWrittenWhileTheStoreIsUsed(t *testing.T) {
	const writers, commits = 8, 120
	path := logPath(t)
	s := open(t, path, &boltstore.Options{IndexMemory: 1})
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() { appendGuarded(t, s, w, commits) })
	}
	written := make(chan struct{})
	var reading sync.WaitGroup
	for r := range 2 {
		reading.Go(func() {
			for random := rand.New(rand.NewPCG(1, uint64(r))); ; {
				compareWithLog(t, s, random)
				select {
				case <-written:
					return
				default:
				}
			}
		})
	}
	writing.Wait()
	close(written)
	reading.Wait()
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	require.Greater(t, head, eventstore.Position(2*writers*commits))
	verify(t, s)
	require.NoError(t, s.Close())

	status := statusOf(t, path)
	merged := slices.ContainsFunc(status.runs, func(r indexRun) bool { return r.level >= 2 })
	require.True(t, merged, "no runs were merged again: %+v", status.runs)
	require.Greater(t, through(t, path), head/2)
	s = open(t, path, nil)
	require.Empty(t, s.Info().Warnings)
	for range 10 {
		compareWithLog(t, s, rand.New(rand.NewPCG(2, 0)))
	}
}

// appendGuarded appends commits of one to five events to a stream of the writer's own. Each
// expects the stream's version, and is guarded against other events with the writer's tag.
func appendGuarded(t *testing.T, s eventstore.Store, writer, commits int) {
	random := rand.New(rand.NewPCG(0, uint64(writer)))
	stream := eventstore.StreamID(fmt.Sprintf("%c-%d", 'a'+writer%3, writer))
	own := eventstore.Tag(fmt.Sprint("writer:", writer))
	version, last := eventstore.Version(0), eventstore.Position(0)
	for i := range commits {
		c := eventstore.Commit{
			Key:    fmt.Sprint(writer, "-", i),
			Expect: []eventstore.Expect{{Stream: stream, At: eventstore.At(version)}},
			Guards: []eventstore.Guard{{Query: byTag(own), After: last}},
		}
		for range 1 + random.IntN(5) {
			c.Events = append(c.Events, eventstore.NewEvent{Stream: stream, Type: fmt.Sprint("t", random.IntN(3)),
				Tags: []eventstore.Tag{own, eventstore.Tag(fmt.Sprint("some:", random.IntN(50)))}})
		}
		c.Events[0].Tags = append(c.Events[0].Tags, eventstore.Tag("once:"+c.Key))
		receipt, err := s.Append(t.Context(), c)
		if err != nil {
			t.Errorf("writer %d, commit %d: %v", writer, i, err)
			return
		}
		version, last = receipt.Heads[0].Version, receipt.Last
		stale := c
		stale.Key += "-stale"
		if _, err := s.Append(t.Context(), stale); !errors.Is(err, eventstore.ErrConflict) {
			t.Errorf("writer %d, commit %d again, under another key: %v", writer, i, err)
			return
		}
	}
}

// compareWithLog compares what queries find, up to the present head, with the events of the
// log that match.
func compareWithLog(t *testing.T, s *boltstore.Store, random *rand.Rand) {
	head, err := s.Head(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	stream := eventstore.StreamID(fmt.Sprintf("a-%d", 3*random.IntN(3)))
	tag := eventstore.Tag(fmt.Sprint("some:", random.IntN(50)))
	writer := eventstore.Tag(fmt.Sprint("writer:", random.IntN(8)))
	kind := fmt.Sprint("t", random.IntN(3))
	queries := []eventstore.Query{
		eventstore.Stream(stream), eventstore.Category("b"), byTag(tag), byType(kind), byTag("nobody's"),
		eventstore.Match(eventstore.Item{Types: []string{kind}, Tags: []eventstore.Tag{tag, writer}}),
		eventstore.Union(byTag(tag), eventstore.Match(eventstore.Item{Streams: []eventstore.StreamID{stream}, Types: []string{kind}})),
	}
	opts := eventstore.ReadOptions{To: head, Backward: random.IntN(2) == 0}
	if head == 0 {
		return
	}
	want := make([][]eventstore.Position, len(queries))
	for e, err := range s.Read(t.Context(), eventstore.All(), opts) {
		if err != nil {
			t.Error(err)
			return
		}
		for i, q := range queries {
			if q.Matches(e.Stream, e.Type, e.Tags) {
				want[i] = append(want[i], e.Position)
			}
		}
	}
	for i, q := range queries {
		var found []eventstore.Position
		for e, err := range s.Read(t.Context(), q, opts) {
			if err != nil {
				t.Error(err)
				return
			}
			found = append(found, e.Position)
		}
		if !slices.Equal(want[i], found) {
			t.Errorf("up to position %d, backward %v: %v has %v, the log %v", head, opts.Backward, q, found, want[i])
		}
	}
}

// TestClose_WritesTheIndex: Close writes a large part of the index, so that Open does not read
// these records again and does not meet a damaged one.
func TestClose_WritesTheIndex(t *testing.T) {
	for _, tt := range []struct {
		events int
		saved  bool
	}{{5000, true}, {100, false}} {
		t.Run(fmt.Sprint(tt.events), func(t *testing.T) {
			path := logPath(t)
			s, err := boltstore.Open(path, nil)
			require.NoError(t, err)
			for range tt.events / 100 {
				appendEvents(t, s, "s-1", 100)
			}
			require.NoError(t, s.Close())
			want := eventstore.Position(0)
			if tt.saved {
				want = eventstore.Position(tt.events)
			}
			require.Equal(t, want, through(t, path))
			edit(t, path, damageRecord(50))

			var said bytes.Buffer
			s = openUnverified(t, path, &boltstore.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
			require.Equal(t, !tt.saved, bytes.Contains(said.Bytes(), []byte("cannot be read")), said.String())
			read, at := readUntilCorrupt(t, s, byTag("n:0"), eventstore.ReadOptions{From: 51})
			require.NotEmpty(t, read)
			require.Zero(t, at)
		})
	}
}

// TestClose_WritesTheIndexOfLargeEvents: what Close writes depends on bytes too. A few events
// may have as many postings as many events have.
func TestClose_WritesTheIndexOfLargeEvents(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	for i := range 50 {
		e := eventstore.NewEvent{Type: "t"}
		for n := range 100 {
			e.Tags = append(e.Tags, eventstore.Tag(fmt.Sprintf("tag:%d-%d-%060d", i, n, 0)))
		}
		_, err := eventstore.AppendTo(t.Context(), s, "s", eventstore.Any, e)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	require.EqualValues(t, 50, through(t, path))
}

// damageRecord changes a byte of a record's identity.
func damageRecord(p eventstore.Position) func(tx *bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		key, log := record.Key(p), tx.Bucket([]byte("log"))
		value := bytes.Clone(log.Get(key[:]))
		value[45] ^= 0x10
		return log.Put(key[:], value)
	}
}

// TestAppend_FailedIsInNoQuery has transactions that fail after their events are in the index's
// memory.
func TestAppend_FailedIsInNoQuery(t *testing.T) {
	for _, memory := range []int{0, 1} {
		t.Run(fmt.Sprint("index memory ", memory), func(t *testing.T) {
			path := logPath(t)
			s := open(t, path, &boltstore.Options{IndexMemory: memory})
			var failing atomic.Bool
			s.SetCommit(func(tx *bolt.Tx) error {
				if failing.Load() {
					return errors.Join(errors.New("input/output error"), tx.Rollback())
				}
				return tx.Commit()
			})
			event := func(round, i int) eventstore.NewEvent {
				return eventstore.NewEvent{Type: fmt.Sprint("type-", i), Tags: []eventstore.Tag{eventstore.Tag(fmt.Sprint("tag:", round, "-", i)), "common"}}
			}
			for round := range 20 {
				appendEvents(t, s, "before", 1)
				stream := eventstore.StreamID(fmt.Sprint("s-", round))
				failing.Store(true)
				for i := range 3 {
					_, err := eventstore.AppendTo(t.Context(), s, stream, eventstore.NoStream, event(round, i), event(round, i))
					require.ErrorContains(t, err, "input/output error")
					require.Empty(t, positions(t, s, eventstore.Stream(stream)))
					require.Empty(t, positions(t, s, byTag(event(round, i).Tags[0])))
					require.Len(t, positions(t, s, byTag("common")), 2*round)
				}
				failing.Store(false)
				receipt, err := eventstore.AppendTo(t.Context(), s, stream, eventstore.NoStream, event(round, 0), event(round, 7))
				require.NoError(t, err)
				require.EqualValues(t, 2, receipt.Heads[0].Version)
				require.Equal(t, []eventstore.Position{receipt.First}, positions(t, s, byTag(event(round, 0).Tags[0])))
			}
			require.Empty(t, positions(t, s, byType("type-1")))
			verify(t, s)
			require.NoError(t, s.Close())
			s = open(t, path, nil)
			require.Empty(t, s.Info().Warnings)
			require.Empty(t, positions(t, s, byType("type-1")))
		})
	}
}

// TestOpen_CannotReadAnEventThatTheIndexLacks has a damaged record in the part of the
// log that the index on disk does not cover. Its terms are unknown.
func TestOpen_CannotReadAnEventThatTheIndexLacks(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	appendEvents(t, s, "a-1", 3)
	appendEvents(t, s, "b-1", 3)
	appendEvents(t, s, "a-1", 3)
	require.NoError(t, s.Close())
	require.Zero(t, through(t, path))
	edit(t, path, damageRecord(5))
	last := eventstore.Version(3) // of "b-1"
	for _, tt := range []struct {
		name    string
		options boltstore.Options
	}{
		{"read only", boltstore.Options{ReadOnly: true}},
		{"in memory", boltstore.Options{}},
		{"written", boltstore.Options{IndexMemory: 1}},
		{"read from the file", boltstore.Options{IndexMemory: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var said bytes.Buffer
			tt.options.Logger = slog.New(slog.NewTextHandler(&said, nil))
			s := openUnverified(t, path, &tt.options)
			require.True(t, bytes.Contains(said.Bytes(), []byte("cannot be read")), said.String())
			requireAllQueriesMeetFive(t, s)
			if !tt.options.ReadOnly {
				appendBesideFive(t, s, last)
				last++
			}
			require.NoError(t, s.Close())
		})
	}
}

// requireAllQueriesMeetFive requires that each query which the event at position 5 may
// match ends there.
func requireAllQueriesMeetFive(t *testing.T, s *boltstore.Store) {
	t.Helper()
	for _, q := range []eventstore.Query{byType("t"), byType("other"), byTag("n:0"), eventstore.Category("a"), eventstore.Category("none")} {
		read, at := readUntilCorrupt(t, s, q, eventstore.ReadOptions{})
		require.EqualValues(t, 5, at, "%v", q)
		require.NotContains(t, read, eventstore.Position(6))
		_, at = readUntilCorrupt(t, s, q, eventstore.ReadOptions{Backward: true})
		require.EqualValues(t, 5, at, "%v backward", q)
		for _, beside := range []eventstore.ReadOptions{{From: 6}, {To: 4}} {
			_, at = readUntilCorrupt(t, s, q, beside)
			require.Zero(t, at)
		}
	}
	require.Equal(t, []eventstore.Position{1, 2, 3, 7, 8, 9}, positions(t, s, eventstore.Stream("a-1"))[:6])
	for _, backward := range []bool{false, true} {
		read, at := readUntilCorrupt(t, s, eventstore.Stream("b-1"), eventstore.ReadOptions{Backward: backward})
		require.NotContains(t, read, map[bool]eventstore.Position{false: 6, true: 4}[backward])
		require.EqualValues(t, 5, at)
		read, at = readUntilCorrupt(t, s, eventstore.Stream("nobody's"), eventstore.ReadOptions{Backward: backward})
		require.Empty(t, read)
		require.EqualValues(t, 5, at, "the event might be of that stream")
	}
	_, err := eventstore.VersionOf(t.Context(), s, "nobody's")
	require.ErrorIs(t, err, eventstore.ErrCorrupt)
	v, err := s.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, boltstore.DamagedRecord, v.Findings[0].Kind)
	for _, f := range v.Findings[1:] { // the missing record has no other findings
		require.Equal(t, boltstore.BrokenStream, f.Kind, "%v", f)
		require.EqualValues(t, 6, f.Position)
	}
}

// appendBesideFive appends under conditions that the event at position 5 may break, and
// under others. last is the version of "b-1".
func appendBesideFive(t *testing.T, s *boltstore.Store, last eventstore.Version) {
	t.Helper()
	_, err := s.Append(t.Context(), eventstore.Commit{
		Events: []eventstore.NewEvent{{Type: "u"}}, Guards: []eventstore.Guard{{Query: byTag("nobody's")}},
	})
	require.ErrorIs(t, err, eventstore.ErrCorrupt, "the event might have that tag")
	_, err = s.Append(t.Context(), eventstore.Commit{
		Events: []eventstore.NewEvent{{Type: "u"}}, Guards: []eventstore.Guard{{Query: byTag("nobody's"), After: 5}},
	})
	require.NoError(t, err)
	appendEvents(t, s, "a-1", 1)
	_, err = eventstore.AppendTo(t.Context(), s, "b-1", eventstore.At(last), eventstore.NewEvent{Type: "u"})
	require.NoError(t, err)
}

// TestOpen_ReadOnlyLeavesTheFileAlone has a log whose index lacks events, in a file that must
// not change.
func TestOpen_ReadOnlyLeavesTheFileAlone(t *testing.T) {
	path := logPath(t)
	s, err := boltstore.Open(path, nil)
	require.NoError(t, err)
	for i := range 40 {
		appendEvents(t, s, eventstore.StreamID(fmt.Sprint("s-", i%4)), 50)
	}
	require.NoError(t, s.Close())
	s, err = boltstore.Open(path, nil)
	require.NoError(t, err)
	for i := range 4 {
		appendEvents(t, s, eventstore.StreamID(fmt.Sprint("s-", i)), 50)
	}
	require.NoError(t, s.Close())
	require.EqualValues(t, 2000, through(t, path))
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o400))

	for _, memory := range []int{0, 1} {
		s = open(t, path, &boltstore.Options{ReadOnly: true, IndexMemory: memory})
		require.Empty(t, s.Info().Warnings)
		require.Len(t, positions(t, s, eventstore.Stream("s-2")), 550)
		require.Len(t, positions(t, s, byTag("n:3")), 44*7)
		verify(t, s)
		require.NoError(t, s.Close())
	}
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(before, after), "the file was changed")
}

// An index whose element in the file's first page is marked as a value is rebuilt. Other
// buckets with that fault are errors of the calls that need them.
func TestOpen_BucketsThatAreValues(t *testing.T) {
	healthy := logPath(t)
	s, err := boltstore.Open(healthy, nil)
	require.NoError(t, err)
	appendEvents(t, s, "s", 300)
	row := eventstore.Row{RowKey: eventstore.RowKey{Table: "t", Key: []byte("k")}, Value: []byte("v")}
	commit := eventstore.RowCommit{View: "v", Checkpoint: eventstore.Checkpoint{Position: 1}, Rows: []eventstore.Row{row}}
	require.NoError(t, s.CommitRows(t.Context(), commit))
	require.NoError(t, s.Close())
	for name, isFound := range map[string]bool{string(indexBucket): true, "rows": false, "checkpoints": false} {
		t.Run(name, func(t *testing.T) {
			path := copyFile(t, healthy)
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			root := int(used(t, content).Root) * os.Getpagesize()
			element := -1
			for i := range int(binary.NativeEndian.Uint16(content[root+10:])) {
				at := root + 16 + 16*i
				key := at + int(binary.NativeEndian.Uint32(content[at+4:]))
				if bytes.HasPrefix(content[key:], []byte(name)) {
					element = at
				}
			}
			require.Positive(t, element)
			overwrite(t, path, int64(element), make([]byte, 4))
			s := openUnverified(t, path, nil)
			require.Len(t, positions(t, s, eventstore.Stream("s")), 300)
			if isFound {
				require.Len(t, s.Info().Warnings, 1)
				return
			}
			commit.View = "other"
			require.ErrorIs(t, s.CommitRows(t.Context(), commit), eventstore.ErrCorrupt)
		})
	}
}
